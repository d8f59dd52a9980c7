"""The MLflow experiment that every run is logged to."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cli.aws import AwsSession
from cli.errors import CliError
from registry.untrusted.text import one_line

#: MLflow's own defaults wait for a silent server for many minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


@dataclass(frozen=True)
class Experiment:
    """The experiment after it was looked for.

    Attributes:
        made: Whether it was made now.
        words: What happened.
    """

    name: str
    made: bool
    words: str


def ensure_experiment(aws: AwsSession) -> Experiment:
    """Finds the experiment in the deployment's MLflow, restores it if deleted, or makes it.

    Raises:
        CliError: MLflow's client is not installed, or MLflow cannot be reached.
    """
    from registry.names import EXPERIMENT, NO_MLFLOW

    uri = aws.names.mlflow_uri
    if uri == NO_MLFLOW:
        words = "not made: this deployment has no MLflow; cdk deploy --all -c cards.mlflow=app"
        return Experiment(EXPERIMENT, False, words)
    for key, value in PATIENCE.items():
        os.environ.setdefault(key, value)
    try:
        import mlflow
        from mlflow.entities import LifecycleStage
    except ImportError:
        raise CliError(
            "MLflow's client is not installed; make setup in the repository installs it"
        ) from None
    # The plug-in that signs requests to SageMaker asks MLflow for the address, not the client.
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient(uri)
    try:
        found = client.get_experiment_by_name(EXPERIMENT)
        if found and found.lifecycle_stage == LifecycleStage.DELETED:
            client.restore_experiment(found.experiment_id)
            return Experiment(EXPERIMENT, False, "was deleted; restored with its runs")
        if found:
            return Experiment(EXPERIMENT, False, "is there")
        client.create_experiment(EXPERIMENT)
    except mlflow.exceptions.MlflowException as error:
        cause = one_line(str(error))[:300]
        raise CliError(f"MLflow at {uri}: {cause}; cards doctor looks closer") from None
    return Experiment(EXPERIMENT, True, "made")
