"""An MLflow App: SageMaker's record, and a real server behind it."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.running_cloud import client_of, make_cloud, make_role, until

pytestmark = pytest.mark.processes


def call(base: str, path: str, request: dict[str, Any] | None = None) -> Any:
    body = json.dumps(request).encode() if request is not None else None
    asked = urllib.request.Request(
        f"{base}/api/2.0/mlflow/{path}", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return json.load(answer)


def answers(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/health", timeout=2):
            return True
    except OSError:
        return False


def refuses_web_pages(base: str) -> None:
    """A foreign Host (DNS rebinding) reads nothing, and a foreign Origin changes nothing."""
    port = int(base.rpartition(":")[2])
    create, search = "/api/2.0/mlflow/experiments/create", "/api/2.0/mlflow/experiments/search"
    for method, path, headers in (
        ("GET", f"{search}?max_results=1", {"Host": f"evil.example:{port}"}),
        ("POST", create, {"Host": "evil.example"}),
        ("POST", create, {"Origin": "https://evil.example"}),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        body = json.dumps({"name": "evil"}) if method == "POST" else None
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        assert answer.status == 403, (method, path, headers, answer.read())
        connection.close()


def test_an_apps_server_keeps_its_runs_over_a_restart_and_ends_with_the_app(
    tmp_path: Path,
) -> None:
    cloud = make_cloud(tmp_path / "state")
    cloud.start()
    try:
        client = client_of(cloud)
        client("s3").create_bucket(
            Bucket="runs", CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
        )
        sagemaker = client("sagemaker")
        arn = sagemaker.create_mlflow_app(
            Name="app",
            ArtifactStoreUri="s3://runs/mlflow",
            RoleArn=make_role(client, "mlflow", "sagemaker.amazonaws.com", []),
        )["Arn"]
        app = sagemaker.describe_mlflow_app(Arn=arn)
        assert app["Status"] == "Created"
        until(lambda: answers(cloud.mlflow_url), seconds=60)
        with urllib.request.urlopen(f"{cloud.mlflow_url}/version", timeout=5) as answer:
            assert answer.read().decode() == app["MlflowVersion"]
        made = call(cloud.mlflow_url, "experiments/create", {"name": "cards"})
        cloud.stop()
        assert not answers(cloud.mlflow_url)
        status = cloud.start()
        assert status.starting == () and answers(cloud.mlflow_url), "up means: MLflow answers too"
        refuses_web_pages(cloud.mlflow_url)
        found = call(cloud.mlflow_url, "experiments/get-by-name?experiment_name=cards")
        experiment = found["experiment"]
        assert experiment["experiment_id"] == made["experiment_id"]
        assert experiment["artifact_location"].startswith("s3://runs/mlflow/")
        sagemaker.delete_mlflow_app(Arn=arn)
        assert not answers(cloud.mlflow_url)
        assert sagemaker.list_mlflow_apps()["Summaries"] == []
    finally:
        cloud.stop()
