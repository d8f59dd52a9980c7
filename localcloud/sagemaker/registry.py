"""Model package groups, model packages and tags."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from localcloud.sagemaker import events
from localcloud.sagemaker.errors import AwsError, invalid
from localcloud.sagemaker.roles import caller, check_action, check_tagging
from localcloud.sagemaker.store import (
    Record,
    arn,
    between,
    name_of,
    named,
    now,
    paginate,
    store,
    tag_map,
)

_PAIRS = 50
_TAGS = 50
_UPDATABLE = (
    *("ModelApprovalStatus", "ApprovalDescription", "InferenceSpecification"),
    *("SourceUri", "ModelCard", "ModelLifeCycle"),
)
_NOT_KEPT = ("Tags", "ClientToken", "ModelPackageName")

# --- groups


def create_model_package_group(request: Record) -> Record:
    name = request["ModelPackageGroupName"]
    group_arn = arn("model-package-group", name)
    if name in store().groups:
        raise invalid(f"Model Package Group already exists: {group_arn}")
    check_tagging(group_arn, request.get("Tags"))
    store().groups[name] = {
        "ModelPackageGroupName": name,
        "ModelPackageGroupArn": group_arn,
        "ModelPackageGroupDescription": request.get("ModelPackageGroupDescription"),
        "CreationTime": now(),
        "ModelPackageGroupStatus": "Completed",
        "CreatedBy": caller(),
    }
    store().tags[group_arn] = tag_map(request.get("Tags"))
    return {"ModelPackageGroupArn": group_arn}


def group(name_or_arn: str) -> Record:
    """The group's record.

    Raises:
        AwsError: There is none, in SageMaker's words.
    """
    name = name_of(name_or_arn)
    if name not in store().groups:
        raise invalid(f"ModelPackageGroup {arn('model-package-group', name)} does not exist.")
    return store().groups[name]


def describe_model_package_group(request: Record) -> Record:
    return group(request["ModelPackageGroupName"])


def list_model_package_groups(request: Record) -> Record:
    key = "ModelPackageGroupName"
    return paginate(
        between(store().groups.values(), request),
        request,
        "ModelPackageGroupSummaryList",
        order="Ascending",
        name_key=key,
        keep=named(request, key),
    )


def delete_model_package_group(request: Record) -> Record:
    record = group(request["ModelPackageGroupName"])
    name = record["ModelPackageGroupName"]
    if any(p["ModelPackageGroupName"] == name for p in store().packages.values()):
        raise AwsError(
            "ConflictException",
            f"Cannot delete Model Package Group {record['ModelPackageGroupArn']} "
            "because it still contains model packages",
        )
    del store().groups[name]
    store().policies.pop(name, None)
    store().tags.pop(record["ModelPackageGroupArn"], None)
    return {}


def put_model_package_group_policy(request: Record) -> Record:
    record = group(request["ModelPackageGroupName"])
    store().policies[record["ModelPackageGroupName"]] = request["ResourcePolicy"]
    return {"ModelPackageGroupArn": record["ModelPackageGroupArn"]}


def get_model_package_group_policy(request: Record) -> Record:
    record = group(request["ModelPackageGroupName"])
    policy = store().policies.get(record["ModelPackageGroupName"])
    if policy is None:
        raise invalid(f"Cannot find resource policy for: {record['ModelPackageGroupArn']}")
    return {"ResourcePolicy": policy}


def delete_model_package_group_policy(request: Record) -> Record:
    store().policies.pop(group(request["ModelPackageGroupName"])["ModelPackageGroupName"], None)
    return {}


# --- packages


def create_model_package(request: Record) -> Record:
    if not request.get("ModelPackageGroupName"):
        # Packages without a group are of the marketplace: nothing here sells or subscribes.
        raise invalid("Missing ARN.")
    if request.get("ModelPackageName"):
        raise invalid(
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. "
            "Cannot determine which one to use."
        )
    name = group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
    if request.get("Tags"):
        # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
        raise invalid(
            "Tags are not supported for versioned model packages; add them to the model package "
            "group instead"
        )
    token = f"{name}|{request['ClientToken']}" if request.get("ClientToken") else None
    digest = _digest(request)
    if token in store().tokens and store().tokens[token] in store().packages:
        if store().token_requests.get(token, digest) != digest:
            raise AwsError(
                "ConflictException",
                "A request with the same ClientToken and other parameters was made before",
            )
        return {"ModelPackageArn": store().tokens[token]}
    _check_pairs(request.get("CustomerMetadataProperties", {}))
    version = store().versions[name] = store().versions.get(name, 0) + 1
    package_arn = arn("model-package", f"{name}/{version}")
    package = {
        **{key: value for key, value in request.items() if key not in _NOT_KEPT and value != {}},
        "ModelPackageGroupName": name,
        "ModelPackageVersion": version,
        "ModelPackageArn": package_arn,
        "CreationTime": now(),
        "CreatedBy": caller(),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "ModelApprovalStatus": request.get("ModelApprovalStatus") or "PendingManualApproval",
    }
    store().packages[package_arn] = package
    if token:
        store().tokens[token] = package_arn
        store().token_requests[token] = digest
    events.package_changed(package)
    return {"ModelPackageArn": package_arn}


def _digest(request: Record) -> str:
    """Equal for requests with the same parameters."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def package(name_or_arn: str) -> Record:
    """The version's record, by its ARN or by ``group/version``.

    Raises:
        AwsError: There is none, in SageMaker's words.
    """
    key = name_or_arn if name_or_arn.startswith("arn:") else arn("model-package", name_or_arn)
    packages = store().packages
    if key not in packages:
        # SageMaker spells a group's capitals now so, now so in ARNs (boto3#4606), and takes both.
        known = next((each for each in packages if each.lower() == key.lower()), None)
        if known is None:
            raise invalid(f"ModelPackage {key} does not exist.")
        key = known
    return packages[key]


def describe_model_package(request: Record) -> Record:
    return package(request["ModelPackageName"])


def batch_describe_model_package(request: Record) -> Record:
    found, errors = {}, {}
    for key in request["ModelPackageArnList"]:
        try:
            check_action("sagemaker:BatchDescribeModelPackage", key)
            record = package(key)
        except AwsError as error:
            errors[key] = {"ErrorCode": error.code, "ErrorResponse": str(error)}
            continue
        found[key] = record
    return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors}


def delete_model_package(request: Record) -> Record:
    del store().packages[package(request["ModelPackageName"])["ModelPackageArn"]]
    return {}


def update_model_package(request: Record) -> Record:
    record = package(request["ModelPackageArn"])
    metadata = {
        **(record.get("CustomerMetadataProperties") or {}),
        **(request.get("CustomerMetadataProperties") or {}),
    }
    for key in request.get("CustomerMetadataPropertiesToRemove") or []:
        metadata.pop(key, None)
    _check_pairs(metadata)
    for key in _UPDATABLE:
        if request.get(key) is not None:
            record[key] = request[key]
    if request.get("AdditionalInferenceSpecificationsToAdd"):
        record.setdefault("AdditionalInferenceSpecifications", []).extend(
            request["AdditionalInferenceSpecificationsToAdd"]
        )
    record["CustomerMetadataProperties"] = metadata
    if not metadata:  # SageMaker has no empty map there.
        del record["CustomerMetadataProperties"]
    record["LastModifiedTime"] = now()
    record["LastModifiedBy"] = caller()
    updated = [key for key in request if key in (*_UPDATABLE, "CustomerMetadataProperties")]
    events.package_changed(record, updated)
    return {"ModelPackageArn": record["ModelPackageArn"]}


def list_model_packages(request: Record) -> Record:
    found = between(store().packages.values(), request)
    if request.get("ModelPackageGroupName"):
        name = group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
        found = [record for record in found if record["ModelPackageGroupName"] == name]
    elif request.get("ModelPackageType", "Unversioned") == "Unversioned":
        found = []
    status, contains = request.get("ModelApprovalStatus"), named(request, "ModelPackageDescription")
    return paginate(
        found,
        request,
        "ModelPackageSummaryList",
        order="Ascending",
        name_key="ModelPackageArn",
        keep=lambda record: contains(record) and status in (None, record["ModelApprovalStatus"]),
        row=_summary,
    )


def _summary(record: Record) -> Record:
    keys = (
        *("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn"),
        *("ModelPackageDescription", "CreationTime", "ModelPackageStatus", "ModelApprovalStatus"),
        *("ModelLifeCycle", "ModelPackageRegistrationType"),
    )
    return {key: record[key] for key in keys if record.get(key) is not None}


def _check_pairs(metadata: Any) -> None:
    if len(metadata) > _PAIRS:
        raise invalid(
            f"Value at 'customerMetadataProperties' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_PAIRS}"
        )


# --- tags


def add_tags(request: Record) -> Record:
    resource = _taggable(request["ResourceArn"])
    tags = store().tags.get(resource, {}) | tag_map(request["Tags"])
    if len(tags) > _TAGS:
        raise invalid(f"The maximum number of tags on a resource is {_TAGS}.")
    store().tags[resource] = tags
    return list_tags(request)


def list_tags(request: Record) -> Record:
    tags = store().tags.get(_taggable(request["ResourceArn"]), {})
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def delete_tags(request: Record) -> Record:
    for key in request["TagKeys"]:
        store().tags.get(_taggable(request["ResourceArn"]), {}).pop(key, None)
    return {}


def _taggable(resource: str) -> str:
    tables = store()
    if resource in tables.packages:
        raise invalid(
            f"Tags are not supported for versioned model packages: {resource}; the model package "
            "group has them"
        )
    groups = (record["ModelPackageGroupArn"] for record in tables.groups.values())
    known = (tables.jobs, tables.lineage, tables.mlflow, tables.models)
    if resource not in groups and not any(resource in table for table in known):
        raise invalid(f"Could not find resource {resource}.")
    return resource
