"""The KMS key that notices are encrypted with while SNS holds them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.constructs.storage.key_policy import administration, use_through

_USE = ["kms:Decrypt", "kms:GenerateDataKey"]
#: Services that publish by themselves. SNS's own key ``alias/aws/sns`` admits none of them, and
#: alarms to a topic under it are lost:
#: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
_PUBLISHERS = ("cloudwatch.amazonaws.com", "budgets.amazonaws.com")


class NoticeKey(kms.Key):
    """A symmetric key, new every year, for SNS on behalf of this account, its alarms and budgets.

    Who may publish is decided by the topic's policy and the roles'; the key follows them. Nothing
    that is kept is encrypted with it, so it goes with its stack.

    Args:
        scope: The stack.
        construct_id: Decides the logical id.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        stack = cdk.Stack.of(scope)
        super().__init__(
            scope,
            construct_id,
            description="Encrypts notices about card models",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
            policy=iam.PolicyDocument(
                statements=[
                    administration(),
                    use_through(stack, "sns", "UseThroughSns", _USE),
                    iam.PolicyStatement(
                        sid="AlarmsAndBudgets",
                        principals=[iam.ServicePrincipal(name) for name in _PUBLISHERS],
                        actions=_USE,
                        resources=["*"],
                        conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
                    ),
                ]
            ),
        )
