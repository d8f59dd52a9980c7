"""Runs logged to MLflow, where there is an MLflow.

A tracking server that cannot be reached must not cost a trained model: the first failure is said
in one line, and the job goes on without tracking.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.names import EXPERIMENT
from registry.untrusted.text import one_line

_URI = "MLFLOW_TRACKING_URI"
_EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
# MLflow's own defaults wait for a silent server for many minutes.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}
#: Its links are of this machine, and one line a run is enough.
_QUIET = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
_VALUE_LIMIT = 500
_SAMPLING_SECONDS = 5
#: Files beyond this many bytes are not stored a second time.
_FILE_LIMIT = 64 * 1024**2


class _DeletedExperimentError(RuntimeError):
    """MLflow keeps the experiment as deleted and takes no runs for it."""


class Tracker:
    """One run, or nothing where no tracking server is named or it cannot be reached.

    Attributes:
        run_id: MLflow's id of the run; None without one.
    """

    def __init__(self) -> None:
        self.run_id: str | None = None
        self._client: Any = None
        self._monitor: Any = None

    @classmethod
    def start(cls, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> Tracker:
        """Starts a run in the experiment that the environment names.

        Args:
            name: The run's name.
            parameters: Logged as MLflow parameters.
            tags: The run's tags.
        """
        tracker = cls()
        uri = os.environ.get(_URI, "").strip()
        if not uri:
            print(f"tracking: {_URI} is not set; this run is not logged to MLflow", flush=True)
            return tracker
        for key, value in (_PATIENCE | _QUIET).items():
            os.environ.setdefault(key, value)
        try:
            from mlflow import MlflowClient
            from mlflow.entities import LifecycleStage, Param

            client = MlflowClient(tracking_uri=uri)
            experiment = os.environ.get(_EXPERIMENT) or EXPERIMENT
            found = client.get_experiment_by_name(experiment)
            if found and found.lifecycle_stage == LifecycleStage.DELETED:
                # Jobs may not restore it: a person deleted it.
                raise _DeletedExperimentError(
                    f"experiment {experiment} was deleted; "
                    "python scripts/setup_sagemaker_project.py restores it"
                )
            identity = found.experiment_id if found else _created(client, experiment)
            run = client.create_run(identity, run_name=name, tags=dict(tags))
            tracker._client, tracker.run_id = client, run.info.run_id
            client.log_batch(
                run.info.run_id,
                params=[Param(k, str(v)[:_VALUE_LIMIT]) for k, v in parameters.items()],
            )
            print(f"tracking: run {run.info.run_id} of experiment {experiment}", flush=True)
            tracker._watch_machine(uri)
        except Exception as error:  # whatever it is, it must not cost the model
            tracker._lost(error)
        return tracker

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Logs values at a step."""
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entries = [Metric(name, float(value), now, step) for name, value in values.items()]
        self._try("log_batch", metrics=entries)

    def document(self, content: Mapping[str, Any], name: str) -> None:
        """Stores a JSON document as an artifact of the run."""
        self._try("log_dict", dict(content), name)

    def figure(self, figure: Any, name: str) -> None:
        """Stores a matplotlib figure as an artifact of the run."""
        self._try("log_figure", figure, name)

    def file(self, path: Path) -> None:
        """Stores a file as an artifact of the run."""
        self._try("log_artifact", str(path))

    def model(self, folder: Path) -> None:
        """Stores a model's files as artifacts of the run, those that are not large.

        A large one lies where SageMaker uploads it, and in no second place: the run's tag
        ``model_package_name`` leads there once the model is registered.
        """
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.stat().st_size <= _FILE_LIMIT:
                self._try("log_artifact", str(path), "model")

    def finish(self, status: str = "FINISHED") -> None:
        """Ends the run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
        self._try("set_terminated", status)
        self._client = None

    def _watch_machine(self, uri: str) -> None:
        """Logs the machine's load beside the metrics, as ``system/…``."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        # It tells the log that it starts and stops.
        logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
        monitor: Any = SystemMetricsMonitor
        self._monitor = monitor(self.run_id, sampling_interval=_SAMPLING_SECONDS, tracking_uri=uri)
        self._monitor.start()

    def _try(self, method: str, *arguments: Any, **named: Any) -> None:
        if self._client is None:
            return
        try:
            getattr(self._client, method)(self.run_id, *arguments, **named)
        except Exception as error:  # as above
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        """Says what happened and goes on without tracking; a run that exists keeps its id."""
        self._client = None
        cause = one_line(str(error))[:300] or type(error).__name__
        left = f"run {self.run_id} stays unfinished" if self.run_id else "no run was made"
        print(
            f"warning: tracking: MLflow at {os.environ.get(_URI)} failed ({cause}); {left}, "
            "training goes on without it",
            file=sys.stderr,
            flush=True,
        )


def _created(client: Any, experiment: str) -> str:
    """Creates an experiment; a job that started at the same time may have been first."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(experiment))
    except MlflowException:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            raise
        return str(found.experiment_id)
