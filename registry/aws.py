"""Small steps of S3 that several modules take."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws_errors import Meaning, means

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


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
