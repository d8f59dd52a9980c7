"""Roles that SageMaker takes on, for this account's own requests only."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct


class SageMakerRole(iam.Role):
    """A role for SageMaker jobs or servers.

    The trust names the account: otherwise another account that knew the role's ARN could have
    SageMaker assume it for a job of that account (the confused deputy).

    Args:
        scope: The stack or construct.
        construct_id: Decides the logical id.
        description: What the role is for.
        statements: All that it may do.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        description: str,
        statements: Sequence[iam.PolicyStatement],
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=description,
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(scope).account}},
            ),
        )
        for statement in statements:
            self.add_to_policy(statement)
