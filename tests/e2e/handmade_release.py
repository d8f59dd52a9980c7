"""A version and its release, made by an administrator's calls and not by the automation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from registry.releases.manifest import canonical
from registry.releases.signatures.signing import SigningKey
from tests.e2e.cloud import BIN, Cloud
from tests.e2e.handmade_version import register_student
from tests.registry.releases.signatures.p256 import example_manifest

NAME = "student-efficientnet-lite0-stage2-v1"
FILES = {"model.int8.onnx": b"a model" * 100, "metadata.json": b"{}"}


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
