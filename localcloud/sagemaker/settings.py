"""The server's settings, which the supervisor passes in environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The server's settings.

    Attributes:
        endpoint: Address of the local cloud, for jobs and functions.
        state_dir: Where its state lies.
        job_python: The interpreter whose environment stands for every container image.
        lambda_python: The interpreter that functions run in.
        mlflow_port: Where the MLflow server listens.
        parallel_jobs: How many jobs run at once; more wait.
        stop_grace: Seconds between SIGTERM and SIGKILL for a job that is stopped.
    """

    endpoint: str
    state_dir: Path
    job_python: Path
    lambda_python: Path
    mlflow_port: int
    parallel_jobs: int
    stop_grace: float


@cache
def settings() -> Settings:
    """Reads the settings once."""
    return Settings(
        endpoint=os.environ["LOCALCLOUD_ENDPOINT"],
        state_dir=Path(os.environ["LOCALCLOUD_STATE_DIR"]),
        job_python=Path(os.environ["LOCALCLOUD_JOB_PYTHON"]),
        lambda_python=Path(os.environ["LOCALCLOUD_LAMBDA_PYTHON"]),
        mlflow_port=int(os.environ["LOCALCLOUD_MLFLOW_PORT"]),
        parallel_jobs=int(os.environ.get("LOCALCLOUD_PARALLEL_JOBS", "1")),
        stop_grace=float(os.environ.get("LOCALCLOUD_STOP_GRACE", "120")),
    )
