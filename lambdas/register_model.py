"""Training job has ended -> its model is a version of the group."""

from __future__ import annotations

from typing import Any

import boto3

from lambdas.events import detail, log
from lambdas.settings import required
from registry.registration import register_training_job

GROUP = required("GROUP_NAME")
TRAINING_BUCKET = required("TRAINING_BUCKET")

_sagemaker = boto3.client("sagemaker")
_s3 = boto3.client("s3")


def handler(event: dict[str, Any], context: Any) -> dict[str, str | None]:
    """Registers the model of the training job that the event names."""
    job_name = detail(event, "TrainingJobName")
    registration = register_training_job(
        _sagemaker, _s3, bucket=TRAINING_BUCKET, job_name=job_name, group=GROUP
    )
    log(
        registration.outcome,
        training_job=job_name,
        package=registration.arn,
        model=registration.name,
        detail=registration.detail,
    )
    return {"outcome": registration.outcome, "package": registration.arn}
