"""Versions with their archives, registered in a local cloud."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any, cast

from botocore.exceptions import ClientError

from reports.evidence import Evidence
from tests.reports import examples
from tests.running_cloud import Client

GROUP, BUCKET, RELEASES = "pokemon-card-recognition-models", "training", "releases-here"
LIVE, NEW, OLD = (f"student-efficientnet-lite0-stage2-v{number}" for number in (1, 2, 3))


def archive(**files: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def register(
    client: Client,
    name: str,
    evidence: Evidence | None,
    *,
    put: bytes | None = None,
    page: str = "",
    **metadata: str,
) -> str:
    """Registers a version with its archives and page; ``put`` lies in the place of its output."""
    files = {"evaluation.json": json.dumps(examples.evaluation())}
    model = archive(**files)
    kept = {"evidence.json": evidence.to_json()} if evidence else {}
    output = archive(**kept, **{"registration.json": "{}"})
    s3 = client("s3")
    for file, body in (("model", model), ("output", put or output)):
        s3.put_object(Bucket=BUCKET, Key=f"jobs/{name}/output/{file}.tar.gz", Body=body)
    given = examples.metadata(
        ModelName=name,
        ModelArchive=hashlib.sha256(model).hexdigest(),
        OutputArchive=hashlib.sha256(output).hexdigest(),
        **metadata,
    )
    del given["Validation"]
    if page:
        given["ReportPage"] = hashlib.sha256(page.encode()).hexdigest()
        s3.put_object(Bucket=BUCKET, Key=f"report-pages/{name}.html", Body=page.encode())
    return str(
        client("sagemaker").create_model_package(
            ModelPackageGroupName=GROUP,
            ModelPackageDescription=f"{name}: made for a test",
            InferenceSpecification={
                "Containers": [
                    {
                        "Image": "123456789012.dkr.ecr.us-east-2.amazonaws.com/pytorch:2",
                        "ModelDataUrl": f"s3://{BUCKET}/jobs/{name}/output/model.tar.gz",
                    }
                ],
                "SupportedContentTypes": ["application/x-npy"],
                "SupportedResponseMIMETypes": ["application/x-npy"],
            },
            CustomerMetadataProperties=given,
        )["ModelPackageArn"]
    )


def denied(*_: object) -> Any:
    error = {"Error": {"Code": "AccessDenied", "Message": "no"}}
    raise ClientError(cast(Any, error), "ListObjectsV2")
