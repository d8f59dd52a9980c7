"""Which version a release was made from, by its own manifest and not by its folder's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.deployment import Deployment
from registry.names import RELEASES_PREFIX, RETIRED, in_group_of
from registry.releases.folders import Folder
from registry.releases.manifest import MANIFEST, MANIFEST_LIMIT
from registry.untrusted.stored_json import StoredJsonError, read_json
from registry.versions.packages import describe

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def owner_arn(s3: S3Client, bucket: str, release: str, file: str = MANIFEST) -> str | None:
    """The ARN of the version that a release was made from; None where its manifest is missing or
    cannot be read.

    Args:
        s3: A boto3 S3 client.
        bucket: The release bucket.
        release: The release's id.
        file: The manifest, or the copy of it that marks a retired release.
    """
    try:
        found = read_json(s3, bucket, f"{RELEASES_PREFIX}{release}/{file}", MANIFEST_LIMIT)
    except StoredJsonError:
        return None
    source = found.document.get("source") if found else None
    arn = source.get("arn") if isinstance(source, dict) else None
    return arn if isinstance(arn, str) else None


def folder_owner(s3: S3Client, bucket: str, folder: Folder) -> str | None:
    """:func:`owner_arn` of a complete or retired release; None of any other folder."""
    if folder.retired:
        return owner_arn(s3, bucket, folder.release, RETIRED)
    return owner_arn(s3, bucket, folder.release) if folder.published else None


def is_stale(deployment: Deployment, owner: str | None, arn: str) -> bool:
    """Whether nobody stands behind a release any more that was made from another version.

    Args:
        deployment: Clients, names and settings.
        owner: The version that the release was made from; None where its manifest cannot be read.
        arn: The version that bears the release's name.
    """
    if owner == arn:
        return False
    living = owner is not None and in_group_of(owner, arn)
    return not (living and owner and describe(deployment.sagemaker, owner))
