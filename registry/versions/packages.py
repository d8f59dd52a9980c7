"""Versions in the model package group: creating, describing and listing them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from registry.aws_errors import is_missing
from registry.names import ModelName, is_version_arn, name_in_description, package_version
from registry.untrusted.text import DESCRIPTION_LIMIT, aws_line, shortened
from registry.versions.life_cycle import LifeCycle
from registry.versions.metadata import (
    APPROVAL_REASON,
    FAILURE_REASON,
    MODEL_NAME,
    PARENT_ARN,
    check,
    plain,
)
from registry.versions.model_card import content

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"
PENDING: Final = "PendingManualApproval"
#: A version's approval -> what its card's status is when both are made.
_CARD_STATUS = {APPROVED: "Approved", REJECTED: "Draft", PENDING: "PendingReview"}
#: What the summary of a version begins with that stands for a run that failed.
FAILED = "failed: "
#: Between the summary and the address of the page to read before a decision, in a description.
PAGE_LINK = "; page to read: "


@dataclass(frozen=True)
class PackageSummary:
    """One row of a list.

    Attributes:
        metadata: CustomerMetadataProperties; None where the call that gave the row has none:
            ``ListModelPackages`` and ``BatchDescribeModelPackage``.
        life_cycle: Its stage; None where it has none, or the call gives none.
    """

    arn: str
    version: int
    name: ModelName | None
    approval: str
    description: str
    created: datetime
    metadata: Mapping[str, str] | None = None
    life_cycle: LifeCycle | None = None

    @property
    def summary(self) -> str:
        """The description without the name that leads it and without the page's address."""
        text = self.description.partition(PAGE_LINK)[0]
        return text.partition(": ")[2] if self.name else text

    @property
    def failure(self) -> str | None:
        """Why the run failed that this version stands for; None where there is a model."""
        known = (self.metadata or {}).get(FAILURE_REASON)
        if known:
            return known
        failed = self.approval == REJECTED and FAILED in self.summary
        return self.summary.partition(FAILED)[2] if failed else None


@dataclass(frozen=True)
class Package:
    """One version of the group, as ``DescribeModelPackage`` gives it.

    Attributes:
        version: The group's own number, from the ARN.
        name: The convention's name; None for a version that was registered without one.
        approval: ``Approved``, ``Rejected`` or ``PendingManualApproval``.
        model_data_url: Where its ``model.tar.gz`` lies, or an empty string.
        image: The inference container's image, or an empty string.
        metadata: CustomerMetadataProperties.
        approval_description: Why it was approved or rejected, as it was written.
        modified: When it was last changed; None where it never was.
        modified_by: ARN of who changed it last, where SageMaker says so.
        modified_by_id: Principal id of who changed it last, as ``aws:userid`` has it.
        created_by_id: Principal id of who created it.
        life_cycle: Its stage; None where it has none.
        generated_by: ARN of the job that made it, or an empty string.
        commit: The git commit of the code that made it, or an empty string.
        quality_uri: Where its metrics lie, as SageMaker's console reads them, or an empty string.
        card_status: Status of its model card; empty where it has none.
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
    modified_by_id: str | None = None
    created_by_id: str | None = None
    life_cycle: LifeCycle | None = None
    generated_by: str = ""
    commit: str = ""
    quality_uri: str = ""
    card_status: str = ""

    @property
    def parent_arn(self) -> str | None:
        """The version that this one was made from, or None."""
        return self.metadata.get(PARENT_ARN)

    @property
    def own_job(self) -> tuple[str, str] | None:
        """Kind (``training-job``, ``processing-job``) and name of the job that made it.

        None for a job of another account or region, as a version that was copied between accounts
        has: here its name is nobody's, or another job's.
        """
        place, _, job = self.generated_by.rpartition(":")
        kind, _, name = job.partition("/")
        return (kind, name) if name and place == self.arn.rpartition(":")[0] else None

    @property
    def label(self) -> str:
        """The name, or the ARN where there is none: for messages."""
        return str(self.name) if self.name else self.arn


@dataclass(frozen=True)
class NewPackage:
    """What is needed to register a model, or a run that failed.

    Attributes:
        summary: What follows the name in the description: the figures; of a failed run
            :data:`FAILED` and the reason.
        model_data_url: Where its ``model.tar.gz`` lies; None for a run that made none.
        image: To serve it with.
        metadata: Text of any characters; what SageMaker does not take there is spelled otherwise.
        generated_by: ARN of the job.
        quality_uri: Where its metrics lie (:mod:`registry.versions.model_quality`).
        card: Its model card (:mod:`registry.versions.model_card`).
        page_uri: Where the page to read before a decision lies; empty where there is none.
    """

    name: ModelName
    approval: str
    summary: str
    model_data_url: str | None
    image: str
    metadata: Mapping[str, str]
    generated_by: str
    commit: str | None = None
    approval_reason: str | None = None
    quality_uri: str | None = None
    card: Mapping[str, Any] | None = None
    page_uri: str = ""


def describe(sagemaker: SageMakerClient, arn: str) -> Package | None:
    """Describes a version; None when it does not exist (any more).

    What is no version's ARN is answered without a call: SageMaker refuses it with an error that
    is not the one for a missing version.
    """
    if not is_version_arn(arn):
        return None
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
    origin = answer.get("MetadataProperties", {})
    return Package(
        arn=answer["ModelPackageArn"],
        version=package_version(answer["ModelPackageArn"]),
        group=answer.get("ModelPackageGroupName", ""),
        name=_name(description, metadata),
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
        modified_by_id=changed_by.get("IamIdentity", {}).get("PrincipalId"),
        created_by_id=answer.get("CreatedBy", {}).get("IamIdentity", {}).get("PrincipalId"),
        life_cycle=LifeCycle.read(answer),
        generated_by=origin.get("GeneratedBy", ""),
        commit=origin.get("CommitId", ""),
        quality_uri=answer.get("ModelMetrics", {})
        .get("ModelQuality", {})
        .get("Statistics", {})
        .get("S3Uri", ""),
        card_status=answer.get("ModelCard", {}).get("ModelCardStatus", ""),
    )


def iterate(
    sagemaker: SageMakerClient,
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
            yield summary_of(row)
        if not page.get("NextToken"):
            return
        query["NextToken"] = page["NextToken"]


def summary_of(row: Mapping[str, Any]) -> PackageSummary:
    """A row of ``ListModelPackages``, ``Search`` or ``BatchDescribeModelPackage``."""
    description = row.get("ModelPackageDescription", "")
    metadata = row.get("CustomerMetadataProperties")
    return PackageSummary(
        arn=row["ModelPackageArn"],
        version=package_version(row["ModelPackageArn"]),
        name=_name(description, metadata or {}),
        approval=row.get("ModelApprovalStatus", PENDING),
        description=description,
        created=row["CreationTime"],
        metadata=metadata,
        life_cycle=LifeCycle.read(row),
    )


def _name(description: str, metadata: Mapping[str, str]) -> ModelName | None:
    """A version's name: nobody can change its description, and whoever approves may change its
    metadata, so the metadata counts only where the description has no name."""
    return name_in_description(description) or name_in_description(metadata.get(MODEL_NAME, ""))


def _description(package: NewPackage) -> str:
    """Name, kind and summary, and the page's address, which is never cut."""
    link = f"{PAGE_LINK}{package.page_uri}" if package.page_uri else ""
    words = f"{package.name}: {package.name.kind}, {package.summary}"
    return aws_line(words, DESCRIPTION_LIMIT - len(link)) + link


def find(
    sagemaker: SageMakerClient,
    group: str,
    name: ModelName,
    *,
    created_after: datetime | None = None,
) -> PackageSummary | None:
    """The version of that name, or None. Reads from the newest page on, until it is found."""
    for row in iterate(sagemaker, group, created_after=created_after):
        if row.name == name:
            return row
    return None


def create(sagemaker: SageMakerClient, group: str, package: NewPackage) -> str:
    """Registers a model and returns the ARN of its version.

    The description starts with name and kind: SageMaker filters by neither name nor metadata, so
    these words are what a version is searched by (:mod:`registry.versions.queries`).

    Tags are not passed: SageMaker refuses them for a version, they belong to the group. The
    client token is made from the name, so that a repeated call makes no second version.

    Raises:
        MetadataError: The metadata is incomplete or contradictory.
    """
    name = package.name
    given = {key: plain(value) for key, value in package.metadata.items()}
    given[MODEL_NAME] = str(name)
    if package.approval_reason:
        # ApprovalDescription can be set by an update only, and an update is another right.
        given[APPROVAL_REASON] = shortened(plain(package.approval_reason))
    metadata = check(name.model_type, name.stage, given)
    request: dict[str, Any] = {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": _description(package),
        "ModelApprovalStatus": package.approval,
        "CustomerMetadataProperties": metadata,
        "MetadataProperties": {"GeneratedBy": package.generated_by},
        "ClientToken": hashlib.sha256(f"{group}/{name}".encode()).hexdigest()[:36],
    }
    if package.commit:
        request["MetadataProperties"]["CommitId"] = aws_line(package.commit)
    if package.model_data_url:
        request["InferenceSpecification"] = {
            "Containers": [{"Image": package.image, "ModelDataUrl": package.model_data_url}],
            "SupportedContentTypes": ["application/x-npy"],
            "SupportedResponseMIMETypes": ["application/x-npy"],
        }
    if package.quality_uri:
        request["ModelMetrics"] = {
            "ModelQuality": {
                "Statistics": {"ContentType": "application/json", "S3Uri": package.quality_uri}
            }
        }
    if package.card:
        request["ModelCard"] = {
            "ModelCardContent": content(package.card),
            "ModelCardStatus": _CARD_STATUS[package.approval],
        }
    return str(sagemaker.create_model_package(**request)["ModelPackageArn"])
