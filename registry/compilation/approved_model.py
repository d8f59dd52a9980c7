"""The very bytes that a person approved, where no job can change them.

A training job may write below ``jobs/``, and so may every later one. Before a compile job starts,
the version of ``model.tar.gz`` that was registered is copied below ``approved/``, which only the
function that starts compile jobs may write; the job is given that address and the digest.

A version that was registered before digests were recorded has none. It is compiled from what lies
at its address, if that was written before the version was registered; the first compilation keeps
its copy, and later ones use the same.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws import objects_below, split_s3_uri
from registry.aws_errors import Meaning, is_denied, means
from registry.names import APPROVED_PREFIX
from registry.object_identity import (
    CLOCK_DIFFERENCE,
    HashedObject,
    ObjectIdentity,
    ObjectMissingError,
    ObjectVersion,
    head,
    is_not_there,
)
from registry.versions.metadata import MODEL_ARCHIVE
from registry.versions.packages import Package

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

ARCHIVE = "model.tar.gz"
#: The largest archive that is copied, and that a compile job takes.
ARCHIVE_LIMIT = 2 * 1024**3
_REMEDY = "train it again, or register it again from its training job"


class ApprovedModelError(ValueError):
    """A model archive that is not the one that was registered; names it, the cause, the remedy."""


@dataclass(frozen=True)
class ApprovedModel:
    """What a compile job reads.

    Attributes:
        uri: Its address below ``approved/``.
        sha256: Hex digest of its bytes.
    """

    uri: str
    sha256: str


def recorded(package: Package) -> ObjectIdentity | None:
    """The archive that was registered; None for a version from before that was recorded.

    Raises:
        ApprovedModelError: The metadata says something else than a digest.
    """
    text = package.metadata.get(MODEL_ARCHIVE)
    if text is None:
        return None
    identity = ObjectIdentity.parse(text)
    if identity is None:
        raise ApprovedModelError(
            f"{package.label}: {MODEL_ARCHIVE} {text[:40]!r} is no digest and S3 version; {_REMEDY}"
        )
    return identity


def fault(s3: S3Client, package: Package) -> str:
    """Why the registered archive cannot be compiled; empty where it can. Reads no content."""
    try:
        identity = recorded(package)
        answer = head(s3, package.model_data_url, identity.version_id if identity else "")
    except ValueError as error:
        return str(error)
    except ClientError as error:
        if not is_denied(error):
            raise
        return (
            f"{package.label}: this deployment's functions may not read {package.model_data_url}; "
            "only archives of its own training jobs are compiled, register it from its training job"
        )
    if answer is None:
        archive = "the registered S3 version of its archive" if identity else "its archive"
        return (
            f"{package.label}: {archive} {package.model_data_url} does not exist any more; "
            f"{_REMEDY}"
        )
    if identity is None and answer["LastModified"] > package.created + CLOCK_DIFFERENCE:
        return (
            f"{package.label}: {package.model_data_url} was written after the version was "
            f"registered, and no digest of the registered archive is recorded; {_REMEDY}"
        )
    if int(answer.get("ContentLength", 0)) > ARCHIVE_LIMIT:
        return f"{package.label}: its archive is larger than {ARCHIVE_LIMIT} bytes; {_REMEDY}"
    return ""


def pin(s3: S3Client, bucket: str, package: Package) -> ApprovedModel:
    """Copies the registered archive to where only this function's role may write.

    Safe to repeat: the address is made of the digest.

    Args:
        s3: A boto3 S3 client.
        bucket: The training bucket.
        package: The version.

    Raises:
        ApprovedModelError: The registered bytes are not there any more, or other bytes are.
    """
    reason = fault(s3, package)
    if reason:
        raise ApprovedModelError(reason)
    prefix = f"{APPROVED_PREFIX}{package.name}/"
    identity, condition = recorded(package), dict[str, Any]()
    if identity is None:
        earlier = _earlier_copy(s3, bucket, prefix)
        if earlier:
            return earlier
        found = _read(s3, package)
        identity, condition = found.identity, {"CopySourceIfMatch": found.etag}
    target = f"{prefix}{identity.sha256}/{ARCHIVE}"
    source_bucket, key = split_s3_uri(package.model_data_url)
    copied_version: CopySourceTypeDef = {"Bucket": source_bucket, "Key": key}
    if identity.version_id:
        copied_version["VersionId"] = identity.version_id
    try:
        copied = s3.copy_object(
            Bucket=bucket,
            Key=target,
            CopySource=copied_version,
            ChecksumAlgorithm="SHA256",
            **condition,
        )
    except ClientError as error:
        if not is_not_there(error) and not means(error, Meaning.LOST_WRITE):
            raise
        raise ApprovedModelError(
            f"{package.label}: {package.model_data_url} was removed or written while it was "
            f"copied; {_REMEDY}"
        ) from None
    # What S3 computed over the bytes that it wrote. One with a hyphen is of parts, and of no whole
    # file; the job compares the digest in any case.
    written = copied.get("CopyObjectResult", {}).get("ChecksumSHA256", "")
    if written and "-" not in written and base64.b64decode(written).hex() != identity.sha256:
        raise ApprovedModelError(
            f"{package.label}: {package.model_data_url} does not have the digest that was "
            f"registered ({identity.sha256[:12]}…); {_REMEDY}"
        )
    return ApprovedModel(f"s3://{bucket}/{target}", identity.sha256)


def _read(s3: S3Client, package: Package) -> ObjectVersion:
    try:
        return HashedObject(s3, package.model_data_url).finish()
    except ObjectMissingError as error:
        raise ApprovedModelError(f"{package.label}: {error}; {_REMEDY}") from None


def _earlier_copy(s3: S3Client, bucket: str, prefix: str) -> ApprovedModel | None:
    """What an earlier compilation of the same version was given."""
    for entry in objects_below(s3, bucket, prefix):
        sha256, _, file = entry["Key"].removeprefix(prefix).partition("/")
        if file == ARCHIVE and ObjectIdentity.parse(sha256):
            return ApprovedModel(f"s3://{bucket}/{entry['Key']}", sha256)
    return None
