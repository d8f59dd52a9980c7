"""Following a job: its status, its log, and the registration of what it made."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws_errors import is_missing
from registry.versions.metadata import TRAINING_JOB
from registry.versions.packages import Package, describe, iterate

if TYPE_CHECKING:
    from mypy_boto3_logs.client import CloudWatchLogsClient
    from mypy_boto3_sagemaker.client import SageMakerClient

TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"
PROCESSING_LOGS = "/aws/sagemaker/ProcessingJobs"
_EVENTS_A_LOOK = 1000
_ENDED = ("Completed", "Failed", "Stopped")


class JobFailed(RuntimeError):
    """A job that ended without its result; names it, the reason and where its log is."""


class WaitTimeout(RuntimeError):
    """Something that should have happened by now; says where to look."""


@dataclass(frozen=True)
class JobUpdate:
    """One look at a job.

    Attributes:
        status: SageMaker's status, for example ``InProgress``.
        detail: Its secondary status, for example ``Downloading``; may be empty.
        lines: What it has logged since the last look.
    """

    job_name: str
    status: str
    detail: str = ""
    lines: tuple[str, ...] = ()


Progress = Callable[[JobUpdate], None]


@dataclass
class JobLog:
    """Reads the log of a job from CloudWatch Logs as it grows.

    Attributes:
        group: :data:`TRAINING_LOGS` or :data:`PROCESSING_LOGS`.
        job_name: Streams are named ``<job name>/…``, one an instance.
    """

    logs: CloudWatchLogsClient
    group: str
    job_name: str
    _tokens: dict[str, str] = field(default_factory=dict)

    def new_lines(self) -> list[str]:
        """The lines since the last call; none while there is no log yet."""
        lines: list[tuple[int, str]] = []
        for stream in self._streams():
            query: dict[str, Any] = {
                "logGroupName": self.group,
                "logStreamName": stream,
                "startFromHead": True,
                "limit": _EVENTS_A_LOOK,
            }
            if stream in self._tokens:
                query["nextToken"] = self._tokens[stream]
            answer = self.logs.get_log_events(**query)
            self._tokens[stream] = answer["nextForwardToken"]
            lines += [(event["timestamp"], event["message"]) for event in answer["events"]]
        # A stable sort: lines of the same millisecond stay in their order.
        return [text.rstrip() for _, text in sorted(lines, key=lambda line: line[0])]

    def _streams(self) -> list[str]:
        try:
            pages = self.logs.get_paginator("describe_log_streams").paginate(
                logGroupName=self.group, logStreamNamePrefix=f"{self.job_name}/"
            )
            return [row["logStreamName"] for page in pages for row in page["logStreams"]]
        except ClientError as error:
            if is_missing(error):
                return []
            raise


@dataclass(frozen=True)
class Watcher:
    """Waits for jobs and for what comes of them.

    Attributes:
        sagemaker: A boto3 SageMaker client.
        logs: A boto3 CloudWatch Logs client.
        interval: Seconds between two looks; SageMaker throttles an account that asks too often.
    """

    sagemaker: SageMakerClient
    logs: CloudWatchLogsClient
    interval: float = 10.0

    def wait_for_training(self, job_name: str, progress: Progress) -> dict[str, Any]:
        """Waits until a training job has ended well.

        Returns:
            DescribeTrainingJob's answer.

        Raises:
            JobFailed: It failed or was stopped; with SageMaker's reason.
        """
        log = JobLog(self.logs, TRAINING_LOGS, job_name)
        while True:
            job = self.sagemaker.describe_training_job(TrainingJobName=job_name)
            status = job["TrainingJobStatus"]
            # The log is read after the status, so that an ended job's last lines are seen.
            lines = tuple(log.new_lines())
            progress(JobUpdate(job_name, status, job.get("SecondaryStatus", ""), lines))
            if status in _ENDED:
                _check_ended("training job", job_name, status, job, TRAINING_LOGS)
                return dict(job)
            time.sleep(self.interval)

    def wait_for_registration(
        self, job: dict[str, Any], group: str, progress: Progress, timeout: float = 180.0
    ) -> Package:
        """Waits until the model of a completed training job stands in the group.

        Args:
            job: What :meth:`wait_for_training` returned.
            group: The model package group.
            progress: Told about each look.
            timeout: Seconds after which something must be wrong.

        Raises:
            WaitTimeout: No version names the job.
        """
        job_name = job["TrainingJobName"]
        until = time.monotonic() + timeout
        while True:
            for row in iterate(self.sagemaker, group, created_after=job["CreationTime"]):
                package = describe(self.sagemaker, row.arn)
                if package and package.metadata.get(TRAINING_JOB) == job_name:
                    return package
            if time.monotonic() >= until:
                raise WaitTimeout(
                    f"training job {job_name} completed, and {timeout:.0f} s later no version of "
                    f"{group} names it"
                )
            progress(JobUpdate(job_name, "Completed", "Registering"))
            time.sleep(min(self.interval, 2.0))

    def wait_for_processing(self, job_name: str, progress: Progress) -> dict[str, Any]:
        """Waits until a processing job has ended well; it may not have been created yet.

        Raises:
            JobFailed: It failed or was stopped; with its last words.
        """
        log = JobLog(self.logs, PROCESSING_LOGS, job_name)
        while True:
            job: Mapping[str, Any]
            try:
                job = self.sagemaker.describe_processing_job(ProcessingJobName=job_name)
            except ClientError as error:
                if not is_missing(error):
                    raise
                job = {"ProcessingJobStatus": "Pending"}
            status = job["ProcessingJobStatus"]
            progress(JobUpdate(job_name, status, "", tuple(log.new_lines())))
            if status in _ENDED:
                _check_ended("processing job", job_name, status, job, PROCESSING_LOGS)
                return dict(job)
            time.sleep(self.interval)


def wait_until_registered(
    job_name: str, progress: Progress, *, watcher: Watcher, group: str, timeout: float = 180.0
) -> Package:
    """Waits for a training job and then for its registration.

    Args:
        job_name: The job.
        progress: Told about each look, with the new lines of the log.
        watcher: The clients.
        group: The model package group.
        timeout: Seconds from the job's end within which the version must appear.

    Returns:
        The version that it became.

    Raises:
        JobFailed: The job failed or was stopped.
        WaitTimeout: The job ended well and was not registered.
    """
    job = watcher.wait_for_training(job_name, progress)
    return watcher.wait_for_registration(job, group, progress, timeout)


def log_command(group: str, prefix: str) -> str:
    """The AWS command that prints a job's log; version 1 of the AWS CLI has no `logs tail`."""
    return (
        f"aws logs filter-log-events --log-group-name {group} --log-stream-name-prefix {prefix} "
        "--query 'events[].message' --output text"
    )


def _check_ended(
    kind: str, job_name: str, status: str, job: Mapping[str, Any], log_group: str
) -> None:
    if status == "Completed":
        return
    reason = job.get("ExitMessage") or job.get("FailureReason") or "no reason given"
    raise JobFailed(
        f"{kind} {job_name} {status.lower()}: {reason}; its log: {log_command(log_group, job_name)}"
    )
