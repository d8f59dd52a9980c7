"""Where the image with Hailo's compiler lies, which its user builds."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

#: Layers that no tag names any more.
UNTAGGED_DAYS = 14


class CompilerRepository(Construct):
    """A private repository: tags name one image for ever, each is scanned when it is pushed.

    Args:
        scope: The stack.
        construct_id: Decides the logical id; changing it would replace the repository.
        environment: The deployment's name, part of the repository's.
        retain: Whether the repository and its images outlive the stack.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: str, retain: bool
    ) -> None:
        super().__init__(scope, construct_id)
        name, stack = f"cards-{environment}-hailo", cdk.Stack.of(self)
        self._repository = ecr.Repository(
            self,
            "Resource",
            repository_name=name,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            removal_policy=cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY,
            empty_on_delete=not retain,
            lifecycle_rules=[
                ecr.LifecycleRule(
                    description="Layers that no tag names",
                    tag_status=ecr.TagStatus.UNTAGGED,
                    max_image_age=cdk.Duration.days(UNTAGGED_DAYS),
                )
            ],
        )
        #: ``<account>.dkr.ecr.<region>.amazonaws.com/<name>``
        self.uri = f"{stack.account}.dkr.ecr.{stack.region}.{stack.url_suffix}/{name}"

    def pushing_statements(self) -> list[iam.PolicyStatement]:
        """Push an image, as ``cards hailo image push`` does; signing in has no resource level."""
        return [
            iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
            iam.PolicyStatement(
                actions=[
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:CompleteLayerUpload",
                    "ecr:DescribeImages",
                    "ecr:InitiateLayerUpload",
                    "ecr:PutImage",
                    "ecr:UploadLayerPart",
                ],
                resources=[self._repository.repository_arn],
            ),
        ]
