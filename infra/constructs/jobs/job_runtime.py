"""What SageMaker itself does in a job's name: pull the image, write logs and metrics."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam


def job_runtime(
    stack: cdk.Stack, *, kind: str, repositories: Sequence[str]
) -> list[iam.PolicyStatement]:
    """The statements that any job's role needs.

    Args:
        stack: Gives account, region and partition.
        kind: ``TrainingJobs`` or ``ProcessingJobs``, as SageMaker names log group and namespace.
        repositories: ARNs of the ECR repositories that the job's image may come from.
    """
    group = stack.format_arn(
        service="logs",
        resource="log-group",
        resource_name=f"/aws/sagemaker/{kind}",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    return [
        iam.PolicyStatement(
            actions=[
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            resources=[group, f"{group}:log-stream:*"],
        ),
        # CloudWatch has no resource level for PutMetricData: the namespace takes its place.
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": f"/aws/sagemaker/{kind}"}},
        ),
        iam.PolicyStatement(
            actions=[
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            resources=list(repositories),
        ),
        # ECR has no resource level for the token; what it opens is decided by the statement above.
        iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
    ]
