"""An MLflow App: SageMaker's record, and a real server behind it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from localcloud import LocalCloud
from tests.cli.command import cards, refused
from tests.running_cloud import Client, client_of, make_cloud, make_role, until

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


def says_that_it_ended(cloud: LocalCloud) -> None:
    """Ends MLflow alone, as a machine without memory does."""
    where = ["--state-dir", str(cloud.state_dir), "--port", str(cloud.port)]
    assert cards("local", "status", *where).code == 0
    for pid in mlflow_processes(cloud):
        os.kill(pid, signal.SIGKILL)
    until(lambda: cloud.status().ended == ("MLflow",), seconds=20)
    done = cards("local", "status", "--json", *where)
    assert (done.code, done.json["ended"]) == (1, "MLflow")
    refused(cards("local", "up", *where), "MLflow has ended", "cards local down")


def mlflow_processes(cloud: LocalCloud) -> list[int]:
    """MLflow's server and its worker, without the local cloud's launcher of them."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = line.read_bytes().decode(errors="replace").split("\0")
            launcher = any(word.endswith("end_with_parent.py") for word in words)
            if str(cloud.mlflow_port) in words and not launcher:
                found.append(int(line.parent.name))
    return found


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
        assert sagemaker.describe_mlflow_app(Arn=arn)["Status"] == "Creating"
        until(lambda: sagemaker.describe_mlflow_app(Arn=arn)["Status"] != "Creating", seconds=60)
        app = sagemaker.describe_mlflow_app(Arn=arn)
        assert app["Status"] == "Created" and answers(cloud.mlflow_url)
        with urllib.request.urlopen(f"{cloud.mlflow_url}/version", timeout=5) as answer:
            assert answer.read().decode() == app["MlflowVersion"]
        made = call(cloud.mlflow_url, "experiments/create", {"name": "cards"})
        cloud.stop()
        assert not answers(cloud.mlflow_url)
        status = cloud.start()
        assert status.starting == () and answers(cloud.mlflow_url), "up means: MLflow answers too"
        refuses_web_pages(cloud.mlflow_url)
        says_that_it_ended(cloud)
        cloud.stop()
        assert cloud.start().ended == () and answers(cloud.mlflow_url)
        found = call(cloud.mlflow_url, "experiments/get-by-name?experiment_name=cards")
        experiment = found["experiment"]
        assert experiment["experiment_id"] == made["experiment_id"]
        assert experiment["artifact_location"].startswith("s3://runs/mlflow/")
        sagemaker.delete_mlflow_app(Arn=arn)
        assert not answers(cloud.mlflow_url)
        assert sagemaker.list_mlflow_apps()["Summaries"] == []
    finally:
        cloud.stop()


STORE = {"ArtifactStoreUri": "s3://runs/mlflow", "RoleArn": "arn:aws:iam::000000000000:role/m"}
APP = {"Type": "AWS::SageMaker::MlflowApp", "Properties": {"Name": "of-a-template", **STORE}}
SERVER = {
    "Type": "AWS::SageMaker::MlflowTrackingServer",
    "Properties": {"TrackingServerName": "of-a-template", **STORE},
}


def deploy(client: Client, stack: str, resource: dict[str, Any]) -> None:
    template = json.dumps({"Resources": {"Tracking": resource}})
    client("cloudformation").create_stack(StackName=stack, TemplateBody=template)


def stack_status(client: Client, stack: str) -> str:
    described = client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return str(described["StackStatus"])


def settled(client: Client, stack: str) -> str:
    """The stack's status once its operation has ended."""
    status = stack_status(client, stack)
    return "" if status.endswith("_IN_PROGRESS") else status


def test_template_waits_for_a_server_that_answers_while_the_cloud_answers_others(
    tmp_path: Path,
) -> None:
    cloud = make_cloud(tmp_path / "state")
    cloud.start()
    try:
        client = client_of(cloud)
        deploy(client, "app", APP)
        apps = until(lambda: client("sagemaker").list_mlflow_apps()["Summaries"])
        assert [app["Status"] for app in apps] == ["Creating"]
        assert stack_status(client, "app") == "CREATE_IN_PROGRESS"
        other = client("sagemaker").create_mlflow_app(Name="other", **STORE)["Arn"]
        assert until(lambda: settled(client, "app"), seconds=60) == "CREATE_COMPLETE"
        assert answers(cloud.mlflow_url)
        describe = client("sagemaker").describe_mlflow_app
        assert describe(Arn=other)["Status"] == "Created"
        # Its server answers already.
        deploy(client, "server", SERVER)
        assert until(lambda: settled(client, "server")) == "CREATE_COMPLETE"
        found = client("sagemaker").describe_mlflow_tracking_server(
            TrackingServerName="of-a-template"
        )
        assert (found["TrackingServerStatus"], found["IsActive"]) == ("Created", "Active")
    finally:
        cloud.stop()


def test_app_in_creation_is_created_after_a_restart(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path / "state")
    cloud.start()
    try:
        client = client_of(cloud)
        arn = client("sagemaker").create_mlflow_app(Name="app", **STORE)["Arn"]
        cloud.stop()
        cloud.start()
        describe = client_of(cloud)("sagemaker").describe_mlflow_app
        assert until(lambda: describe(Arn=arn)["Status"] == "Created")
    finally:
        cloud.stop()


def test_server_that_ends_before_it_answers_fails_what_was_in_creation(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path / "state")
    cloud.start()
    try:
        client = client_of(cloud)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", cloud.mlflow_port))
            arn = client("sagemaker").create_mlflow_app(Name="app", **STORE)["Arn"]
            describe = client("sagemaker").describe_mlflow_app
            until(lambda: describe(Arn=arn)["Status"] == "CreateFailed", seconds=60)
            deploy(client, "app", APP)
            assert until(lambda: settled(client, "app"), seconds=60).startswith("ROLLBACK")
        events = client("cloudformation").describe_stack_events(StackName="app")["StackEvents"]
        reasons = [event.get("ResourceStatusReason", "") for event in events]
        assert any("CreateFailed" in text and "server.log" in text for text in reasons), reasons
        left = client("sagemaker").list_mlflow_apps()["Summaries"]
        assert [app["Arn"] for app in left] == [arn]
    finally:
        cloud.stop()
