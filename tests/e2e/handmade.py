"""Versions and their releases, made by an administrator's calls and not by the automation."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from registry.names import parse_name
from registry.releases.manifest import canonical
from registry.releases.signatures.signing import SigningKey
from registry.versions.packages import NewPackage, create
from tests.e2e.cloud import BIN, Cloud
from tests.registry.registration.training_jobs import request
from tests.registry.releases.signatures.p256 import example_manifest

NAME = "student-efficientnet-lite0-stage2-v1"
FILES = {"model.int8.onnx": b"a model" * 100, "metadata.json": b"{}"}
_ARCHIVE = "jobs/by-hand/output/model.tar.gz"


@dataclass(frozen=True)
class HandmadeRelease:
    """An approved version and its release.

    Attributes:
        arn: The version's.
        release: The release's id.
        objects: Content of each object in the release's folder, by key.
    """

    arn: str
    release: str
    objects: dict[str, bytes]


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
    put = cloud.client("s3").put_object(Bucket=training_bucket, Key=_ARCHIVE, Body=archive)
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
            model_data_url=f"s3://{training_bucket}/{_ARCHIVE}",
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


def make_release(
    cloud: Cloud, group: str, training_bucket: str, release_bucket: str, key: str, settings_id: str
) -> HandmadeRelease:
    """Registers an approved student, and releases it as the first versions of the product did.

    The manifest alone is signed, under its first name, and both channels point to the release
    without a statement.

    Args:
        cloud: Where to.
        group: The model package group.
        training_bucket: Gets a model archive.
        release_bucket: Gets release, channels and public key.
        key: The signing key's ARN.
        settings_id: Digest of the compile settings, in the release's id.
    """
    s3 = cloud.client("s3")
    arn = register_student(cloud, group, training_bucket, NAME)
    cloud.client("sagemaker").update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved"
    )
    release = f"{NAME}.onnx-int8-{settings_id}"
    manifest: dict[str, Any] = example_manifest(release, FILES)
    manifest["source"] = {"name": NAME, "arn": arn}
    body = canonical(manifest)
    contents = {
        **FILES,
        "manifest.json": body,
        "manifest.sig": SigningKey(cloud.client("kms"), key).sign(body),
    }
    objects = {f"releases/{release}/{name}": content for name, content in contents.items()}
    pointer = {"release": release, "package_arn": arn, "name": manifest["name"]}
    for channel in ("candidate", "stable"):
        document = {**pointer, "channel": channel, "since": "2026-01-02T03:04:05+00:00"}
        objects[f"channels/{channel}.json"] = json.dumps({**document, "history": []}).encode()
    for name, content in objects.items():
        s3.put_object(Bucket=release_bucket, Key=name, Body=content)
    folder = {key: body for key, body in objects.items() if key.startswith("releases/")}
    return HandmadeRelease(arn, release, folder)


def make_signed_release(cloud: Cloud) -> None:
    """Makes such a release in a deployment of today, and signs it as today's releases are."""
    names = cloud.deployed()
    make_release(
        cloud,
        names.group_name,
        names.training_bucket,
        names.release_bucket,
        names.signing_key_arn,
        "01234567",
    )
    cloud.must(str(BIN / "cards"), "release", "sign", "--all")
