"""MLflow Apps and tracking servers: SageMaker's records, and one real MLflow server behind them."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from localcloud.sagemaker.errors import in_use, missing
from localcloud.sagemaker.settings import settings
from localcloud.sagemaker.store import Record, arn, every_store, now, page, selected, store

_log = logging.getLogger(__name__)
_server: list[subprocess.Popen[Any]] = []

# --- apps


def create_mlflow_app(request: Record) -> Record:
    if any(record.get("Name") == request["Name"] for record in store().mlflow.values()):
        raise in_use(f"MLflow App {request['Name']} already exists")
    digest = hashlib.sha256(request["Name"].encode()).hexdigest()[:12].upper()
    key = arn("mlflow-app", f"app-{digest}")
    store().mlflow[key] = {
        **{name: value for name, value in request.items() if name != "Tags"},
        "Arn": key,
        "Status": "Created",
        "CreationTime": now(),
        "LastModifiedTime": now(),
        "MlflowVersion": "3.0",
        "CreatedBy": {},
    }
    start_server()
    return {"Arn": key}


def _app(key: str) -> Record:
    record = store().mlflow.get(key)
    if record is None or "Arn" not in record:
        raise missing(f"MLflow App {key} does not exist")
    return record


def describe_mlflow_app(request: Record) -> Record:
    return _app(request["Arn"])


def update_mlflow_app(request: Record) -> Record:
    record = _app(request["Arn"])
    record.update({key: value for key, value in request.items() if value is not None})
    record["LastModifiedTime"] = now()
    return {"Arn": record["Arn"]}


def delete_mlflow_app(request: Record) -> Record:
    del store().mlflow[_app(request["Arn"])["Arn"]]
    return {"Arn": request["Arn"]}


def list_mlflow_apps(request: Record) -> Record:
    apps = [record for record in store().mlflow.values() if "Arn" in record]
    return page(
        selected(apps, request, "Name"), request, "Summaries", order="Descending", name_key="Name"
    )


def create_presigned_mlflow_app_url(request: Record) -> Record:
    _app(request["Arn"])
    return {"AuthorizedUrl": url()}


# --- tracking servers


def create_mlflow_tracking_server(request: Record) -> Record:
    key = arn("mlflow-tracking-server", request["TrackingServerName"])
    if key in store().mlflow:
        raise in_use(f"Tracking server {request['TrackingServerName']} already exists")
    store().mlflow[key] = {
        **{name: value for name, value in request.items() if name != "Tags"},
        "TrackingServerArn": key,
        "TrackingServerStatus": "Created",
        "IsActive": "Active",
        "TrackingServerUrl": url(),
        "CreationTime": now(),
        "LastModifiedTime": now(),
        "CreatedBy": {},
    }
    start_server()
    return {"TrackingServerArn": key}


def describe_mlflow_tracking_server(request: Record) -> Record:
    key = arn("mlflow-tracking-server", request["TrackingServerName"])
    if key not in store().mlflow:
        raise missing(f"Tracking server {request['TrackingServerName']} does not exist")
    return store().mlflow[key]


def delete_mlflow_tracking_server(request: Record) -> Record:
    key = describe_mlflow_tracking_server(request)["TrackingServerArn"]
    del store().mlflow[key]
    return {"TrackingServerArn": key}


def list_mlflow_tracking_servers(request: Record) -> Record:
    key = "TrackingServerName"
    servers = [record for record in store().mlflow.values() if key in record]
    return page(
        selected(servers, request, key),
        request,
        "TrackingServerSummaries",
        order="Descending",
        name_key=key,
    )


def create_presigned_mlflow_tracking_server_url(request: Record) -> Record:
    describe_mlflow_tracking_server(request)
    return {"AuthorizedUrl": url()}


# --- the server behind them


def url() -> str:
    """Where the MLflow server is."""
    return f"http://127.0.0.1:{settings().mlflow_port}"


def start_server() -> None:
    """Starts the MLflow server unless it runs; it takes several seconds to answer."""
    if _server and _server[0].poll() is None:
        return
    _server.clear()
    stores = [
        record["ArtifactStoreUri"]
        for tables in every_store().values()
        for record in tables.mlflow.values()
    ]
    folder = settings().state_dir / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        *(str(settings().job_python), "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(settings().mlflow_port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        # Clients write artifacts with their own credentials, as they do with an App's bucket.
        *("--default-artifact-root", stores[0], "--no-serve-artifacts"),
    ]
    kept = ("HOME", "LANG", "TMPDIR")
    environment = {
        **{key: os.environ[key] for key in kept if key in os.environ},
        "PATH": f"{settings().job_python.parent}:/usr/local/bin:/usr/bin:/bin",
        "AWS_ENDPOINT_URL": settings().endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": os.environ.get("MINISTACK_REGION", "us-east-1"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its job consumers poll: half a core for something that nobody here uses.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "DO_NOT_TRACK": "true",
    }
    with (folder / "server.log").open("ab") as log:
        _server.append(
            subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )
    _log.info("MLflow server starting at %s", url())


def wait_until_ready(seconds: float = 60.0) -> None:
    """Waits until a server that was started answers; in SageMaker an App is there before jobs are.

    A job goes on without it after the time: tracking is the job's own concern.
    """
    end = time.monotonic() + seconds
    while _server and _server[0].poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url()}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)


def stop_server() -> None:
    """Ends the MLflow server with its workers: a signal to the parent alone leaves them behind."""
    for process in _server:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in _server:
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    _server.clear()


def resume() -> None:
    """Starts the server again where state brought back an App or a tracking server."""
    if any(tables.mlflow for tables in every_store().values()):
        start_server()


OPERATIONS: dict[str, Callable[[Record], Record]] = {
    "CreateMlflowApp": create_mlflow_app,
    "DescribeMlflowApp": describe_mlflow_app,
    "UpdateMlflowApp": update_mlflow_app,
    "DeleteMlflowApp": delete_mlflow_app,
    "ListMlflowApps": list_mlflow_apps,
    "CreatePresignedMlflowAppUrl": create_presigned_mlflow_app_url,
    "CreateMlflowTrackingServer": create_mlflow_tracking_server,
    "DescribeMlflowTrackingServer": describe_mlflow_tracking_server,
    "DeleteMlflowTrackingServer": delete_mlflow_tracking_server,
    "ListMlflowTrackingServers": list_mlflow_tracking_servers,
    "CreatePresignedMlflowTrackingServerUrl": create_presigned_mlflow_tracking_server_url,
}
