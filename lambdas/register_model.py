"""Training job has ended -> its model is a version of the group, and its run names the version."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.events import detail, log
from lambdas.metrics import count
from lambdas.settings import deployment, notifier, required
from registry.names import NO_MLFLOW
from registry.registration.register import REGISTERED_AS_FAILED, Registration, register_training_job
from registry.registration.waiting_notice import publish_waiting_notice
from registry.tracking.mlflow_api import PACKAGE_ARN_TAG, PACKAGE_NAME_TAG, MlflowError, set_tags

MLFLOW_URI = required("MLFLOW_URI")

_session = boto3.Session()
_deployment = deployment()
_notifier = notifier()


def handler(event: dict[str, Any], context: Any) -> dict[str, str | None]:
    """Registers the model of the training job that the event names."""
    job_name = detail(event, "TrainingJobName")
    registration = register_training_job(_deployment, job_name)
    log(
        registration.outcome,
        training_job=job_name,
        package=registration.arn,
        model=registration.name,
        detail=registration.detail,
    )
    if registration.outcome == REGISTERED_AS_FAILED:
        count("RunFailed", registration.name or "")
    _name_on_run(registration)
    _announce(registration)
    return {"outcome": registration.outcome, "package": registration.arn}


def _announce(registration: Registration) -> None:
    """A failure here does not fail the registration: the version waits, and the list shows it."""
    try:
        publish_waiting_notice(_notifier, registration)
    except (ClientError, BotoCoreError) as error:
        log("notice not sent", package=registration.arn, cause=str(error))


def _name_on_run(registration: Registration) -> None:
    """A failure here does not fail the registration; a repeated event tags the run again."""
    if not registration.mlflow_run_id or not registration.arn or MLFLOW_URI == NO_MLFLOW:
        return
    tags = {PACKAGE_ARN_TAG: registration.arn, PACKAGE_NAME_TAG: registration.name or ""}
    try:
        set_tags(_session, MLFLOW_URI, registration.mlflow_run_id, tags)
    except MlflowError as error:
        log("run not tagged", package=registration.arn, cause=str(error))
