"""The MLflow runs that versions name, with their curves."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli.aws import AwsSession
from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from registry.versions.comparison import TrackedRun
    from registry.versions.packages import Package

#: MLflow's own defaults wait for a silent server for many minutes.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
#: The machine's load is no property of the model.
_OF_THE_MACHINE = "system/"


def tracked_runs(
    aws: AwsSession, packages: Sequence[Package]
) -> tuple[dict[str, TrackedRun], list[str]]:
    """Each version's run, by the version's ARN, and one line for each thing that could not be had.

    A comparison without its runs is still one: nothing here raises for MLflow's sake.
    """
    from registry.versions.metadata import MLFLOW_RUN

    named = {p.arn: run_id for p in packages if (run_id := p.metadata.get(MLFLOW_RUN))}
    if not named:
        return {}, []
    uri = aws.names.mlflow_uri
    if uri == "none":
        return {}, ["MLflow: this deployment has none; the versions' runs are left out"]
    try:
        client = _client(uri)
    except ImportError:
        return {}, [
            "MLflow: its client is not installed, so the runs are left out; "
            "make setup in the repository installs it"
        ]
    found, problems = {}, []
    for package in packages:
        run_id = named.get(package.arn)
        if not run_id:
            continue
        try:
            found[package.arn] = _read(client, run_id)
        except Exception as error:  # whatever ails MLflow, the comparison goes on
            cause = one_line(str(error))[:200] or type(error).__name__
            problems.append(f"MLflow: run {run_id} of {package.label} is left out: {cause}")
    return found, problems


def _client(uri: str) -> Any:
    for key, value in _PATIENCE.items():
        os.environ.setdefault(key, value)
    import mlflow

    # What cannot be had is said in one line of ours.
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    # The plug-in that signs requests to SageMaker asks MLflow for the address, not the client.
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient(uri)


def _read(client: Any, run_id: str) -> TrackedRun:
    from registry.versions.comparison import TrackedRun

    run = client.get_run(run_id)
    metrics = {
        name: float(value)
        for name, value in run.data.metrics.items()
        if not name.startswith(_OF_THE_MACHINE)
    }
    return TrackedRun(
        run_id=run_id,
        status=run.info.status,
        metrics=metrics,
        curves={
            name: [(point.step, point.value) for point in client.get_metric_history(run_id, name)]
            for name in sorted(metrics)
        },
    )
