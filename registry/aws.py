"""Small steps of S3 and SageMaker that several modules take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws_errors import Meaning, means

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

#: How a list of SageMaker's is asked. Unless told, it gives ten rows a page, in an order that
#: differs by call; and it filters each page after it was cut, so that most pages of a filtered
#: list of a busy account are empty: the fewer there are, the fewer requests.
NEWEST_FIRST: Mapping[str, Any] = {
    "SortBy": "CreationTime",
    "SortOrder": "Descending",
    "MaxResults": 100,
}
OLDEST_FIRST: Mapping[str, Any] = {**NEWEST_FIRST, "SortOrder": "Ascending"}


def objects_below(s3: S3Client, bucket: str, prefix: str) -> Iterator[ObjectTypeDef]:
    """The objects whose keys begin with a prefix, by key, a page at a time."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def put_once(s3: S3Client, bucket: str, key: str, body: bytes | IO[bytes], **more: Any) -> bool:
    """Writes an object unless there is one, by S3's own condition; says whether it was written.

    Args:
        s3: A boto3 S3 client.
        bucket: Its bucket.
        key: Its key.
        body: Its bytes.
        more: Further parameters of ``PutObject``.
    """
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*", **more)
    except ClientError as error:
        if not means(error, Meaning.LOST_WRITE):
            raise
        return False
    return True


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Splits ``s3://bucket/key`` into bucket and key.

    Raises:
        ValueError: Not an S3 address.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{uri!r} is not an S3 address (s3://bucket/key)")
    return bucket, key
