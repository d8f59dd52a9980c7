"""Policies of people: the operator reads a deployment, the releaser holds, promotes, rolls back.

Without a resource level at AWS, and therefore on ``*``: ``sagemaker:ListArtifacts``,
``sagemaker:ListProcessingJobs``, ``sagemaker:ListTrainingJobs``.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.constructs.jobs.containers import repository_arn
from infra.constructs.model_group import READ_PACKAGES, jobs
from infra.constructs.storage.bucket_access import READ, listing, objects
from infra.registry_stack import RegistryStack
from infra.settings import AUTOMATION, MLFLOW_APP, MLFLOW_NONE, STACKS, Settings
from registry.channels import CHANNELS
from registry.names import (
    CHANNELS_PREFIX,
    COMPILATIONS_PREFIX,
    COMPILE_JOB_PREFIX,
    DEVICES_PREFIX,
    NAMES_PREFIX,
    PARAMETER_ROOT,
    RELEASES_PREFIX,
    REPORT_PAGES_PREFIX,
    WEIGHTS_PREFIX,
)

_PLAIN = cdk.ArnFormat.NO_RESOURCE_NAME


def parameter_statement(stack: cdk.Stack) -> iam.PolicyStatement:
    """Read the deployment's parameters, with which every command begins."""
    root = PARAMETER_ROOT.strip("/")
    return iam.PolicyStatement(
        actions=["ssm:GetParametersByPath"],
        resources=[
            stack.format_arn(service="ssm", resource="parameter", resource_name=name)
            for name in (root, f"{root}/*")
        ],
    )


def submitter_statement(stack: cdk.Stack) -> iam.PolicyStatement:
    """Read who submitted a training job, which its tags say: four eyes compares them."""
    return jobs(stack, "training-job", "", ["sagemaker:ListTags"])


def operator_statements(
    stack: cdk.Stack, settings: Settings, registry: RegistryStack, compile_image: str
) -> list[iam.PolicyStatement]:
    """The operator, as `cards doctor` needs: read everything, ask IAM who may do what.

    Args:
        stack: Gives account, region and partition.
        settings: What this deployment chose.
        registry: Its stateful stack.
        compile_image: The container of compile jobs.
    """
    named = f"cards-{settings.environment}"
    # With the stack's name: another environment's begins with another word there.
    prefix = f"{named}-{AUTOMATION}-"

    def deployed(service: str, resource: str) -> str:
        return stack.format_arn(service=service, resource=f"{resource}{prefix}*", arn_format=_PLAIN)

    people = [
        stack.format_arn(service="iam", region="", resource=kind, resource_name="*")
        for kind in ("role", "user")
    ]
    buckets = (registry.training_bucket, registry.mlflow_bucket, registry.release_bucket)
    return [
        parameter_statement(stack),
        submitter_statement(stack),
        registry.group.packages(*READ_PACKAGES, "sagemaker:DescribeModelPackageGroup"),
        iam.PolicyStatement(actions=["sagemaker:ListProcessingJobs"], resources=["*"]),
        objects(
            registry.training_bucket,
            READ,
            COMPILATIONS_PREFIX,
            REPORT_PAGES_PREFIX,
            WEIGHTS_PREFIX,
        ),
        objects(registry.release_bucket, READ, *_shown(settings)),
        # HeadBucket needs it too: HeadBucket has no prefix to bind it to.
        iam.PolicyStatement(
            actions=["s3:ListBucket", "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration"],
            resources=[bucket.bucket_arn for bucket in buckets],
        ),
        iam.PolicyStatement(
            actions=["kms:DescribeKey"],
            resources=[
                registry.signing_key.key_arn,
                *([registry.data_key.key_arn] if registry.data_key else []),
            ],
        ),
        # The key of notices is the automation stack's, which is deployed after this policy.
        iam.PolicyStatement(
            actions=["kms:DescribeKey"],
            resources=[stack.format_arn(service="kms", resource="key", resource_name="*")],
            conditions={
                "StringEqualsIfExists": {"aws:ResourceTag/Environment": settings.environment}
            },
        ),
        iam.PolicyStatement(
            actions=["sns:GetTopicAttributes"],
            resources=[deployed("sns", "")],
        ),
        iam.PolicyStatement(
            actions=["cloudformation:DescribeStacks", "cloudformation:ListStackResources"],
            resources=[
                stack.format_arn(
                    service="cloudformation", resource="stack", resource_name=f"{named}-{each}/*"
                )
                for each in STACKS
            ],
        ),
        iam.PolicyStatement(
            actions=[
                "lambda:GetFunctionConcurrency",
                "lambda:GetFunctionConfiguration",
                "lambda:GetFunctionEventInvokeConfig",
            ],
            resources=[deployed("lambda", "function:")],
        ),
        iam.PolicyStatement(
            actions=["events:DescribeRule", "events:ListTargetsByRule"],
            resources=[deployed("events", "rule/")],
        ),
        iam.PolicyStatement(
            actions=["sqs:GetQueueAttributes"],
            resources=[deployed("sqs", "")],
        ),
        iam.PolicyStatement(
            actions=["ecr:DescribeImages"], resources=[repository_arn(stack, compile_image)]
        ),
        iam.PolicyStatement(
            actions=["iam:GetRole", "iam:SimulatePrincipalPolicy"], resources=people
        ),
        *_mlflow(settings, registry),
    ]


def releaser_statements(
    stack: cdk.Stack, settings: Settings, registry: RegistryStack
) -> list[iam.PolicyStatement]:
    """The releaser: hold, promote and roll back channels, and start the automation's functions.

    The automation moves the channels; a person writes the hold object alone.
    """
    prefix = f"cards-{settings.environment}-{AUTOMATION}-"

    def deployed(service: str, resource: str) -> str:
        return stack.format_arn(service=service, resource=f"{resource}{prefix}*", arn_format=_PLAIN)

    return [
        parameter_statement(stack),
        submitter_statement(stack),
        registry.group.packages(*READ_PACKAGES),
        jobs(stack, "training-job", "", ["sagemaker:DescribeTrainingJob"]),
        jobs(stack, "processing-job", COMPILE_JOB_PREFIX, ["sagemaker:DescribeProcessingJob"]),
        iam.PolicyStatement(
            actions=[
                "sagemaker:ListArtifacts",
                "sagemaker:ListProcessingJobs",
                "sagemaker:ListTrainingJobs",
            ],
            resources=["*"],
        ),
        objects(registry.training_bucket, READ, COMPILATIONS_PREFIX, NAMES_PREFIX),
        listing(registry.training_bucket, COMPILATIONS_PREFIX, NAMES_PREFIX),
        objects(registry.release_bucket, READ, *_shown(settings)),
        listing(registry.release_bucket, *_shown(settings)),
        iam.PolicyStatement(
            actions=["s3:PutObject", "s3:DeleteObject"],
            resources=[
                registry.release_bucket.arn_for_objects(f"{CHANNELS_PREFIX}{each.name}.hold.json")
                for each in CHANNELS
                if each.may_be_held
            ],
        ),
        iam.PolicyStatement(
            actions=["kms:GetPublicKey", "kms:Verify"],
            resources=[key.key_arn for key in registry.signing_keys],
        ),
        iam.PolicyStatement(
            actions=["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"],
            resources=[deployed("lambda", "function:")],
        ),
        iam.PolicyStatement(
            actions=["cloudformation:ListStackResources"],
            resources=[
                stack.format_arn(
                    service="cloudformation", resource="stack", resource_name=f"{prefix[:-1]}/*"
                )
            ],
        ),
        iam.PolicyStatement(
            actions=["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
            resources=[deployed("sqs", "")],
        ),
    ]


def _shown(settings: Settings) -> tuple[str, ...]:
    """What of the release bucket people look at."""
    reports = (DEVICES_PREFIX,) if settings.devices else ()
    return (RELEASES_PREFIX, CHANNELS_PREFIX, *reports)


def _mlflow(settings: Settings, registry: RegistryStack) -> list[iam.PolicyStatement]:
    """Whether MLflow answers, and has the experiment."""
    if settings.mlflow == MLFLOW_NONE:
        return []
    gate = (
        ["sagemaker:CallMlflowAppApi", "sagemaker:DescribeMlflowApp"]
        if settings.mlflow == MLFLOW_APP
        else ["sagemaker:DescribeMlflowTrackingServer"]
    )
    return [
        iam.PolicyStatement(
            actions=[*gate, "sagemaker-mlflow:GetExperimentByName"],
            resources=[registry.mlflow.uri],
        )
    ]
