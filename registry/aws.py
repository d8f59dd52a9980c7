"""Small facts about AWS's answers that several modules need."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def error_code(error: ClientError) -> str:
    """AWS's code of an error, for example ``ValidationException``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: ClientError) -> bool:
    """Whether the error says that the thing asked for does not exist.

    SageMaker answers ``ValidationException`` for a missing package or job and tells which case it
    is in the message alone; S3 answers ``NoSuchKey`` to a GET and a bare 404 to a HEAD.
    """
    code = error_code(error)
    if code in ("NoSuchKey", "404", "NotFound", "ResourceNotFound"):
        return True
    message = str(error.response.get("Error", {}).get("Message", ""))
    return code == "ValidationException" and (
        "does not exist" in message or "Could not find" in message
    )


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
        # 412: there is one. 409: two writers at the same moment, and one of them has won.
        if error_code(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
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
