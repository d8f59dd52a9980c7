"""Which bytes an S3 object holds: SHA-256 and S3 version, read from the object itself.

An S3 address names a place; whoever may write there changes what it means. What a person approves
and what a job reads is therefore named by these two, and compared at every step that hands it on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ParamValidationError

from registry.aws import split_s3_uri
from registry.aws_errors import Meaning, is_missing, means

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: How far the clocks of S3 and SageMaker may differ, where a job's end and an object's time are
#: compared.
CLOCK_DIFFERENCE = timedelta(seconds=10)
_CHUNK = 1024**2
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_VERSION_ID = re.compile(r"[\w.:/=+\-@]{1,180}", re.ASCII)


class ObjectMissingError(ValueError):
    """An object that does not exist; names it."""


@dataclass(frozen=True)
class ObjectIdentity:
    """The bytes of an object.

    Attributes:
        sha256: Hex digest of its bytes.
        version_id: S3's id of the version that was read; empty in a bucket without versions.
    """

    sha256: str
    version_id: str = ""

    def __str__(self) -> str:
        """As it stands in a version's metadata; :meth:`parse` reads it."""
        return f"{self.sha256} {self.version_id}".rstrip()

    @classmethod
    def parse(cls, text: str) -> ObjectIdentity | None:
        """Reads what ``str`` gives; None for any other text.

        >>> ObjectIdentity.parse(str(ObjectIdentity("0" * 64, "v1"))).version_id
        'v1'
        """
        sha256, _, version_id = text.partition(" ")
        if not _SHA256.fullmatch(sha256):
            return None
        if version_id and not _VERSION_ID.fullmatch(version_id):
            return None
        return cls(sha256, version_id)


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object, read to its end.

    Attributes:
        identity: Its digest and S3 version.
        modified: When S3 says that it was written.
        etag: S3's entity tag of the version that was read.
    """

    identity: ObjectIdentity
    modified: datetime
    etag: str


class HashedObject:
    """An object's stream that is hashed while it is read, for ``tarfile`` and the like.

    Args:
        s3: A boto3 S3 client.
        uri: ``s3://bucket/key``.

    Raises:
        ObjectMissingError: There is no such object.
    """

    def __init__(self, s3: S3Client, uri: str) -> None:
        bucket, key = split_s3_uri(uri)
        try:
            self._answer = s3.get_object(Bucket=bucket, Key=key)
        except ParamValidationError:
            raise ObjectMissingError(f"{uri} is no address that S3 can have") from None
        except ClientError as error:
            if is_not_there(error):
                raise ObjectMissingError(f"{uri} does not exist") from None
            raise
        self._digest = hashlib.sha256()

    @property
    def size(self) -> int:
        """Its length in bytes, as S3 says before it is read."""
        return int(self._answer.get("ContentLength", 0))

    def read(self, size: int = _CHUNK) -> bytes:
        """The next bytes; empty at the end."""
        chunk = bytes(self._answer["Body"].read(size))
        self._digest.update(chunk)
        return chunk

    def finish(self) -> ObjectVersion:
        """Reads the rest and returns the identity of everything that was read."""
        while self.read():
            pass
        version_id = str(self._answer.get("VersionId") or "")
        # An id that a version's metadata cannot hold is left out; the digest decides anyway.
        if version_id == "null" or not _VERSION_ID.fullmatch(version_id):
            version_id = ""
        return ObjectVersion(
            ObjectIdentity(self._digest.hexdigest(), version_id),
            self._answer["LastModified"],
            str(self._answer["ETag"]),
        )


def read_object(s3: S3Client, uri: str) -> ObjectVersion:
    """Reads an object to its end for its identity.

    Raises:
        ObjectMissingError: There is no such object.
    """
    return HashedObject(s3, uri).finish()


def head(s3: S3Client, uri: str, version_id: str = "") -> Mapping[str, Any] | None:
    """HeadObject's answer; None where the object, or that version of it, is not there."""
    bucket, key = split_s3_uri(uri)
    version: dict[str, Any] = {"VersionId": version_id} if version_id else {}
    try:
        answer: Mapping[str, Any] = s3.head_object(Bucket=bucket, Key=key, **version)
    except ParamValidationError:
        return None  # No bucket, object or version can have such a name.
    except ClientError as error:
        if is_not_there(error):
            return None
        raise
    return answer


def is_not_there(error: ClientError) -> bool:
    """Whether S3 says that the object, or the version that was asked for, does not exist."""
    return is_missing(error) or means(error, Meaning.NO_SUCH_ADDRESS)
