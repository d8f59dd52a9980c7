"""Versions in the model package group: creating, describing and listing them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from registry.aws import is_missing
from registry.metadata import (
    APPROVAL_REASON,
    DESCRIPTION_LIMIT,
    MODEL_NAME,
    PARENT_ARN,
    check,
    shortened,
)
from registry.names import ModelName, name_in_description, package_version

APPROVED = "Approved"
REJECTED = "Rejected"
PENDING = "PendingManualApproval"


@dataclass(frozen=True)
class PackageSummary:
    """One row of ``ListModelPackages``."""

    arn: str
    version: int
    name: ModelName | None
    approval: str
    description: str
    created: datetime


@dataclass(frozen=True)
class Package:
    """One version of the group, as ``DescribeModelPackage`` gives it.

    Attributes:
        version: The group's own number, from the ARN.
        name: The convention's name; None for a version that somebody registered without one.
        approval: ``Approved``, ``Rejected`` or ``PendingManualApproval``.
        model_data_url: Where its ``model.tar.gz`` lies, or an empty string.
        image: The inference container's image, or an empty string.
        metadata: CustomerMetadataProperties.
        approval_description: Why it was approved or rejected, in whatever words were given.
        modified: When it was last changed; None where it never was.
        modified_by: ARN of who changed it last, where SageMaker says so.
    """

    arn: str
    version: int
    group: str
    name: ModelName | None
    approval: str
    description: str
    created: datetime
    model_data_url: str
    image: str
    metadata: Mapping[str, str]
    approval_description: str = ""
    modified: datetime | None = None
    modified_by: str | None = None

    @property
    def parent_arn(self) -> str | None:
        """The version that this one was made from, or None."""
        return self.metadata.get(PARENT_ARN)

    @property
    def label(self) -> str:
        """The name, or the ARN where there is none: for messages."""
        return str(self.name) if self.name else self.arn


@dataclass(frozen=True)
class NewPackage:
    """What is needed to register a model."""

    name: ModelName
    approval: str
    summary: str
    model_data_url: str
    image: str
    metadata: Mapping[str, str]
    generated_by: str
    commit: str | None = None
    approval_reason: str | None = None


def describe(sagemaker: Any, arn: str) -> Package | None:
    """Describes a version; None when it does not exist (any more)."""
    try:
        answer = sagemaker.describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    containers = answer.get("InferenceSpecification", {}).get("Containers") or [{}]
    metadata = answer.get("CustomerMetadataProperties", {})
    description = answer.get("ModelPackageDescription", "")
    changed_by = answer.get("LastModifiedBy", {})
    return Package(
        arn=answer["ModelPackageArn"],
        version=package_version(answer["ModelPackageArn"]),
        group=answer.get("ModelPackageGroupName", ""),
        name=name_in_description(metadata.get(MODEL_NAME, description)),
        approval=answer.get("ModelApprovalStatus", PENDING),
        description=description,
        created=answer["CreationTime"],
        model_data_url=containers[0].get("ModelDataUrl", ""),
        image=containers[0].get("Image", ""),
        metadata=metadata,
        approval_description=answer.get("ApprovalDescription", ""),
        modified=answer.get("LastModifiedTime"),
        modified_by=changed_by.get("IamIdentity", {}).get("Arn")
        or changed_by.get("UserProfileArn"),
    )


def iterate(
    sagemaker: Any,
    group: str,
    *,
    approval: str | None = None,
    created_after: datetime | None = None,
    page_size: int = 100,
) -> Iterator[PackageSummary]:
    """The group's versions, newest first, a page at a time."""
    query: dict[str, Any] = {
        "ModelPackageGroupName": group,
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
        "MaxResults": page_size,
    }
    if approval:
        query["ModelApprovalStatus"] = approval
    if created_after:
        query["CreationTimeAfter"] = created_after
    while True:
        page = sagemaker.list_model_packages(**query)
        for row in page["ModelPackageSummaryList"]:
            description = row.get("ModelPackageDescription", "")
            yield PackageSummary(
                arn=row["ModelPackageArn"],
                version=package_version(row["ModelPackageArn"]),
                name=name_in_description(description),
                approval=row.get("ModelApprovalStatus", PENDING),
                description=description,
                created=row["CreationTime"],
            )
        if not page.get("NextToken"):
            return
        query["NextToken"] = page["NextToken"]


def find(
    sagemaker: Any, group: str, name: ModelName, *, created_after: datetime | None = None
) -> PackageSummary | None:
    """The version of that name, or None. Reads from the newest page on, until it is found."""
    for row in iterate(sagemaker, group, created_after=created_after):
        if row.name == name:
            return row
    return None


def create(sagemaker: Any, group: str, package: NewPackage) -> str:
    """Registers a model and returns the ARN of its version.

    Tags are not passed: SageMaker refuses them for a version, they belong to the group. The
    client token is made from the name, so that a repeated call makes no second version.

    Raises:
        MetadataError: The metadata is incomplete or contradictory.
    """
    name = package.name
    given = {**package.metadata, MODEL_NAME: str(name)}
    if package.approval_reason:
        # ApprovalDescription can be set by an update only, and an update is another right.
        given[APPROVAL_REASON] = shortened(package.approval_reason)
    metadata = check(name.model_type, name.stage, given)
    request: dict[str, Any] = {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": shortened(f"{name}: {package.summary}", DESCRIPTION_LIMIT),
        "InferenceSpecification": {
            "Containers": [{"Image": package.image, "ModelDataUrl": package.model_data_url}],
            "SupportedContentTypes": ["application/x-npy"],
            "SupportedResponseMIMETypes": ["application/x-npy"],
        },
        "ModelApprovalStatus": package.approval,
        "CustomerMetadataProperties": metadata,
        "MetadataProperties": {"GeneratedBy": package.generated_by},
        "ClientToken": hashlib.sha256(f"{group}/{name}".encode()).hexdigest()[:36],
    }
    if package.commit:
        request["MetadataProperties"]["CommitId"] = package.commit
    return str(sagemaker.create_model_package(**request)["ModelPackageArn"])
