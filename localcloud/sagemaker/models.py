"""Models: what an endpoint would be made of. There are no endpoints here, so they are records.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
"""

from __future__ import annotations

from collections.abc import Callable

from localcloud.sagemaker.errors import invalid
from localcloud.sagemaker.registry import package
from localcloud.sagemaker.roles import check_pass_role, check_tagging
from localcloud.sagemaker.store import (
    Record,
    arn,
    between,
    named,
    now,
    paginate,
    store,
    tag_map,
)


def create_model(request: Record) -> Record:
    name = request["ModelName"]
    key = arn("model", name)
    if key in store().models:
        raise invalid(f"Cannot create already existing model {key}.")
    containers = request.get("Containers") or []
    if bool(request.get("PrimaryContainer")) == bool(containers):
        raise invalid("Exactly one of PrimaryContainer and Containers must be provided.")
    for container in containers or [request["PrimaryContainer"]]:
        if bool(container.get("Image")) == bool(container.get("ModelPackageName")):
            raise invalid("A container must have either an Image or a ModelPackageName.")
        if container.get("ModelPackageName"):
            package(container["ModelPackageName"])
    if request.get("ExecutionRoleArn"):
        check_pass_role(request["ExecutionRoleArn"], key)
    check_tagging(key, request.get("Tags"))
    store().models[key] = {
        **{member: value for member, value in request.items() if member != "Tags"},
        "ModelArn": key,
        "CreationTime": now(),
        "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
    }
    store().tags[key] = tag_map(request.get("Tags"))
    return {"ModelArn": key}


def describe_model(request: Record) -> Record:
    key = arn("model", request["ModelName"])
    if key not in store().models:
        raise invalid(f'Could not find model "{key}".')
    return store().models[key]


def list_models(request: Record) -> Record:
    key = "ModelName"
    return paginate(
        between(store().models.values(), request),
        request,
        "Models",
        order="Descending",
        name_key=key,
        size=10,
        keep=named(request, key),
        row=lambda record: {
            member: record[member] for member in ("ModelName", "ModelArn", "CreationTime")
        },
    )


def delete_model(request: Record) -> Record:
    key = describe_model(request)["ModelArn"]
    del store().models[key]
    store().tags.pop(key, None)
    return {}


def list_model_metadata(request: Record) -> Record:
    """The published models that AWS knows: this cloud has no such catalogue."""
    return {"ModelMetadataSummaries": []}


ACTIONS: dict[str, Callable[[Record], Record]] = {
    "CreateModel": create_model,
    "DescribeModel": describe_model,
    "ListModels": list_models,
    "DeleteModel": delete_model,
    "ListModelMetadata": list_model_metadata,
}
