"""Event patterns of SageMaker; ``tests/events`` holds events that they match or ignore."""

from __future__ import annotations

from aws_cdk import aws_events as events

from registry.names import COMPILE_JOB_PREFIX, JOBS_PREFIX

SOURCE = ["aws.sagemaker"]
#: The final states of a job.
TERMINAL = ["Completed", "Failed", "Stopped"]


def ended_training_jobs(training_bucket: str) -> events.EventPattern:
    """Training jobs of this product, known by where they write, that have ended.

    Args:
        training_bucket: The bucket's name.
    """
    where = f"s3://{training_bucket}/{JOBS_PREFIX.rstrip('/')}"
    return events.EventPattern(
        source=SOURCE,
        detail_type=["SageMaker Training Job State Change"],
        detail={
            "TrainingJobStatus": TERMINAL,
            "OutputDataConfig": {"S3OutputPath": [{"prefix": where}]},
        },
    )


def changed_packages(group_name: str) -> events.EventPattern:
    """Any change of a version in the group.

    The status is not filtered: a rejection must stop and withdraw as surely as an approval must
    start, and the function reads the version itself anyway.
    """
    return events.EventPattern(
        source=SOURCE,
        detail_type=["SageMaker Model Package State Change"],
        detail={"ModelPackageGroupName": [group_name]},
    )


def ended_compile_jobs() -> events.EventPattern:
    """Compile jobs that have ended."""
    return events.EventPattern(
        source=SOURCE,
        detail_type=["SageMaker Processing Job State Change"],
        detail={
            "ProcessingJobName": [{"prefix": COMPILE_JOB_PREFIX}],
            "ProcessingJobStatus": TERMINAL,
        },
    )
