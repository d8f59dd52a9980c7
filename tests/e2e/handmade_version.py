"""A version of the group, registered by an administrator's calls and not by the automation."""

from __future__ import annotations

import hashlib

from registry.names import parse_name
from registry.versions.packages import NewPackage, create
from tests.e2e.cloud import Cloud
from tests.registry.registration.training_jobs import request

_KEY = "jobs/by-hand/output/model.tar.gz"


def register_student(
    cloud: Cloud,
    group: str,
    training_bucket: str,
    name: str,
    archive: bytes = b"by hand",
    *,
    records_archive: bool = False,
    **metadata: str,
) -> str:
    """Registers a student of stage 2, which waits for approval; its ARN.

    Args:
        cloud: Where to.
        group: The model package group.
        training_bucket: Gets the model archive.
        name: Of the version.
        archive: The model archive's content.
        records_archive: Whether the version's metadata say which archive it is.
        metadata: Further metadata.
    """
    put = cloud.client("s3").put_object(Bucket=training_bucket, Key=_KEY, Body=archive)
    if records_archive:
        metadata["ModelArchive"] = f"{hashlib.sha256(archive).hexdigest()} {put['VersionId']}"
    account = cloud.variables["CDK_DEFAULT_ACCOUNT"]
    return create(
        cloud.client("sagemaker"),
        group,
        NewPackage(
            name=parse_name(name),
            approval="PendingManualApproval",
            summary="by hand",
            model_data_url=f"s3://{training_bucket}/{_KEY}",
            image="763104351884.dkr.ecr.us-east-2.amazonaws.com/pytorch-training:2.8.0-cpu-py312",
            metadata={
                **request(model_type="student")["metadata"],
                "Stage": "stage2",
                "Top1": "0.9",
                **metadata,
            },
            generated_by=f"arn:aws:sagemaker:us-east-2:{account}:training-job/by-hand",
        ),
    )
