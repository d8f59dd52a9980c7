"""The one reader of JSON objects in buckets: whoever wrote them, any fault is one kind of error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws import objects_below
from registry.aws_errors import Meaning, error_code, is_missing, means
from registry.untrusted.json_object import JsonObjectError, parse_object

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: The most bytes of an object for which a caller names no limit.
SIZE_LIMIT = 1024**2


class StoredJsonError(ValueError):
    """An object that is not the JSON object that should be there; names it and the cause.

    Attributes:
        etag: The object's ETag, with which it can be replaced by compare-and-swap.
    """

    def __init__(self, message: str, etag: str) -> None:
        super().__init__(message)
        self.etag = etag


@dataclass(frozen=True)
class StoredObject:
    """A JSON object in a bucket.

    Attributes:
        document: Its content.
        etag: Its ETag.
    """

    document: dict[str, Any]
    etag: str


def read_json(s3: S3Client, bucket: str, key: str, limit: int = SIZE_LIMIT) -> StoredObject | None:
    """Reads a JSON object from a bucket; None where there is none.

    Args:
        s3: A boto3 S3 client.
        bucket: Its bucket.
        key: Its key.
        limit: The most bytes that it may have; no more are read.

    Raises:
        StoredJsonError: It is too long, too deep, or no JSON object.
        ClientError: S3 refused for another reason than that the object is missing.
    """
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if is_missing(error):
            return None
        if means(error, Meaning.UNREADABLE):
            cause = f"cannot be read ({error_code(error)})"
            raise StoredJsonError(f"s3://{bucket}/{key} {cause}", _etag(s3, bucket, key)) from None
        raise
    etag = str(answer["ETag"])
    try:
        return StoredObject(parse_object(answer["Body"].read(limit + 1), limit), etag)
    except JsonObjectError as error:
        raise StoredJsonError(f"s3://{bucket}/{key} {error}", etag) from None


def _etag(s3: S3Client, bucket: str, key: str) -> str:
    """The ETag by the bucket's list, which answers also where the object itself is refused."""
    # Of all keys that begin with this one it is the first.
    entry = next(objects_below(s3, bucket, key), None)
    return str(entry["ETag"]) if entry and entry["Key"] == key else ""
