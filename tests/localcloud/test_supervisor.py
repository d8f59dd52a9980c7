"""Starting, stopping, and keeping state."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import LocalCloud, LocalCloudError, server_lock
from tests.running_cloud import Client, client_of, make_cloud, make_role, queue_of, until

pytestmark = pytest.mark.processes


def test_state_survives_a_stop_and_a_start(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path)
    cloud.start()
    try:
        client = client_of(cloud)
        client("sagemaker").create_model_package_group(ModelPackageGroupName="kept")
        make_bucket(client, "kept")
        client("s3").put_object(Bucket="kept", Key="k", Body=b"x")
        assert cloud.stop()
        assert not cloud.status().running
        cloud.start()
        groups = client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
        assert [group["ModelPackageGroupName"] for group in groups] == ["kept"]
        assert client("s3").get_object(Bucket="kept", Key="k")["Body"].read() == b"x"
    finally:
        cloud.stop()


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
def test_a_stop_ends_jobs_which_have_failed_at_the_next_start(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path / "state")
    cloud.start()
    try:
        client = client_of(cloud)
        make_bucket(client, "work")
        role = make_role(
            client,
            "job",
            "sagemaker.amazonaws.com",
            [{"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}],
        )
        url, queue = queue_of(client, "reported")
        pattern = {"detail-type": ["SageMaker Processing Job State Change"]}
        client("events").put_rule(Name="jobs", EventPattern=json.dumps(pattern))
        client("events").put_targets(Rule="jobs", Targets=[{"Id": "1", "Arn": queue}])
        for name in ("runs", "waits"):
            create_sleeper(client, role, name)
        until(lambda: processes_in(cloud.state_dir / "jobs"))
        cloud.stop()
        assert not processes_in(cloud.state_dir)
        cloud.start()
        found = until(lambda: messages(client, url, 4))
        for name in ("runs", "waits"):
            job = client("sagemaker").describe_processing_job(ProcessingJobName=name)
            assert job["ProcessingJobStatus"] == "Failed"
            assert "local cloud was stopped" in job["FailureReason"]
        states = [json.loads(message["Body"])["detail"] for message in found]
        assert [s["ProcessingJobStatus"] for s in states] == ["InProgress"] * 2 + ["Failed"] * 2
        assert not (cloud.state_dir / "jobs").exists()
    finally:
        cloud.stop()


STARTS_A_PROCESS = """
import os, subprocess
def handler(event, context):
    subprocess.Popen(["sleep", "600"], cwd=os.environ["FOLDER"])
"""


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
def test_a_stop_ends_what_functions_started(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path / "state")
    cloud.start()
    try:
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            archive.writestr("starts.py", STARTS_A_PROCESS)
        client = client_of(cloud)
        client("lambda").create_function(
            FunctionName="starts",
            Runtime="python3.12",
            Role=make_role(client, "function-role", "lambda.amazonaws.com", []),
            Handler="starts.handler",
            Code={"ZipFile": body.getvalue()},
            Environment={"Variables": {"FOLDER": str(tmp_path)}},
        )
        client("lambda").invoke(FunctionName="starts")
        assert [line for line in processes_in(tmp_path) if line.startswith("sleep")]
        assert cloud.stop()
        until(lambda: not processes_in(tmp_path), seconds=5)
    finally:
        cloud.stop()


def test_start_beside_a_process_that_still_writes_to_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = make_cloud(tmp_path)
    cloud.start()
    try:
        assert cloud.stop()
        monkeypatch.setattr("localcloud.supervisor.shutil.rmtree", lambda *_, **__: None)
        assert (cloud.state_dir / "tmp").exists()
        assert cloud.start().running
    finally:
        cloud.stop()


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
def test_start_after_a_killed_server_succeeds_without_leftovers(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path / "state")
    pid = cloud.start().pid
    try:
        client = client_of(cloud)
        role = make_role(client, "job", "sagemaker.amazonaws.com", [])
        create_sleeper(client, role, "runs")
        until(lambda: processes_in(cloud.state_dir / "jobs"))
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        until(lambda: not processes_in(cloud.state_dir), seconds=5)
        assert not cloud.status().running
        assert cloud.stop() is False
        assert cloud.start().running
    finally:
        cloud.stop()


def test_killed_server_comes_back_with_what_it_had_seconds_before(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path / "state")
    pid = cloud.start().pid
    try:
        client = client_of(cloud)
        make_bucket(client, "kept")
        template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
        client("cloudformation").create_stack(StackName="s", TemplateBody=json.dumps(template))
        client("sagemaker").create_model_package_group(ModelPackageGroupName="kept")
        state = cloud.state_dir / "data" / "state"
        until(lambda: '"kept"' in text_of(state / "sagemaker.json"), seconds=60)
        until(lambda: "CREATE_COMPLETE" in text_of(state / "cloudformation.json"), seconds=60)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert cloud.start().after_kill
        client("sagemaker").describe_model_package_group(ModelPackageGroupName="kept")
        (stack,) = client("cloudformation").describe_stacks(StackName="s")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        assert cloud.stop()
        saved = state / "cloudformation.json"
        saved.write_text(saved.read_text().replace("CREATE_COMPLETE", "UPDATE_IN_PROGRESS"))
        assert not cloud.start().after_kill
        (stack,) = client("cloudformation").describe_stacks(StackName="s")["Stacks"]
        assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    finally:
        cloud.stop()


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def create_sleeper(client: Client, role: str, name: str) -> None:
    client("sagemaker").create_processing_job(
        ProcessingJobName=name,
        RoleArn=role,
        AppSpecification={
            "ImageUri": "image",
            "ContainerEntrypoint": ["bash", "-c", "trap '' TERM; sleep 60"],
        },
        ProcessingResources={
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.xlarge",
                "VolumeSizeInGB": 1,
            }
        },
    )


def messages(client: Client, url: str, count: int) -> list[dict[str, Any]]:
    """The messages of a queue in the order they were sent, once there are so many."""
    found = client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, AttributeNames=["All"]
    ).get("Messages", [])  # fmt: skip
    ordered = sorted(found, key=lambda m: int(m["Attributes"]["SentTimestamp"]))
    return ordered if len(ordered) == count else []


def processes_in(folder: Path) -> list[str]:
    """Commands of the processes that work in a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if place.resolve().is_relative_to(folder):
                found.append((place.parent / "cmdline").read_text().replace("\0", " "))
    return found


def make_bucket(client: Client, name: str) -> None:
    client("s3").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )


def test_start_beside_a_hanging_server_raises_with_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = make_cloud(tmp_path)
    cloud.env()
    assert server_lock.acquire(tmp_path, cloud.port)
    try:
        with pytest.raises(LocalCloudError, match=f"process {os.getpid()}.*does not answer"):
            cloud.start()
        other = make_cloud(tmp_path)
        with pytest.raises(LocalCloudError, match=f"runs on port {cloud.port}"):
            other.start()
    finally:
        os.close(server_lock._held.pop())


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """The connections to a proxy that the environment names for everything."""
    connections: list[object] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, address = server.accept()
                    connections.append(address)
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.getsockname()[1]}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "intranet.example")
        yield connections


def test_proxy_of_the_environment_is_not_asked(
    tmp_path: Path, proxy: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = make_cloud(tmp_path / "state")
    try:
        assert cloud.start().answers
        assert cloud.status().running
        for name, value in cloud.env().items():
            monkeypatch.setenv(name, value)
        assert boto3.client("sts").get_caller_identity()["Account"] == "000000000000"
        assert "intranet.example" in os.environ["no_proxy"].split(",")
    finally:
        assert cloud.stop()
    assert proxy == []


def test_contradicting_variables_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.us-east-2.amazonaws.com")
    cloud = make_cloud(tmp_path / "state")
    named = cloud.contradicting_variables()
    assert {"AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_CREDENTIAL_EXPIRATION"} <= set(named)
    assert not set(named) & set(cloud.env())


def test_profile_cannot_lead_past_the_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text("[default]\nignore_configured_endpoint_urls = true\nuse_fips_endpoint = true\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    cloud = make_cloud(tmp_path / "state")
    for name, value in cloud.env().items():
        monkeypatch.setenv(name, value)
    for service in ("sts", "s3", "sagemaker"):
        assert boto3.client(service).meta.endpoint_url == cloud.endpoint


def test_no_proxy_for_anything_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    assert make_cloud(tmp_path / "state").env()["no_proxy"] == "*"


def test_server_that_does_not_answer_is_running_until_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = make_cloud(tmp_path / "state")
    pid = cloud.start().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        status = cloud.status()
        assert status.running and not status.answers
        with pytest.raises(LocalCloudError, match="does not answer"):
            cloud.start()
        # Another port named by mistake does not hide the server.
        other = LocalCloud(cloud.state_dir, port=cloud.port + 1)
        assert other.status().running and other.status().endpoint == cloud.endpoint
        monkeypatch.setattr("localcloud.supervisor.STOP_SECONDS", 0.5)
        with pytest.raises(LocalCloudError, match="was killed"):
            cloud.stop()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    assert not cloud.status().running


def test_starting_twice_is_one_server(cloud: LocalCloud) -> None:
    assert cloud.start().pid == cloud.status().pid


def test_a_port_in_use_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path / "state")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", cloud.port))
        taken.listen()
        with pytest.raises(LocalCloudError, match=f"port {cloud.port} is in use"):
            cloud.start()
    assert not cloud.status().running
    assert not (tmp_path / "state" / "server.json").exists()


def test_two_folders_that_start_on_one_port_at_once_are_not_both_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_cloud(tmp_path / "first")
    second = LocalCloud(tmp_path / "second", first.port, first.job_python, first.lambda_python)
    first.start()
    try:
        # The second has found the port free before the first took it.
        monkeypatch.setattr(LocalCloud, "check_ports", lambda self: None)
        with pytest.raises(LocalCloudError, match=f"port {first.port} is in use"):
            second.start()
        assert not second.status().running
        assert first.status().answers
    finally:
        first.stop()


def test_pid_file_of_another_process_is_ignored(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path)
    (tmp_path / "server.json").write_text(json.dumps({"pid": os.getpid(), "port": cloud.port}))
    assert not cloud.status().running
    assert cloud.stop() is False


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalCloudError, match="file"):
        make_cloud(tmp_path / "file" / "state").start()


def test_missing_interpreter_is_named(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path)
    cloud.lambda_python = tmp_path / "no-python"
    with pytest.raises(LocalCloudError, match="no interpreter"):
        cloud.start()


def test_callers_aws_configuration_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("this is no configuration file")
    monkeypatch.setenv("HOME", str(tmp_path))
    cloud = make_cloud(tmp_path / "cloud")
    with contextlib.ExitStack() as stack:
        cloud.start()
        stack.callback(cloud.stop)
        environment = Path(f"/proc/{cloud.status().pid}/environ")
        if not environment.exists():
            pytest.skip("this system does not show a process's environment")
        variables = environment.read_bytes().decode().split("\0")
    assert {"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null"} <= set(variables)
