"""The Model Package Group, and statements over the versions in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.storage.account_readers import group_policy

READ_PACKAGES = ("sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages")
CREATE_PACKAGES = ("sagemaker:CreateModelPackage",)
UPDATE_PACKAGES = ("sagemaker:UpdateModelPackage",)


class ModelGroup(Construct):
    """The one group that holds every model, teacher to chip.

    Args:
        scope: The stack.
        construct_id: Decides the logical id; changing it would replace the group.
        group_name: The group's name.
        retain: Whether the group outlives its stack.
        reader_accounts: Other accounts that may read it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        group_name: str,
        retain: bool,
        reader_accounts: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        group = sagemaker.CfnModelPackageGroup(
            self,
            "Resource",
            model_package_group_name=group_name,
            model_package_group_description=(
                "Card recognition: every teacher, student and compiled model, with its lineage"
            ),
            model_package_group_policy=group_policy(
                cdk.Stack.of(self), group_name, reader_accounts
            ),
        )
        group.apply_removal_policy(
            cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY
        )
        self.group_name = group_name
        self.arn = group.attr_model_package_group_arn

    def packages(
        self, *actions: str, conditions: Mapping[str, Mapping[str, object]] | None = None
    ) -> iam.PolicyStatement:
        """Allows actions on the group's versions.

        Versions are authorised by their own ARN or the group's, depending on the action, so both
        are named.

        Args:
            actions: For example ``*READ_PACKAGES``.
            conditions: What the request may hold, by SageMaker's condition keys; None for
                anything.
        """
        return iam.PolicyStatement(
            actions=list(actions),
            resources=[
                self.arn,
                cdk.Stack.of(self).format_arn(
                    service="sagemaker",
                    resource="model-package",
                    resource_name=f"{self.group_name}/*",
                ),
            ],
            conditions=conditions,
        )


def jobs(
    stack: cdk.Stack, kind: str, name_prefix: str, actions: Sequence[str]
) -> iam.PolicyStatement:
    """Allows actions on SageMaker jobs whose names begin with a prefix.

    Args:
        stack: Gives account, region and partition.
        kind: ``training-job`` or ``processing-job``.
        name_prefix: Empty for every job.
        actions: SageMaker's.
    """
    return iam.PolicyStatement(
        actions=list(actions),
        resources=[
            stack.format_arn(service="sagemaker", resource=kind, resource_name=f"{name_prefix}*")
        ],
    )
