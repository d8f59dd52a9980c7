"""What each function of the automation may do, and nothing that only another one does.

Without a resource level at AWS, and therefore on ``*``: ``sagemaker:ListProcessingJobs``,
``sagemaker:ListTrainingJobs``, ``sagemaker:ListArtifacts`` and ``sagemaker:ListAssociations``.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam

from infra.constructs.access.version_grants import (
    publishing_statements,
    registering_statements,
)
from infra.constructs.model_group import READ_PACKAGES, jobs
from infra.constructs.storage.bucket_access import READ, READ_VERSIONS, WRITE, listing, objects
from infra.registry_stack import RegistryStack
from registry.names import (
    APPROVED_PREFIX,
    CHANNELS_PREFIX,
    COMPILATIONS_PREFIX,
    COMPILE_JOB_PREFIX,
    DEVICES_PREFIX,
    JOBS_PREFIX,
    KEYS_PREFIX,
    LINEAGE_ACTION_PREFIX,
    MODEL_QUALITY_PREFIX,
    NAMES_PREFIX,
    RECONCILER_PREFIX,
    RELEASE_MANIFEST,
    RELEASES_PREFIX,
    REPORT_PAGES_PREFIX,
    RETIRED,
)

_RELEASE_PREFIXES = (RELEASES_PREFIX, CHANNELS_PREFIX, KEYS_PREFIX)


def register_statements(registry: RegistryStack, topic_arn: str) -> list[iam.PolicyStatement]:
    """Describe a training job, claim a name, create the version, notify people.

    Args:
        registry: The stateful stack.
        topic_arn: The topic of notices.
    """
    bucket = registry.training_bucket
    return [
        jobs(registry, "training-job", "", ["sagemaker:DescribeTrainingJob"]),
        registry.group.packages(*READ_PACKAGES),
        *registering_statements(registry.group),
        objects(bucket, READ, JOBS_PREFIX, NAMES_PREFIX),
        objects(bucket, WRITE, NAMES_PREFIX, MODEL_QUALITY_PREFIX, REPORT_PAGES_PREFIX),
        listing(bucket, JOBS_PREFIX, NAMES_PREFIX),
        *registry.mlflow.tagging_statements(),
        iam.PolicyStatement(actions=["sns:Publish"], resources=[topic_arn]),
    ]


def compile_statements(
    registry: RegistryStack, compile_role: iam.IRole, publish_arn: str
) -> list[iam.PolicyStatement]:
    """Look at a version, start or stop its compile job, hand what is released to ``publish``,
    write its lineage."""
    training = (JOBS_PREFIX, COMPILATIONS_PREFIX, NAMES_PREFIX, APPROVED_PREFIX)
    return [
        *_lineage(registry),
        registry.group.packages(*READ_PACKAGES),
        _submitters(registry),
        jobs(
            registry,
            "processing-job",
            COMPILE_JOB_PREFIX,
            [
                "sagemaker:CreateProcessingJob",
                "sagemaker:DescribeProcessingJob",
                "sagemaker:StopProcessingJob",
            ],
        ),
        _list_jobs(),
        iam.PolicyStatement(
            actions=["iam:PassRole"],
            resources=[compile_role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        objects(registry.training_bucket, READ, *training),
        objects(registry.training_bucket, READ_VERSIONS, JOBS_PREFIX),
        # The archive that a person approved, and the record of each job that was started.
        objects(registry.training_bucket, WRITE, APPROVED_PREFIX),
        listing(registry.training_bucket, *training),
        objects(registry.release_bucket, READ, *_RELEASE_PREFIXES),
        listing(registry.release_bucket, *_RELEASE_PREFIXES),
        iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[publish_arn]),
    ]


def publish_statements(
    registry: RegistryStack, topic_arn: str, *, deletes_old_releases: bool, reads_reports: bool
) -> list[iam.PolicyStatement]:
    """Register what was compiled, write and sign the release or withdraw it, notify people, write
    release or failure on the version.

    Args:
        registry: The stateful stack.
        topic_arn: The topic of notices.
        deletes_old_releases: Whether old releases are retired, which deletes their files.
        reads_reports: Whether devices report, and roll-outs are halted by what they say.
    """
    training = (JOBS_PREFIX, COMPILATIONS_PREFIX, NAMES_PREFIX, APPROVED_PREFIX)
    return [
        registry.group.packages(*READ_PACKAGES),
        _submitters(registry),
        *publishing_statements(registry.group),
        jobs(
            registry,
            "processing-job",
            COMPILE_JOB_PREFIX,
            ["sagemaker:DescribeProcessingJob"],
        ),
        _list_jobs(),
        objects(registry.training_bucket, READ, *training),
        objects(registry.training_bucket, READ_VERSIONS, JOBS_PREFIX),
        objects(registry.training_bucket, WRITE, NAMES_PREFIX, MODEL_QUALITY_PREFIX),
        listing(registry.training_bucket, *training),
        objects(registry.release_bucket, (*READ, *WRITE), *_RELEASE_PREFIXES),
        listing(registry.release_bucket, *_RELEASE_PREFIXES),
        *_reports(registry, reads_reports),
        # A release without its manifest, or with the mark, is absent. Files go by retention alone.
        iam.PolicyStatement(
            actions=["s3:DeleteObject"],
            resources=[
                registry.release_bucket.arn_for_objects(f"{RELEASES_PREFIX}{name}")
                for name in (
                    ("*",) if deletes_old_releases else (f"*/{RELEASE_MANIFEST}", f"*/{RETIRED}")
                )
            ],
        ),
        iam.PolicyStatement(actions=["sns:Publish"], resources=[topic_arn]),
        iam.PolicyStatement(
            actions=["kms:Sign", "kms:GetPublicKey"], resources=[registry.signing_key.key_arn]
        ),
        _verify(registry),
    ]


def reconcile_statements(
    registry: RegistryStack, functions: Sequence[str], *, reads_reports: bool
) -> list[iam.PolicyStatement]:
    """Read everything, verify what the channels show, and call the functions that repair.

    Args:
        registry: The stateful stack.
        functions: ARNs of the functions that repair.
        reads_reports: Whether devices report.
    """
    training = (
        *(JOBS_PREFIX, APPROVED_PREFIX),
        *(COMPILATIONS_PREFIX, NAMES_PREFIX, RECONCILER_PREFIX),
    )
    return [
        registry.group.packages(*READ_PACKAGES),
        _submitters(registry),
        jobs(registry, "training-job", "", ["sagemaker:DescribeTrainingJob"]),
        jobs(registry, "processing-job", COMPILE_JOB_PREFIX, ["sagemaker:DescribeProcessingJob"]),
        iam.PolicyStatement(
            actions=[
                "sagemaker:ListArtifacts",
                "sagemaker:ListProcessingJobs",
                "sagemaker:ListTrainingJobs",
            ],
            resources=["*"],
        ),
        objects(registry.training_bucket, READ, *training),
        objects(registry.training_bucket, READ_VERSIONS, JOBS_PREFIX),
        objects(registry.training_bucket, WRITE, RECONCILER_PREFIX),
        listing(registry.training_bucket, *training),
        objects(registry.release_bucket, READ, *_RELEASE_PREFIXES),
        listing(registry.release_bucket, *_RELEASE_PREFIXES),
        *_reports(registry, reads_reports),
        _verify(registry),
        iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=list(functions)),
    ]


def _reports(registry: RegistryStack, wanted: bool) -> list[iam.PolicyStatement]:
    """Read what devices report."""
    if not wanted:
        return []
    bucket = registry.release_bucket
    return [objects(bucket, READ, DEVICES_PREFIX), listing(bucket, DEVICES_PREFIX)]


def _lineage(registry: RegistryStack) -> list[iam.PolicyStatement]:
    """Write what a version was made from, and by which job.

    An artifact's ARN ends in a hash that SageMaker makes of its source, so no prefix can be named;
    nothing here deletes. This product's actions are known by their names.
    """
    artifacts = registry.format_arn(service="sagemaker", resource="artifact", resource_name="*")
    actions = registry.format_arn(
        service="sagemaker", resource="action", resource_name=f"{LINEAGE_ACTION_PREFIX}*"
    )
    return [
        jobs(registry, "training-job", "", ["sagemaker:DescribeTrainingJob"]),
        iam.PolicyStatement(actions=["sagemaker:CreateArtifact"], resources=[artifacts]),
        iam.PolicyStatement(
            actions=[
                "sagemaker:CreateAction",
                "sagemaker:DescribeAction",
                "sagemaker:UpdateAction",
            ],
            resources=[actions],
        ),
        iam.PolicyStatement(actions=["sagemaker:AddAssociation"], resources=[artifacts, actions]),
        iam.PolicyStatement(
            actions=["sagemaker:ListArtifacts", "sagemaker:ListAssociations"], resources=["*"]
        ),
    ]


def _submitters(registry: RegistryStack) -> iam.PolicyStatement:
    """Read who submitted a training job, which its tags say."""
    return jobs(registry, "training-job", "", ["sagemaker:ListTags"])


def _list_jobs() -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=["sagemaker:ListProcessingJobs"], resources=["*"])


def _verify(registry: RegistryStack) -> iam.PolicyStatement:
    """Releases stay those of the key that signed them."""
    return iam.PolicyStatement(
        actions=["kms:Verify"], resources=[key.key_arn for key in registry.signing_keys]
    )
