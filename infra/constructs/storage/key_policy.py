"""The statements that the policies of this product's KMS keys have in common."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

# What IAM policies of this account may grant on the key: looking after it, and no use of it.
_ADMINISTRATION = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
]


def administration() -> iam.PolicyStatement:
    """IAM policies of the account decide who looks after the key; none of them grants its use."""
    return iam.PolicyStatement(
        sid="DelegateAdministrationToIam",
        principals=[iam.AccountRootPrincipal()],
        actions=_ADMINISTRATION,
        # In a key's own policy `*` means this key.
        resources=["*"],
    )


def via_service(stack: cdk.Stack, service: str) -> str:
    """The value of ``kms:ViaService`` for a service in the stack's region."""
    return f"{service}.{stack.region}.{stack.url_suffix}"


def use_through(
    stack: cdk.Stack, service: str, sid: str, actions: Sequence[str]
) -> iam.PolicyStatement:
    """Everybody whom the service lets, with credentials of this account, and only through it."""
    return iam.PolicyStatement(
        sid=sid,
        principals=[iam.AnyPrincipal()],
        actions=list(actions),
        resources=["*"],
        conditions={
            "StringEquals": {
                "kms:CallerAccount": stack.account,
                "kms:ViaService": via_service(stack, service),
            }
        },
    )
