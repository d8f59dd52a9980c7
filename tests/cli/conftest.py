"""An S3, SSM and KMS of the tests' own: MiniStack without SageMaker, in a process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

REGION = "us-east-2"
ACCOUNT = "000000000000"
TRAINING_BUCKET = "training-bucket"
RELEASE_BUCKET = "release-bucket"


@dataclass(frozen=True)
class Stack:
    """A running endpoint and what lies there."""

    endpoint: str
    signing_key: str

    def client(self, service: str) -> Any:
        session = boto3.Session("test", "test", region_name=REGION)
        return session.client(service, endpoint_url=self.endpoint)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Buckets, a signing key and the parameters of environment ``dev``."""
    folder = tmp_path_factory.mktemp("ministack")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bare = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack.app"],
            env={
                **bare,
                "GATEWAY_PORT": str(port),
                "BIND_HOST": "127.0.0.1",
                "MINISTACK_REGION": REGION,
                "MINISTACK_ACCOUNT_ID": ACCOUNT,
                "STATE_DIR": str(folder / "state"),
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
            },
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await(port, process, folder / "log")
        yield _provision(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        process.wait()


@pytest.fixture
def aws(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The endpoint, with this process's environment pointing at it."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in stack.variables.items():
        monkeypatch.setenv(name, value)
    return stack


@pytest.fixture(scope="session")
def card_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn cards."""
    from recognition.sample_cards.drawing import draw_card_set

    folder = tmp_path_factory.mktemp("cards") / "drawn"
    draw_card_set(folder, 12, seed=3)
    return folder


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"ministack does not answer: {log.read_text()[-2000:]}")


def _provision(endpoint: str) -> Stack:
    from registry.names import parameter_name

    stack = Stack(endpoint, "")
    s3, kms, ssm = (stack.client(name) for name in ("s3", "kms", "ssm"))
    for bucket in (TRAINING_BUCKET, RELEASE_BUCKET):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    values = {
        "group-name": "pokemon-card-recognition-models",
        "training-bucket": TRAINING_BUCKET,
        "mlflow-bucket": "mlflow-bucket",
        "mlflow-uri": "none",
        "release-bucket": RELEASE_BUCKET,
        "training-role-arn": f"arn:aws:iam::{ACCOUNT}:role/training",
        "compile-role-arn": f"arn:aws:iam::{ACCOUNT}:role/compile",
        "signing-key-arn": key,
        "compiler": "onnx-int8",
    }
    for name, value in values.items():
        ssm.put_parameter(Name=parameter_name("dev", name), Value=value, Type="String")
    return Stack(endpoint, key)
