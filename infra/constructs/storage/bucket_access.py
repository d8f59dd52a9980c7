"""Policy statements over prefixes of a bucket: no role gets a whole bucket."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

READ = ("s3:GetObject",)
#: A version of an object that was overwritten, by its id.
READ_VERSIONS = ("s3:GetObjectVersion",)
# Large objects go up in parts; a failed upload is aborted by the caller that began it.
WRITE = ("s3:PutObject", "s3:AbortMultipartUpload")


def objects(bucket: s3.IBucket, actions: Sequence[str], *prefixes: str) -> iam.PolicyStatement:
    """Allows actions on the objects below prefixes.

    Args:
        bucket: The bucket.
        actions: For example :data:`READ`.
        prefixes: Each ends with a slash, for example ``cards/``.
    """
    return iam.PolicyStatement(
        actions=list(actions), resources=[bucket.arn_for_objects(f"{each}*") for each in prefixes]
    )


def listing(bucket: s3.IBucket, *prefixes: str) -> iam.PolicyStatement:
    """Allows listing below prefixes; it also lets S3 answer 404 for a missing object, not 403."""
    return iam.PolicyStatement(
        actions=["s3:ListBucket"],
        resources=[bucket.bucket_arn],
        conditions={"StringLike": {"s3:prefix": [f"{each}*" for each in prefixes]}},
    )
