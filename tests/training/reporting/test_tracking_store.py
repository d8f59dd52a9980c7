"""An s3:// address as MLflow's tracking URI."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from localcloud import LocalCloud
from tests.running_cloud import client_of, make_cloud

LOOK = """
import mlflow
mlflow.set_tracking_uri("s3://runs/mlflow")
try:
    print(mlflow.search_experiments())
except mlflow.exceptions.MlflowException as error:
    print("refused:", error)
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    running = make_cloud(tmp_path_factory.mktemp("cloud"))
    running.start()
    yield running
    running.stop()


def look(cloud: LocalCloud, folder: Path, code: str = LOOK) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **cloud.env()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_package_brings_the_store() -> None:
    found = [one.value for one in entry_points(group="mlflow.tracking_store") if one.name == "s3"]
    assert found == ["training.reporting.tracking_store:open_store"]


@pytest.mark.processes
def test_address_that_no_deployment_has_is_refused_in_a_line(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    said = look(cloud, tmp_path)
    assert said.startswith("refused: s3://runs/mlflow: no deployment keeps MLflow's artifacts")


@pytest.mark.processes
def test_deployment_s_runs_are_found_by_the_address_of_its_artifacts(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    client = client_of(cloud)
    client("s3").create_bucket(
        Bucket="runs", CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )
    app = client("sagemaker").create_mlflow_app(
        Name="runs",
        ArtifactStoreUri="s3://runs/mlflow",
        RoleArn="arn:aws:iam::000000000000:role/any",
    )["Arn"]
    for key, value in (("mlflow-bucket", "runs"), ("mlflow-uri", app)):
        client("ssm").put_parameter(Name=f"/cards/dev/{key}", Value=value, Type="String")
    code = """
import mlflow
for _ in range(2):  # the second time, the store is the one that was made before
    mlflow.set_tracking_uri("s3://runs/mlflow")
    mlflow.set_experiment("cards")
    with mlflow.start_run():
        mlflow.log_metric("top1", 0.5)
runs = mlflow.search_runs(experiment_names=["cards"])
print(len(runs), set(runs["metrics.top1"]))
client = mlflow.MlflowClient(tracking_uri="s3://runs")
print([e.artifact_location for e in client.search_experiments() if e.name == "cards"])
"""
    said = look(cloud, tmp_path, code)
    assert "2 {0.5}" in said
    assert "['s3://runs/mlflow/" in said
