"""``AWS::SageMaker::…`` resources of a template, over the service's own calls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from localcloud.sagemaker import mlflow
from localcloud.sagemaker.actions import call
from localcloud.sagemaker.errors import AwsError
from localcloud.sagemaker.store import name_of, store, tag_map

Properties = dict[str, Any]

#: How long a template's MLflow App may be in creation.
CREATION_SECONDS = 600.0
#: Types whose creation waits; on a thread of its own, since the server answers others meanwhile.
WAITING_TYPES = frozenset({"AWS::SageMaker::MlflowApp", "AWS::SageMaker::MlflowTrackingServer"})


def _ask(operation: str, request: Properties) -> dict[str, Any]:
    try:
        return call(operation, request)
    except AwsError as error:
        # CloudFormation's engine shows a ValueError as the reason of the resource's failure.
        raise ValueError(f"{error.code}: {error}") from error


def _refuse_replacement(old: Properties, new: Properties, name: str, *create_only: str) -> None:
    """Refuses what CloudFormation refuses: a named resource that an update would replace.

    Raises:
        ValueError: A create-only property changes, and the name stays; in CloudFormation's words.
    """
    if any(old.get(each) != new.get(each) for each in create_only):
        raise ValueError(
            "CloudFormation cannot update a stack when a custom-named resource requires "
            f"replacing. Rename {new[name]} and update the stack again."
        )


def _replaced(
    physical_id: str,
    old: Properties,
    new: Properties,
    stack: str,
    create: Callable[[str, Properties, str], tuple[str, Properties]],
    delete: Callable[[str, Properties], None],
) -> tuple[str, Properties]:
    """A resource under another name: the new one is created, and the old one deleted or kept."""
    from ministack.services.cloudformation import provisioners

    made = create(physical_id, new, stack)
    provisioners._delete_predecessor(delete, physical_id, old)
    return made


def _create_group(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
    policy = properties.get("ModelPackageGroupPolicy")
    request = {k: v for k, v in properties.items() if k != "ModelPackageGroupPolicy"}
    group_arn = _ask("CreateModelPackageGroup", request)["ModelPackageGroupArn"]
    _put_policy(group_arn, policy)
    return group_arn, _group_attributes(group_arn)


def _update_group(
    physical_id: str, old: Properties, new: Properties, stack: str, *rest: Any
) -> tuple[str, Properties]:
    if new["ModelPackageGroupName"] != name_of(physical_id):
        return _replaced(physical_id, old, new, stack, _create_group, _delete_group)
    _refuse_replacement(old, new, "ModelPackageGroupName", "ModelPackageGroupDescription")
    store().tags[physical_id] = tag_map(new.get("Tags"))
    _put_policy(physical_id, new.get("ModelPackageGroupPolicy"))
    return physical_id, _group_attributes(physical_id)


def _delete_group(physical_id: str, properties: Properties) -> None:
    if name_of(physical_id) in store().groups:
        _ask("DeleteModelPackageGroup", {"ModelPackageGroupName": name_of(physical_id)})


def _put_policy(group_arn: str, policy: Any) -> None:
    name = name_of(group_arn)
    if policy:
        text = policy if isinstance(policy, str) else json.dumps(policy)
        _ask("PutModelPackageGroupPolicy", {"ModelPackageGroupName": name, "ResourcePolicy": text})
    else:
        _ask("DeleteModelPackageGroupPolicy", {"ModelPackageGroupName": name})


def _group_attributes(group_arn: str) -> Properties:
    return {
        "ModelPackageGroupArn": group_arn,
        "ModelPackageGroupStatus": "Completed",
        "CreationTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _create_app(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
    key = _ask("CreateMlflowApp", properties)["Arn"]
    _await_created("MlflowApp", {"Arn": key}, "Status")
    return key, {"Arn": key}


def _update_app(
    physical_id: str, old: Properties, new: Properties, stack: str, *rest: Any
) -> tuple[str, Properties]:
    if new["Name"] != old.get("Name"):
        return _replaced(physical_id, old, new, stack, _create_app, _delete_app)
    _refuse_replacement(old, new, "Name", "RoleArn")
    changed = {key: value for key, value in new.items() if key not in ("Tags", "RoleArn")}
    _ask("UpdateMlflowApp", {**changed, "Arn": physical_id})
    return physical_id, {"Arn": physical_id}


def _delete_app(physical_id: str, properties: Properties) -> None:
    if physical_id in store().mlflow:
        _ask("DeleteMlflowApp", {"Arn": physical_id})


def _create_server(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
    key = _ask("CreateMlflowTrackingServer", properties)["TrackingServerArn"]
    name = properties["TrackingServerName"]
    _await_created("MlflowTrackingServer", {"TrackingServerName": name}, "TrackingServerStatus")
    return name, {"TrackingServerArn": key}


def _update_server(
    physical_id: str, old: Properties, new: Properties, stack: str, *rest: Any
) -> tuple[str, Properties]:
    record = _ask("DescribeMlflowTrackingServer", {"TrackingServerName": physical_id})
    store().mlflow[record["TrackingServerArn"]].update(new)
    return physical_id, {"TrackingServerArn": record["TrackingServerArn"]}


def _delete_server(physical_id: str, properties: Properties) -> None:
    if any(r.get("TrackingServerName") == physical_id for r in store().mlflow.values()):
        _ask("DeleteMlflowTrackingServer", {"TrackingServerName": physical_id})


def _await_created(kind: str, named: Properties, status: str) -> None:
    """Waits as CloudFormation does until what was created can be used; blocks its thread.

    Args:
        kind: Follows ``Describe`` and ``Delete`` in the names of its calls.
        named: The request of those calls.
        status: The member of the description that holds the status.

    Raises:
        ValueError: The creation failed or took too long. What was created is deleted.
    """
    end = time.monotonic() + CREATION_SECONDS
    while (found := _ask(f"Describe{kind}", named)[status]) == mlflow.CREATING:
        if time.monotonic() > end:
            found = f"{found} after {CREATION_SECONDS:.0f} s"
            break
        time.sleep(0.2)
    if found != mlflow.CREATED:
        _ask(f"Delete{kind}", named)
        raise ValueError(f"{kind} is {found}; the MLflow server's log: {mlflow.log_file()}")


HANDLERS: dict[str, dict[str, Callable[..., Any]]] = {
    "AWS::SageMaker::ModelPackageGroup": {
        "create": _create_group,
        "update": _update_group,
        "delete": _delete_group,
    },
    "AWS::SageMaker::MlflowApp": {
        "create": _create_app,
        "update": _update_app,
        "delete": _delete_app,
    },
    "AWS::SageMaker::MlflowTrackingServer": {
        "create": _create_server,
        "update": _update_server,
        "delete": _delete_server,
    },
}
