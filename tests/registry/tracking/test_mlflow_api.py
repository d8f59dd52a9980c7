"""Tags that a function sets over MLflow's REST API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest

from registry.tracking import mlflow_api
from registry.tracking.mlflow_api import MlflowError, set_tags

APP = "arn:aws:sagemaker:us-east-2:123456789012:mlflow-app/app-1"
SERVER = "arn:aws:sagemaker:us-east-2:123456789012:mlflow-tracking-server/runs"


@pytest.fixture
def session() -> boto3.Session:
    return boto3.Session("key", "secret", "token", "us-east-2")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What a server at the custom endpoint was told; it refuses the run `refused`."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append({"path": self.path, "headers": dict(self.headers), **body})
            self.send_response(400 if body["run_id"] == "refused" else 200)
            self.end_headers()
            self.wfile.write(b'{"message": "no such run"}')

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT", address)
    yield seen
    server.shutdown()


@pytest.mark.parametrize(
    ("uri", "header", "service"),
    [
        (APP, "x-sm-mlflow-app-arn", "/sagemaker/"),
        (SERVER, "x-mlflow-sm-tracking-server-arn", "/sagemaker-mlflow/"),
    ],
)
def test_tag_is_set_signed_and_addressed(
    session: boto3.Session, told: list[dict[str, Any]], uri: str, header: str, service: str
) -> None:
    set_tags(session, uri, "run", {"model_package_name": "a-name"})
    (request,) = told
    assert request["path"] == "/api/2.0/mlflow/runs/set-tag"
    assert (request["run_id"], request["key"], request["value"]) == (
        "run", "model_package_name", "a-name",
    )  # fmt: skip
    headers = {key.lower(): value for key, value in request["headers"].items()}
    assert headers[header] == uri
    assert f"/us-east-2{service}aws4_request" in headers["authorization"]
    assert header in headers["authorization"], "the address is signed, too"


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        (APP, "https://mlflow.sagemaker.us-east-2.app.aws"),
        (SERVER, "https://us-east-2.experiments.sagemaker.aws"),
    ],
)
def test_hosts_and_headers_are_the_plug_in_s(
    monkeypatch: pytest.MonkeyPatch, uri: str, host: str
) -> None:
    helpers = pytest.importorskip("sagemaker_mlflow.mlflow_sagemaker_helpers")
    monkeypatch.delenv("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT", raising=False)
    provider = helpers.SageMakerMLflowHostMetadataProvider()
    provider.set_arn(uri)
    assert mlflow_api._host(uri, "us-east-2").url == host
    assert provider.construct_tracking_server_url() == host


def test_refused_request_raises(session: boto3.Session, told: list[dict[str, Any]]) -> None:
    with pytest.raises(MlflowError, match=r"400: .*no such run"):
        set_tags(session, APP, "refused", {"k": "v"})


def test_unreachable_server_raises(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MlflowError, match="cannot be reached"):
        set_tags(session, APP, "run", {"k": "v"})


@pytest.mark.parametrize("uri", ["none", "http://somewhere", "arn:aws:s3:::bucket"])
def test_other_addresses_are_refused(session: boto3.Session, uri: str) -> None:
    with pytest.raises(MlflowError, match="neither an MLflow App nor a tracking server"):
        set_tags(session, uri, "run", {"k": "v"})
