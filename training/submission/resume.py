"""Going on with a job that was stopped: the same request anew, with the old one's checkpoints.

The request is made from DescribeTrainingJob's answer and not planned again, so that the code, the
settings and the data are those of the job that was stopped, whatever has changed since.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws_errors import is_missing
from registry.names import JOB_NAME_LIMIT
from registry.versions.four_eyes import FIRST_SUBMITTED_BY, SUBMITTED_BY
from training.page_facts import PageFacts
from training.submission.training_plan import SubmitError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

_RESUMABLE = ("Stopped", "Failed")
#: What CreateTrainingJob takes back of what DescribeTrainingJob answers.
_KEPT = (
    *("AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig"),
    *("ResourceConfig", "VpcConfig", "StoppingCondition", "EnableNetworkIsolation"),
    *("EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "CheckpointConfig"),
    *("DebugHookConfig", "Environment", "ProfilerConfig"),
)
_STAMP = re.compile(r"(-\d{8}-\d{6}-[0-9a-f]{4})+$")


def resume(
    sagemaker: SageMakerClient, job_name: str, submitted_by: str, now: datetime | None = None
) -> str:
    """Starts the job anew.

    Args:
        sagemaker: A boto3 SageMaker client.
        job_name: The job that was stopped, or failed.
        submitted_by: AWS's own id of the caller (``UserId`` of ``GetCallerIdentity``).
        now: The time in the new job's name.

    Returns:
        The new job's name.

    Raises:
        SubmitError: There is no such job, it is still running or has ended well, or it kept no
            checkpoints.
    """
    try:
        job = sagemaker.describe_training_job(TrainingJobName=job_name)
    except ClientError as error:
        if is_missing(error):
            raise SubmitError(f"training job {job_name}: there is none of that name") from None
        raise
    status = job["TrainingJobStatus"]
    if status == "Stopping":
        # Its last checkpoint may be on its way still.
        raise SubmitError(f"training job {job_name}: is Stopping; try again when it has stopped")
    if status not in _RESUMABLE:
        ending = "has ended well" if status == "Completed" else f"is {status}"
        raise SubmitError(f"training job {job_name}: {ending}; there is nothing to resume")
    if not job.get("CheckpointConfig"):
        raise SubmitError(f"training job {job_name}: kept no checkpoints; train anew")
    name = _name(job_name, now or datetime.now())
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=job["TrainingJobArn"])
    # AWS's own tags (aws:…) are listed with the others and refused when they are given.
    tags = {
        tag["Key"]: tag["Value"]
        for page in pages
        for tag in page["Tags"]
        if not tag["Key"].lower().startswith("aws:")
    }
    first = tags.get(FIRST_SUBMITTED_BY) or tags.get(SUBMITTED_BY)
    # Who resumes it, beside who decided on its code and settings.
    tags |= {SUBMITTED_BY: submitted_by} | ({FIRST_SUBMITTED_BY: first} if first else {})
    people = tuple(dict.fromkeys([first or submitted_by, submitted_by]))
    anew = request(job, name)
    anew["Environment"] = {
        **anew.get("Environment", {}),
        **PageFacts(submitted_by=people).environment(),
    }
    sagemaker.create_training_job(
        **anew, Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    return name


def request(job: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The CreateTrainingJob request of a described job, under another name."""
    given = {key: job[key] for key in _KEPT if job.get(key)}
    algorithm = dict(given["AlgorithmSpecification"])
    # What it trains with is an image or an algorithm; SageMaker answers both, one of them empty.
    given["AlgorithmSpecification"] = {key: value for key, value in algorithm.items() if value}
    settings = dict(job.get("HyperParameters", {}))
    if "sagemaker_job_name" in settings:
        settings["sagemaker_job_name"] = json.dumps(name)
    return {"TrainingJobName": name, "HyperParameters": settings, **given}


def _name(job_name: str, now: datetime) -> str:
    stamp = f"-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    return _STAMP.sub("", job_name)[: JOB_NAME_LIMIT - len(stamp)] + stamp
