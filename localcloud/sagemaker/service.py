"""SageMaker as a MiniStack service: requests in, answers out, state kept.

MiniStack calls :func:`handle_request`, :func:`get_state`, :func:`load_persisted_state` and
:func:`reset` on the module that it finds under a service's name.
"""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Mapping
from typing import Any

from localcloud.sagemaker import mlflow, store
from localcloud.sagemaker.actions import call
from localcloud.sagemaker.errors import AwsError, invalid
from localcloud.sagemaker.jobs import actions as jobs
from localcloud.sagemaker.jobs import runner
from localcloud.sagemaker.roles import caller_key
from localcloud.sagemaker.sharing import owners_scope
from localcloud.sagemaker.store import Record, arn

_log = logging.getLogger(__name__)
# MiniStack writes its own headers into what it gets: each answer takes a copy.
_JSON = {"Content-Type": "application/x-amz-json-1.1"}


async def handle_request(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Any
) -> tuple[int, dict[str, str], bytes]:
    """MiniStack's entry for one HTTP request."""
    from ministack.core.router import extract_access_key_id

    caller_key.set(extract_access_key_id(headers, query_params) or "")
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            raise AwsError("SerializationException", "the request is not JSON") from None
        if not isinstance(request, dict):
            raise invalid("the request is no JSON object")
        with owners_scope(operation, resource_arn(body)):
            return 200, dict(_JSON), json.dumps(call(operation, request)).encode()
    except AwsError as error:
        return 400, dict(_JSON), json.dumps({"__type": error.code, "message": str(error)}).encode()
    except Exception as error:
        _log.exception("SageMaker %s failed", operation)
        message = f"{type(error).__name__}: {error}"
        return (
            500,
            dict(_JSON),
            json.dumps({"__type": "InternalFailure", "message": message}).encode(),
        )


def condition_keys(body: bytes) -> dict[str, str]:
    """SageMaker's own condition keys of a request, for IAM.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
    """
    request = _parsed(body)
    status = request.get("ModelApprovalStatus")
    return {"sagemaker:ModelApprovalStatus": status} if isinstance(status, str) else {}


def resource_arn(body: bytes) -> str:
    """The resource that a request is about, for IAM; ``*`` where SageMaker has none to name."""
    request = _parsed(body)
    package = request.get("ModelPackageArn") or request.get("ModelPackageName")
    batch = request.get("ModelPackageArnList")
    if isinstance(batch, list) and batch:
        package = batch[0]  # The others are asked for one by one, where they are read.
    if isinstance(package, str):
        return package if package.startswith("arn:") else arn("model-package", package)
    for key, kind in (
        ("ModelPackageGroupName", "model-package-group"),
        ("ProcessingJobName", "processing-job"),
        ("TrainingJobName", "training-job"),
        ("TrackingServerName", "mlflow-tracking-server"),
        ("ActionName", "action"),
        ("ContextName", "context"),
    ):
        name = request.get(key)
        if isinstance(name, str):
            return name if name.startswith("arn:") else arn(kind, name)
    if "SourceArn" in request and "DestinationArn" not in request:
        return "*"  # A list of associations; one association's calls name both ends.
    for key in ("ResourceArn", "ArtifactArn", "ActionArn", "ContextArn", "SourceArn", "Arn"):
        if isinstance(request.get(key), str):
            return str(request[key])
    for key, kind in (("ArtifactType", "artifact"), ("ArtifactStoreUri", "mlflow-app")):
        # Made under an identifier that SageMaker chooses.
        if key in request and ("Source" in request or "RoleArn" in request):
            return arn(kind, "*")
    return "*"


def _parsed(body: bytes) -> Record:
    """A request's object; an empty one for anything else, which the handler will refuse."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}


def get_state() -> dict[str, Any]:
    """What is saved when the server stops."""
    return {"tables": store.dump()}


def load_persisted_state(saved: Mapping[str, Any]) -> None:
    """Restores saved state, fails the jobs that the stop interrupted, and starts MLflow."""
    store.load(saved["tables"])
    for scope in list(store.every_store()):
        contextvars.Context().run(_fail_interrupted, *scope.split("|"))
    mlflow.resume()


def reset() -> None:
    """Deletes everything and stops jobs and MLflow."""
    runner.stop_all()
    mlflow.stop_server()
    store.clear()


def _fail_interrupted(account: str, region: str) -> None:
    from ministack.core import responses

    responses._request_account_id.set(account)
    responses._request_region.set(region)
    jobs.fail_interrupted()
