"""Starting, stopping, and keeping state."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from localcloud import LocalCloud, LocalCloudError
from tests.localcloud.conftest import client_of, make_cloud


def test_state_survives_a_stop_and_a_start(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path)
    cloud.start()
    try:
        client = client_of(cloud)
        client("sagemaker").create_model_package_group(ModelPackageGroupName="kept")
        client("s3").create_bucket(
            Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
        )
        client("s3").put_object(Bucket="kept", Key="k", Body=b"x")
        assert cloud.stop()
        assert not cloud.status().running
        cloud.start()
        groups = client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
        assert [group["ModelPackageGroupName"] for group in groups] == ["kept"]
        assert client("s3").get_object(Bucket="kept", Key="k")["Body"].read() == b"x"
    finally:
        cloud.stop()


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


def test_a_pid_file_of_a_process_that_is_no_local_cloud_is_not_believed(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path)
    (tmp_path / "server.json").write_text(json.dumps({"pid": os.getpid(), "port": cloud.port}))
    assert not cloud.status().running
    assert cloud.stop() is False


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalCloudError, match="file"):
        make_cloud(tmp_path / "file" / "state").start()


def test_the_servers_last_words_are_shown_when_it_cannot_start(tmp_path: Path) -> None:
    cloud = make_cloud(tmp_path)
    cloud.lambda_python = tmp_path / "no-python"
    with pytest.raises(LocalCloudError, match="no interpreter"):
        cloud.start()
