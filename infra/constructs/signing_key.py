"""The KMS key that signs release manifests; its private half never leaves KMS."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

# What IAM policies of this account may grant on the key. Spelled out, where KMS's own default
# says `kms:*`: no one can be granted more than this, and signing only by a policy that names it.
_DELEGATED = [
    "kms:CancelKeyDeletion",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:Sign",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:UpdateKeyDescription",
    "kms:Verify",
]


class SigningKey(kms.Key):
    """An ECC NIST P-256 key for ``ECDSA_SHA_256`` signatures.

    Args:
        scope: The stack.
        construct_id: Decides the logical id; changing it would replace the key.
        environment: Stands in the alias ``alias/cards-<environment>-release-signing``.
        number: Counts the deployment's keys from 1; stands in the alias of those that follow.
        retain: Whether the key outlives its stack; a lost key orphans every signature.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: str,
        retain: bool,
        number: int = 1,
    ) -> None:
        account = iam.AccountRootPrincipal()
        super().__init__(
            scope,
            construct_id,
            description="Signs the manifests of card-recognition releases",
            alias=f"alias/cards-{environment}-release-signing"
            + (f"-{number}" if number > 1 else ""),
            key_spec=kms.KeySpec.ECC_NIST_P256,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            removal_policy=cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY,
            policy=iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        sid="DelegateToIam",
                        principals=[account],
                        actions=_DELEGATED,
                        # In a key's own policy `*` means this key.
                        resources=["*"],
                    )
                ]
            ),
        )
