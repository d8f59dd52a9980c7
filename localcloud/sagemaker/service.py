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
from localcloud.sagemaker.actions import call_for_text
from localcloud.sagemaker.errors import AwsError, invalid
from localcloud.sagemaker.jobs import actions as jobs
from localcloud.sagemaker.jobs import runner
from localcloud.sagemaker.roles import caller_key
from localcloud.sagemaker.sharing import owners_scope
from localcloud.sagemaker.store import Record, arn

_log = logging.getLogger(__name__)
# MiniStack writes its own headers into what it gets: each answer takes a copy.
_JSON = {"Content-Type": "application/x-amz-json-1.1"}


#: The actions with condition keys of their own, and the members of a life cycle that have one.
_VERSION_ACTIONS = frozenset({"sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"})
_STAGE = ("Stage", "StageStatus")


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
            return 200, dict(_JSON), call_for_text(operation, request).encode()
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


def condition_keys(action: str, body: bytes) -> dict[str, str | list[str]]:
    """SageMaker's condition keys of a request that creates or updates a version, for IAM.

    The service authorization reference gives these two actions alone such keys. It has none for
    the other members of the request: the artifact's address, the model card, the description.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html

    Args:
        action: As IAM names it, for example ``sagemaker:UpdateModelPackage``.
        body: Of the request.

    Returns:
        Values by key. Metadata keys that differ in their case only are one key with many values,
        since IAM compares names of condition keys without their case.
    """
    if action not in _VERSION_ACTIONS:
        return {}
    request = _parsed(body)
    stage = request.get("ModelLifeCycle")
    found = _texts(request, {"ModelApprovalStatus": "ModelApprovalStatus"})
    found |= _texts(stage, {name: f"ModelLifeCycle:{name}" for name in _STAGE})
    found |= _metadata_keys(request, "CustomerMetadataProperties")
    removed = request.get("CustomerMetadataPropertiesToRemove")
    if isinstance(removed, list) and removed:
        found["sagemaker:CustomerMetadataPropertiesToRemove"] = [str(key) for key in removed]
    package = request.get("ModelPackageArn")
    record = store.find_package(package) if isinstance(package, str) else None
    if record:
        current = record.get("ModelLifeCycle")
        found |= _texts(current, {name: f"CurrentModelLifeCycle{name}" for name in _STAGE})
        found |= _metadata_keys(
            {"CurrentCustomerMetadataProperties": record.get("CustomerMetadataProperties")},
            "CurrentCustomerMetadataProperties",
        )
    return found


def _texts(value: Any, names: Mapping[str, str]) -> dict[str, str | list[str]]:
    """Condition keys of an object's members that are text, by their names in IAM."""
    members = value if isinstance(value, dict) else {}
    return {
        f"sagemaker:{name}": members[member]
        for member, name in names.items()
        if isinstance(members.get(member), str)
    }


def _metadata_keys(request: Record, name: str) -> dict[str, str | list[str]]:
    """One condition key for each metadata key."""
    pairs = request.get(name)
    values: dict[str, list[str]] = {}
    for key, value in pairs.items() if isinstance(pairs, dict) else ():
        values.setdefault(f"sagemaker:{name}/{key}".lower(), []).append(str(value))
    return {key: found[0] if len(found) == 1 else found for key, found in values.items()}


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
        ("ModelName", "model"),
        ("LineageGroupName", "lineage-group"),
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
