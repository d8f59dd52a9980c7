"""MLflow Apps and tracking servers: SageMaker's records, and one real MLflow server behind them.

As in SageMaker, one that was just created is ``Creating`` until its server has answered, and then
``Created``; it is ``CreateFailed`` where the server ended before.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from localcloud.child_process import ChildProcess
from localcloud.sagemaker.command import server_stopping
from localcloud.sagemaker.errors import in_use, missing
from localcloud.sagemaker.roles import caller
from localcloud.sagemaker.settings import settings
from localcloud.sagemaker.store import (
    LOCK,
    Record,
    arn,
    between,
    every_store,
    now,
    paginate,
    store,
)

_log = logging.getLogger(__name__)
_server: list[ChildProcess] = []

CREATING, CREATED, CREATE_FAILED = "Creating", "Created", "CreateFailed"

# --- apps


def create_mlflow_app(request: Record) -> Record:
    if any(record.get("Name") == request["Name"] for record in store().mlflow.values()):
        raise in_use(f"MLflow App {request['Name']} already exists")
    digest = hashlib.sha256(request["Name"].encode()).hexdigest()[:12].upper()
    key = arn("mlflow-app", f"app-{digest}")
    store().mlflow[key] = {
        **{name: value for name, value in request.items() if name != "Tags"},
        "Arn": key,
        "Status": CREATING,
        "CreationTime": now(),
        "LastModifiedTime": now(),
        "MlflowVersion": _version(),
        "CreatedBy": caller(),
    }
    _settle_once_ready()
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
    record["LastModifiedBy"] = caller()
    return {"Arn": record["Arn"]}


def delete_mlflow_app(request: Record) -> Record:
    del store().mlflow[_app(request["Arn"])["Arn"]]
    _stop_unless_used()
    return {"Arn": request["Arn"]}


def list_mlflow_apps(request: Record) -> Record:
    apps = [record for record in store().mlflow.values() if "Arn" in record]
    return paginate(
        between(apps, request), request, "Summaries", order="Descending", name_key="Name"
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
        "TrackingServerStatus": CREATING,
        "IsActive": "Inactive",
        "CreationTime": now(),
        "LastModifiedTime": now(),
        "CreatedBy": caller(),
    }
    _settle_once_ready()
    return {"TrackingServerArn": key}


def describe_mlflow_tracking_server(request: Record) -> Record:
    key = arn("mlflow-tracking-server", request["TrackingServerName"])
    if key not in store().mlflow:
        raise missing(f"Tracking server {request['TrackingServerName']} does not exist")
    # The port may be another since it was made.
    return {**store().mlflow[key], "TrackingServerUrl": url()}


def delete_mlflow_tracking_server(request: Record) -> Record:
    key = describe_mlflow_tracking_server(request)["TrackingServerArn"]
    del store().mlflow[key]
    _stop_unless_used()
    return {"TrackingServerArn": key}


def list_mlflow_tracking_servers(request: Record) -> Record:
    key = "TrackingServerName"
    servers = [record for record in store().mlflow.values() if key in record]
    return paginate(
        between(servers, request),
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
    if _server and _server[0].running():
        return
    _server.clear()
    apps = [record for tables in every_store().values() for record in tables.mlflow.values()]
    if not apps:
        return
    folder = log_file().parent
    folder.mkdir(parents=True, exist_ok=True)
    port = settings().mlflow_port
    command = [
        *(str(settings().job_python), "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(settings().mlflow_port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        # Against web pages: no other Host (DNS rebinding), no Origin. Other users of this machine
        # are not kept out: MLflow has no authentication that SageMaker's clients know.
        *("--allowed-hosts", f"127.0.0.1:{port},localhost:{port}"),
        *("--cors-allowed-origins", f"http://127.0.0.1:{port}"),
        # Clients write artifacts with their own credentials, as they do with an App's bucket.
        *("--default-artifact-root", apps[0]["ArtifactStoreUri"], "--no-serve-artifacts"),
    ]
    with log_file().open("ab") as log:
        _server.append(ChildProcess(command, cwd=folder, env=_environment(), stdout=log))
    _log.info("MLflow server starting at %s", url())


def _settle_once_ready() -> None:
    """Starts the server unless it runs, and ends the creation of what waits for it; soon returns.

    The caller holds the lock.
    """
    start_server()
    if _server:
        threading.Thread(target=_settle, args=(_server[0],), daemon=True).start()


def _settle(server: ChildProcess) -> None:
    while not (answers := _answers()) and server.running():
        if server_stopping.wait(0.2):
            return  # What was not created yet is so after the next start.
    with LOCK:
        for tables in every_store().values():
            for record in tables.mlflow.values():
                _end_creation(record, CREATED if answers else CREATE_FAILED)


def _end_creation(record: Record, status: str) -> None:
    key = "Status" if "Arn" in record else "TrackingServerStatus"
    if record[key] != CREATING:
        return
    record[key], record["LastModifiedTime"] = status, now()
    if "IsActive" in record and status == CREATED:
        record["IsActive"] = "Active"


def log_file() -> Path:
    """What the MLflow server writes."""
    return settings().state_dir / "mlflow" / "server.log"


def _environment() -> dict[str, str]:
    kept = ("HOME", "LANG", "TMPDIR", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    return {
        **{key: os.environ[key] for key in kept if key in os.environ},
        "PATH": f"{settings().job_python.parent}:/usr/local/bin:/usr/bin:/bin",
        "AWS_ENDPOINT_URL": settings().endpoint,
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
        "AWS_REGION": os.environ.get("MINISTACK_REGION", "us-east-1"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its job consumers poll: half a core for a function that is not used here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "DO_NOT_TRACK": "true",
    }


def wait_until_ready(stop: threading.Event, seconds: float = 60.0) -> None:
    """Waits until the server answers; in SageMaker an App is there before jobs are.

    A job goes on without it after the time: tracking is the job's own concern.

    Args:
        stop: Ends the wait when it is set.
        seconds: The longest wait.
    """
    with LOCK:
        # It may have died since, for example where memory is short.
        start_server()
    end = time.monotonic() + seconds
    while _server and _server[0].running() and time.monotonic() < end and not stop.is_set():
        if _answers() or stop.wait(0.2) or server_stopping.is_set():
            return


def state() -> str:
    """State of the MLflow server: ``none``, ``starting``, ``answers`` or ``ended``."""
    if not _server:
        return "none"
    if not _server[0].running():
        return "ended"
    return "answers" if _answers() else "starting"


def _answers() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", settings().mlflow_port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (http.client.HTTPException, OSError):
        return False
    finally:
        connection.close()


def stop_server(grace: float = 5.0) -> None:
    """Ends the MLflow server and its workers; after the grace, in seconds, at once."""
    for process in _server:
        process.end(grace)
    _server.clear()


def resume() -> None:
    """Starts the server again where state brought back an App or a tracking server."""
    with LOCK:
        _settle_once_ready()


def _stop_unless_used() -> None:
    if not any(tables.mlflow for tables in every_store().values()):
        stop_server(grace=1.0)


def _version() -> str | None:
    """The version of the MLflow that serves, as its installation says."""
    packages = settings().job_python.parent.parent.glob("lib/python3*/site-packages")
    for folder in packages:
        for found in folder.glob("mlflow-[0-9]*.dist-info"):
            return found.name.removeprefix("mlflow-").removesuffix(".dist-info")
    return None


ACTIONS: dict[str, Callable[[Record], Record]] = {
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
