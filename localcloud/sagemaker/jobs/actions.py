"""Create, Describe, List and Stop of training and processing jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.sagemaker import events
from localcloud.sagemaker.errors import in_use, invalid
from localcloud.sagemaker.jobs import runner, training
from localcloud.sagemaker.roles import check_pass_role, check_tagging
from localcloud.sagemaker.store import (
    LOCK,
    Record,
    arn,
    between,
    named,
    now,
    paginate,
    store,
    tag_map,
)

ACTIVE = ("InProgress", "Stopping")
_SUMMARY = ("CreationTime", "LastModifiedTime", "FailureReason", "ExitMessage", "SecondaryStatus")


@dataclass(frozen=True)
class JobKind:
    """One kind of job: ``Training`` or ``Processing``."""

    name: str

    @property
    def job(self) -> str:
        """What its keys begin with, for example ``TrainingJob``."""
        return f"{self.name}Job"

    def arn(self, job_name: str) -> str:
        """The ARN of a job of this kind."""
        return arn(f"{self.name.lower()}-job", job_name)

    def create(self, request: Record) -> Record:
        """CreateTrainingJob / CreateProcessingJob."""
        job_name = request[f"{self.job}Name"]
        job_arn = self.arn(job_name)
        if job_arn in store().jobs:
            raise in_use(
                "Job name must be unique within an AWS account and region, and a "
                f"{self.name.lower()} job with this name already exists ({job_arn})"
            )
        if self.name == "Training":
            _check_algorithm(request["AlgorithmSpecification"])
        check_pass_role(request["RoleArn"], job_arn)
        check_tagging(job_arn, request.get("Tags"))
        job: Record = {
            **{key: value for key, value in request.items() if key != "Tags"},
            f"{self.job}Arn": job_arn,
            f"{self.job}Status": "InProgress",
            "CreationTime": now(),
            "LastModifiedTime": now(),
        }
        if self.name == "Training":
            job |= {
                "SecondaryStatus": "Starting",
                "SecondaryStatusTransitions": [
                    {"Status": "Starting", "StartTime": now(), "StatusMessage": "Starting"}
                ],
                "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
                "EnableManagedSpotTraining": request.get("EnableManagedSpotTraining", False),
            }
        store().jobs[job_arn] = job
        store().tags[job_arn] = tag_map(request.get("Tags"))
        events.job_changed(self.name, job)
        runner.submit(self.name, job)
        return {f"{self.job}Arn": job_arn}

    def record(self, job_name: str) -> Record:
        """The job's record.

        Raises:
            AwsError: There is none, in SageMaker's words.
        """
        found = store().jobs.get(self.arn(job_name))
        if found is None:
            # The words by which AWS's own controllers tell it (sagemaker-controller's
            # generator.yaml), and amazon-sagemaker-examples#2360.
            raise invalid(
                "Requested resource not found."
                if self.name == "Training"
                else f"Could not find requested job with name: {job_name}"
            )
        return found

    def describe(self, request: Record) -> Record:
        """DescribeTrainingJob / DescribeProcessingJob."""
        return self.record(request[f"{self.job}Name"])

    def list(self, request: Record) -> Record:
        """ListTrainingJobs / ListProcessingJobs."""
        jobs = [job for job in store().jobs.values() if f"{self.job}Arn" in job]
        status, key = request.get("StatusEquals"), f"{self.job}Name"
        contains = named(request, key)
        return paginate(
            between(jobs, request),
            request,
            f"{self.job}Summaries",
            order="Ascending",
            name_key=key,
            sort_keys={"Status": lambda job: job[f"{self.job}Status"]},
            size=10,
            keep=lambda job: contains(job) and status in (None, job[f"{self.job}Status"]),
            row=self._summary,
        )

    def stop(self, request: Record) -> Record:
        """StopTrainingJob / StopProcessingJob."""
        job = self.record(request[f"{self.job}Name"])
        status = job[f"{self.job}Status"]
        if status not in ACTIVE:
            raise invalid(
                f"The request was rejected because the {self.name.lower()} job is in status "
                f"{status}."
            )
        if status == "InProgress":
            job[f"{self.job}Status"] = "Stopping"
            job["LastModifiedTime"] = now()
            if self.name == "Training":
                training.enter(job, "Stopping", "Stopping the training job")
            events.job_changed(self.name, job)
            runner.stop(self.name, job)
        return {}

    def _summary(self, job: Record) -> Record:
        keys = (
            *(f"{self.job}Name", f"{self.job}Arn", f"{self.job}Status"),
            *(f"{self.name}EndTime", f"{self.name}StartTime", *_SUMMARY),
        )
        return {key: job[key] for key in keys if job.get(key) is not None}


def _check_algorithm(specification: Record) -> None:
    given = [key for key in ("TrainingImage", "AlgorithmName") if specification.get(key)]
    if len(given) != 1:
        raise invalid(
            "You must specify either an algorithm name or a training image, "
            f"and not {'both' if given else 'neither'}."
        )


TRAINING = JobKind("Training")
PROCESSING = JobKind("Processing")

ACTIONS: dict[str, Callable[[Record], Record]] = {
    f"{verb}{kind.job}{plural}": getattr(kind, method)
    for kind in (TRAINING, PROCESSING)
    for verb, plural, method in (
        ("Create", "", "create"),
        ("Describe", "", "describe"),
        ("List", "s", "list"),
        ("Stop", "", "stop"),
    )
}


def fail_interrupted() -> None:
    """Ends jobs that a stop of the local cloud interrupted; for the start after it.

    Otherwise a client that waits for the end of such a job would wait for ever.
    """
    runner.remove_job_folders()
    with LOCK:
        tables: dict[str, Any] = store().jobs
        for job in tables.values():
            kind = TRAINING if "TrainingJobArn" in job else PROCESSING
            if job[f"{kind.job}Status"] in ACTIVE:
                runner.end(
                    kind.name,
                    job,
                    "Failed",
                    reason="InternalServerError: the local cloud was stopped while the job ran",
                )
