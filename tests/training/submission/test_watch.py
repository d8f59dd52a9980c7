"""Following jobs, against botocore's own model of SageMaker and CloudWatch Logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from training.submission.watch import (
    PROCESSING_LOGS,
    TRAINING_LOGS,
    JobFailed,
    JobLog,
    JobUpdate,
    WaitTimeout,
    Watcher,
    wait_until_registered,
)

JOB = "teacher-demo-20260102-030405-6789"
GROUP = "cards"
ARN = "arn:aws:sagemaker:us-east-2:111122223333:model-package/cards/1"
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Aws:
    """Two clients that answer what a test lays out, in order, and check it against the models."""

    def __init__(self) -> None:
        session = boto3.Session("test", "test", region_name="us-east-2")
        self.sagemaker, self.logs = session.client("sagemaker"), session.client("logs")
        self.on_sagemaker, self.on_logs = Stubber(self.sagemaker), Stubber(self.logs)
        self.on_sagemaker.activate()
        self.on_logs.activate()
        self.watcher = Watcher(self.sagemaker, self.logs, interval=0)

    def job(self, status: str, **more: Any) -> None:
        self.on_sagemaker.add_response(
            "describe_training_job",
            {
                "TrainingJobName": JOB,
                "TrainingJobArn": f"arn:aws:sagemaker:us-east-2:111122223333:training-job/{JOB}",
                "ModelArtifacts": {"S3ModelArtifacts": ""},
                "TrainingJobStatus": status,
                "SecondaryStatus": more.pop("SecondaryStatus", "Training"),
                "AlgorithmSpecification": {"TrainingInputMode": "File"},
                "ResourceConfig": {"VolumeSizeInGB": 1},
                "StoppingCondition": {},
                "CreationTime": WHEN,
                **more,
            },
            {"TrainingJobName": JOB},
        )

    def no_log(self, group: str = TRAINING_LOGS, name: str = JOB) -> None:
        self.on_logs.add_client_error(
            "describe_log_streams",
            "ResourceNotFoundException",
            expected_params={"logGroupName": group, "logStreamNamePrefix": f"{name}/"},
        )

    def log(self, lines: list[str], token: str, given: str | None = None) -> None:
        self.on_logs.add_response(
            "describe_log_streams", {"logStreams": [{"logStreamName": f"{JOB}/algo-1"}]}
        )
        self.on_logs.add_response(
            "get_log_events",
            {
                "events": [{"timestamp": at, "message": line} for at, line in enumerate(lines)],
                "nextForwardToken": token,
            },
            {
                "logGroupName": TRAINING_LOGS,
                "logStreamName": f"{JOB}/algo-1",
                "startFromHead": True,
                "limit": 1000,
                **({"nextToken": given} if given else {}),
            },
        )

    def listed(self, *arns: str) -> None:
        self.on_sagemaker.add_response(
            "list_model_packages",
            {
                "ModelPackageSummaryList": [
                    {
                        "ModelPackageName": "x",
                        "ModelPackageArn": arn,
                        "CreationTime": WHEN,
                        "ModelPackageStatus": "Completed",
                    }
                    for arn in arns
                ]
            },
        )

    def described(self, arn: str, job: str) -> None:
        self.on_sagemaker.add_response(
            "describe_model_package",
            {
                "ModelPackageName": "x",
                "ModelPackageArn": arn,
                "ModelPackageGroupName": GROUP,
                "CreationTime": WHEN,
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": []},
                "ModelApprovalStatus": "Approved",
                "ModelPackageDescription": "teacher-dinov3-vits16-phase2-v1: words",
                "CustomerMetadataProperties": {"TrainingJob": job},
            },
        )

    def done(self) -> None:
        self.on_sagemaker.assert_no_pending_responses()
        self.on_logs.assert_no_pending_responses()


def test_job_is_followed_line_by_line_until_its_model_is_registered() -> None:
    aws, seen = Aws(), list[JobUpdate]()
    aws.job("InProgress", SecondaryStatus="Downloading")
    aws.no_log()
    aws.job("InProgress")
    aws.log(["one", "two\n"], "t1")
    aws.job("Completed")
    aws.log(["three"], "t2", given="t1")
    aws.listed()
    aws.listed(ARN)
    aws.described(ARN, JOB)
    package = wait_until_registered(JOB, seen.append, watcher=aws.watcher, group=GROUP)
    aws.done()
    assert package.arn == ARN
    assert [line for update in seen for line in update.lines] == ["one", "two", "three"]
    assert seen[0].detail == "Downloading"


def test_version_of_another_job_is_not_taken_for_this_ones() -> None:
    aws = Aws()
    aws.job("Completed")
    aws.no_log()
    aws.listed(ARN)
    aws.described(ARN, "another-job")
    with pytest.raises(WaitTimeout, match=JOB):
        wait_until_registered(JOB, lambda update: None, watcher=aws.watcher, group=GROUP, timeout=0)
    aws.done()


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_failed_job_is_reported_with_its_reason_and_log(status: str) -> None:
    aws = Aws()
    aws.job(status, FailureReason="AlgorithmError: no card can be read")
    aws.no_log()
    with pytest.raises(JobFailed) as caught:
        aws.watcher.wait_for_training(JOB, lambda update: None)
    words = str(caught.value)
    assert "no card can be read" in words
    assert status.lower() in words
    assert f"--log-stream-name-prefix {JOB}" in words


def test_last_lines_of_a_failed_job_are_shown() -> None:
    aws, seen = Aws(), list[JobUpdate]()
    aws.job("Failed", FailureReason="x")
    aws.log(["the last words"], "t1")
    with pytest.raises(JobFailed):
        aws.watcher.wait_for_training(JOB, seen.append)
    assert seen[-1].lines == ("the last words",)


def test_processing_job_that_is_not_there_yet_is_waited_for() -> None:
    aws, name = Aws(), "compile-student-efficientnet-lite0-stage2-v1-01234567-1"
    aws.on_sagemaker.add_client_error(
        "describe_processing_job",
        "ValidationException",
        "Could not find requested job with name: x",
    )
    aws.no_log(PROCESSING_LOGS, name)
    aws.on_sagemaker.add_response(
        "describe_processing_job",
        {
            "ProcessingJobName": name,
            "ProcessingJobArn": "arn",
            "ProcessingJobStatus": "Completed",
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": "ml.m5.xlarge",
                    "VolumeSizeInGB": 1,
                }
            },
            "AppSpecification": {"ImageUri": "x"},
            "CreationTime": WHEN,
        },
    )
    aws.no_log(PROCESSING_LOGS, name)
    job = aws.watcher.wait_for_processing(name, lambda update: None)
    aws.done()
    assert job["ProcessingJobStatus"] == "Completed"


def test_streams_of_several_instances_are_read_in_the_order_of_time() -> None:
    aws = Aws()
    aws.on_logs.add_response(
        "describe_log_streams",
        {"logStreams": [{"logStreamName": f"{JOB}/algo-{at}"} for at in (1, 2)]},
    )
    for lines in ([(10, "a"), (30, "c")], [(20, "b")]):
        aws.on_logs.add_response(
            "get_log_events",
            {
                "events": [{"timestamp": at, "message": line} for at, line in lines],
                "nextForwardToken": "t",
            },
        )
    assert JobLog(aws.logs, TRAINING_LOGS, JOB).new_lines() == ["a", "b", "c"]
