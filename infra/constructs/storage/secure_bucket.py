"""A bucket as every bucket here is: versioned, encrypted, TLS only, never public."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.nag import accept

ABANDONED_UPLOAD_DAYS = 7
#: After so many days without another one a report goes.
REPORT_DAYS = 365


class SecureBucket(s3.Bucket):
    """A bucket whose objects belong to the account and whose versions are kept.

    Args:
        scope: The stack.
        construct_id: Decides the logical id; changing it would replace the bucket.
        bucket_name: The physical name.
        key: Encrypts the objects; None leaves that to S3's own key.
        retain: Whether the bucket outlives its stack.
        noncurrent_days: After how many days an overwritten version goes; None keeps all.
        noncurrent_prefix: Of which objects; all unless given.
        reports_prefix: Objects that are written again and again, of which the newest counts: an
            overwritten one goes after a day, and one that is not written again after a year.
        written_once: Patterns of keys that nobody may overwrite. Copying to them is refused too,
            since S3 takes no condition with a copy.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket_name: str,
        key: kms.IKey | None,
        retain: bool,
        noncurrent_days: int | None = None,
        noncurrent_prefix: str | None = None,
        reports_prefix: str | None = None,
        written_once: Sequence[str] = (),
    ) -> None:
        rules = [
            s3.LifecycleRule(
                id="abandoned-uploads",
                abort_incomplete_multipart_upload_after=cdk.Duration.days(ABANDONED_UPLOAD_DAYS),
            )
        ]
        if noncurrent_days is not None:
            rules.append(
                s3.LifecycleRule(
                    id="overwritten-versions",
                    prefix=noncurrent_prefix,
                    noncurrent_version_expiration=cdk.Duration.days(noncurrent_days),
                    # Of a deleted object nothing is left to mark once its versions have gone.
                    expired_object_delete_marker=True,
                )
            )
        if reports_prefix is not None:
            rules.append(
                s3.LifecycleRule(
                    id="reports",
                    prefix=reports_prefix,
                    expiration=cdk.Duration.days(REPORT_DAYS),
                    noncurrent_version_expiration=cdk.Duration.days(1),
                )
            )
        super().__init__(
            scope,
            construct_id,
            bucket_name=bucket_name,
            versioned=True,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            # One request to KMS for many objects: a hundredth of their price.
            bucket_key_enabled=key is not None,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=rules,
            removal_policy=cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY,
        )
        if written_once:
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
            # The parts of a multipart upload bear no condition; its completion does.
            self.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="WrittenOnce",
                    effect=iam.Effect.DENY,
                    principals=[iam.AnyPrincipal()],
                    actions=["s3:PutObject"],
                    resources=[self.arn_for_objects(pattern) for pattern in written_once],
                    conditions={
                        "Null": {"s3:if-none-match": "true"},
                        "Bool": {"s3:ObjectCreationOperation": "true"},
                    },
                )
            )
        accept(
            self,
            "S1",
            "Recording who touched an object is left to the account's CloudTrail data events, "
            "which cover every bucket at once; server access logs would be a second record",
        )
