"""The KMS key that the buckets' objects are encrypted with."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.constructs.storage.key_policy import administration, use_through, via_service

# A large upload in parts is decrypted too, when S3 puts the parts together.
_USE = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]


class DataKey(kms.Key):
    """A symmetric key, new every year, that S3 alone may use, for requests of this account.

    Who may read or write an object is decided where the object lies, by S3's policies; the key
    follows them, as AWS's own ``aws/s3`` does. Unlike that one it can be looked at in CloudTrail,
    be disabled, and be opened to another account.

    Args:
        scope: The stack.
        construct_id: Decides the logical id; changing it would replace the key.
        environment: Stands in the alias ``alias/cards-<environment>-data``.
        retain: Whether the key outlives its stack; without it no object can be read.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: str, retain: bool
    ) -> None:
        stack = cdk.Stack.of(scope)
        super().__init__(
            scope,
            construct_id,
            description="Encrypts cards, models, runs and releases",
            alias=f"alias/cards-{environment}-data",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY,
            policy=iam.PolicyDocument(
                statements=[
                    administration(),
                    use_through(stack, "s3", "UseThroughS3", _USE),
                ]
            ),
        )

    def grant_read(self, accounts: Sequence[str], bucket_name: str) -> None:
        """Allows other accounts to decrypt what one bucket's policy allows them to read.

        Args:
            accounts: Their ids; none changes nothing.
            bucket_name: The bucket, by name: its ARN would make key and bucket wait for each other.
        """
        if not accounts:
            return
        stack = cdk.Stack.of(self)
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="ReadThroughS3",
                principals=[iam.AccountPrincipal(account) for account in accounts],
                actions=["kms:Decrypt"],
                resources=["*"],
                conditions={
                    "StringEquals": {
                        "kms:ViaService": via_service(stack, "s3"),
                        # With a bucket key S3 encrypts for the whole bucket, and says so.
                        "kms:EncryptionContext:aws:s3:arn": stack.format_arn(
                            service="s3",
                            region="",
                            account="",
                            resource=bucket_name,
                            arn_format=cdk.ArnFormat.NO_RESOURCE_NAME,
                        ),
                    }
                },
            )
        )
