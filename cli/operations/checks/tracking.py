"""MLflow: the App or tracking server, whether it answers, and the experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.operations.checks.check import (
    Check,
    CheckContext,
    CheckResult,
    failed,
    ok,
    unchecked,
    warning,
)

_SETUP = "python scripts/setup_sagemaker_project.py"
_RESTART = "cards local status says whether it has ended; cards local down, then cards local up"


def mlflow(context: CheckContext) -> Iterator[CheckResult]:
    """The App or server is up, answers, and holds the experiment."""
    from registry.names import EXPERIMENT, NO_MLFLOW
    from registry.tracking.mlflow_api import MlflowError, find_experiment

    uri = context.names.mlflow_uri
    if uri == NO_MLFLOW:
        yield ok(
            "none, as the deployment chose; runs are not tracked: -c cards.mlflow=app changes it"
        )
        return
    fault = _state(context, uri)
    if fault:
        yield fault
        return
    try:
        experiment = find_experiment(context.aws.session, uri, EXPERIMENT)
    except MlflowError as error:
        remedy = _RESTART if context.aws.is_local else "look at it in SageMaker Studio"
        yield failed(f"does not answer: {error}", remedy)
        return
    if experiment is None:
        yield warning(f"{uri} has no experiment {EXPERIMENT}", _SETUP)
        return
    if experiment.deleted:
        yield failed(
            f"experiment {EXPERIMENT} was deleted; jobs cannot log their runs until it is restored",
            _SETUP,
        )
        return
    yield ok(f"{uri}, experiment {EXPERIMENT}")


def _state(context: CheckContext, uri: str) -> CheckResult | None:
    """What SageMaker says about the App or server, where that is not good."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    kind, _, name = uri.rpartition(":")[2].partition("/")
    sagemaker = context.client("sagemaker")
    try:
        if kind == "mlflow-app":
            answer: Mapping[str, Any] = sagemaker.describe_mlflow_app(Arn=uri)
            return judge_app(uri, str(answer.get("Status")), context.deploy)
        if kind == "mlflow-tracking-server":
            answer = sagemaker.describe_mlflow_tracking_server(TrackingServerName=name)
            return judge_server(
                name, str(answer.get("TrackingServerStatus")), str(answer.get("IsActive"))
            )
    except ClientError as error:
        if not is_missing(error):
            raise
        return failed(f"{uri} does not exist", context.restore)
    return unchecked(f"{uri} is no ARN of an App or a tracking server")


def judge_app(uri: str, status: str, deploy: str) -> CheckResult | None:
    """An App's status; None where it can be used."""
    if status in ("Created", "Updated", "UpdateFailed"):
        return None
    if status in ("Creating", "Updating"):
        return warning(f"{uri} is {status}; runs are not tracked meanwhile", "wait some minutes")
    return failed(f"{uri} is {status}", deploy)


def judge_server(name: str, status: str, active: str) -> CheckResult | None:
    """A tracking server's status; None where it can be used."""
    if active == "Active" and not status.endswith("Failed"):
        return None
    if status in ("Creating", "Starting", "Updating", "MaintenanceInProgress"):
        return warning(f"tracking server {name} is {status}", "wait; it takes up to half an hour")
    return failed(
        f"tracking server {name} is {status}",
        f"aws sagemaker start-mlflow-tracking-server --tracking-server-name {name}",
    )


CHECKS = (Check("mlflow", mlflow, ("deployment",)),)
