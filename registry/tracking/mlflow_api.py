"""The one call to MLflow that a function makes: naming a run's version on the run.

MLflow's own client is too large for a Lambda function. The request is MLflow's REST API
(https://mlflow.org/docs/latest/api_reference/rest-api.html#set-tag) on SageMaker's host, signed
with Signature Version 4 as the plug-in ``sagemaker-mlflow`` signs it.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

#: Tags of a run: the version that was registered from it.
PACKAGE_ARN_TAG = "model_package_arn"
PACKAGE_NAME_TAG = "model_package_name"
#: Where the plug-in is told of another host; the local cloud's clients are told there, too.
_ENDPOINT = "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"
#: An experiment's `lifecycle_stage` after it was deleted.
_DELETED = "deleted"
_TIMEOUT_SECONDS = 5.0
_ANSWER_LIMIT = 1024**2


class MlflowError(RuntimeError):
    """MLflow could not be reached, or refused; names the App or server and the cause."""


class MissingError(MlflowError):
    """MLflow does not have what was asked for."""


@dataclass(frozen=True)
class Experiment:
    """An experiment as MLflow describes it.

    Attributes:
        experiment_id: MLflow's id.
        deleted: Whether it was deleted; MLflow keeps such a one under its name, creates no other,
            and refuses runs until it is restored.
    """

    experiment_id: str
    deleted: bool


@dataclass(frozen=True)
class _Host:
    """How an App or a tracking server is spoken to.

    Attributes:
        url: Its address.
        header: Which header carries its ARN.
        service: What requests are signed for.
    """

    url: str
    header: str
    service: str


def set_tags(session: Any, uri: str, run_id: str, tags: Mapping[str, str]) -> None:
    """Sets tags of a run; setting them again changes nothing.

    Args:
        session: A boto3 session; its credentials sign.
        uri: ARN of the MLflow App or tracking server.
        run_id: The run.
        tags: Value by key.

    Raises:
        MlflowError: It could not be reached within some seconds, or refused.
    """
    region = uri.split(":")[3] if uri.startswith("arn:") else ""
    host = _host(uri, region)
    for key, value in tags.items():
        body = json.dumps({"run_id": run_id, "key": key, "value": value}).encode()
        request = AWSRequest(
            "POST",
            f"{host.url}/api/2.0/mlflow/runs/set-tag",
            data=body,
            headers={"Content-Type": "application/json", host.header: uri},
        )
        SigV4Auth(session.get_credentials(), host.service, region).add_auth(request)
        _send(request, uri)


def find_experiment(session: Any, uri: str, name: str) -> Experiment | None:
    """An experiment, also a deleted one; None where MLflow has none of that name.

    Args:
        session: A boto3 session; its credentials sign.
        uri: ARN of the MLflow App or tracking server.
        name: The experiment's.

    Raises:
        MlflowError: It could not be reached within some seconds, or refused.
    """
    region = uri.split(":")[3] if uri.startswith("arn:") else ""
    host = _host(uri, region)
    query = urllib.parse.urlencode({"experiment_name": name})
    request = AWSRequest(
        "GET",
        f"{host.url}/api/2.0/mlflow/experiments/get-by-name?{query}",
        headers={host.header: uri},
    )
    SigV4Auth(session.get_credentials(), host.service, region).add_auth(request)
    try:
        found = json.loads(_send(request, uri))["experiment"]
        return Experiment(str(found["experiment_id"]), found.get("lifecycle_stage") == _DELETED)
    except MissingError:
        return None
    except (ValueError, KeyError, TypeError):
        raise MlflowError(f"MLflow at {uri}: answers something that is no experiment") from None


def _host(uri: str, region: str) -> _Host:
    """Hosts and headers are those of sagemaker-mlflow 0.5."""
    kind = uri.rpartition(":")[2].partition("/")[0]
    custom = os.environ.get(_ENDPOINT, "").rstrip("/")
    if custom and not custom.startswith(("http://", "https://")):
        raise MlflowError(f"{_ENDPOINT}={custom}: is no address beginning with https://")
    if kind == "mlflow-app":
        url = custom or f"https://mlflow.sagemaker.{region}.app.aws"
        return _Host(url, "x-sm-mlflow-app-arn", "sagemaker")
    if kind == "mlflow-tracking-server":
        url = custom or f"https://{region}.experiments.sagemaker.aws"
        return _Host(url, "x-mlflow-sm-tracking-server-arn", "sagemaker-mlflow")
    raise MlflowError(f"{uri}: is the ARN of neither an MLflow App nor a tracking server")


def _send(request: AWSRequest, uri: str) -> bytes:
    prepared: Any = request.prepare()
    sent = urllib.request.Request(  # noqa: S310 (_host lets https and http alone through)
        prepared.url, data=prepared.body, headers=dict(prepared.headers), method=prepared.method
    )
    try:
        with urllib.request.urlopen(sent, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return bytes(answer.read(_ANSWER_LIMIT))
    except urllib.error.HTTPError as error:
        said = error.read(500).decode(errors="replace")
        kind = MissingError if error.code == 404 else MlflowError
        raise kind(f"MLflow at {uri}: {error.code}: {' '.join(said.split())}") from None
    except OSError as error:
        raise MlflowError(f"MLflow at {uri}: cannot be reached ({error})") from None
