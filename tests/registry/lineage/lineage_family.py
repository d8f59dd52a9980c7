"""A family of versions in a local cloud: teacher, two stages, ONNX and INT8."""

from __future__ import annotations

from typing import Any

from registry.versions.packages import Package, describe

CARDS = "s3://training-bucket/cards/3f2a9c0d11aa/"
DIGEST = "3f2a9c0d11aa" + "0" * 52
NAMES = {
    "teacher": "teacher-x-phase2-v1",
    "stage1": "student-x-stage1-v1",
    "stage2": "student-x-stage2-v1",
    "onnx": "student-x-onnx-v1",
    "int8": "student-x-int8-v1",
}


def register(
    sagemaker: Any,
    group: str,
    name: str,
    parent: Package | None = None,
    *,
    approval: str = "PendingManualApproval",
    origin: str = "",
    **metadata: str,
) -> Package:
    """Creates a version as the registry would, without its schema."""
    known = {"ModelName": name, "CardSetUri": CARDS, "CardSetDigest": DIGEST, **metadata}
    if parent:
        known |= {"ParentModelPackageArn": parent.arn, "ParentModel": parent.label}
    request: dict[str, Any] = {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": f"{name}: made for a test",
        "ModelApprovalStatus": approval,
        "CustomerMetadataProperties": {key: value for key, value in known.items() if value},
        "MetadataProperties": {"CommitId": "c0ffee", **({"GeneratedBy": origin} if origin else {})},
    }
    return reread(sagemaker, sagemaker.create_model_package(**request)["ModelPackageArn"])


def reread(sagemaker: Any, arn: str) -> Package:
    package = describe(sagemaker, arn)
    assert package
    return package


def family(sagemaker: Any, group: str) -> dict[str, Package]:
    """Registers all five, each made from the one before."""
    made: dict[str, Package] = {}
    parent = None
    for key, name in NAMES.items():
        approval = "PendingManualApproval" if key.startswith("stage") else "Approved"
        cards = {} if parent is None or key.startswith("stage") else {"CardSetUri": ""}
        parent = made[key] = register(sagemaker, group, name, parent, approval=approval, **cards)
    return made


def everything(sagemaker: Any) -> tuple[Any, ...]:
    """All that Lineage holds, without times and in one order: for comparing two states."""

    def listed(operation: str, key: str) -> list[dict[str, Any]]:
        pages = sagemaker.get_paginator(operation).paginate()
        return [row for page in pages for row in page[key]]

    artifacts = sorted(
        (row["Source"]["SourceUri"], row["ArtifactType"], row["ArtifactName"])
        for row in listed("list_artifacts", "ArtifactSummaries")
    )
    actions = []
    for row in listed("list_actions", "ActionSummaries"):
        described = sagemaker.describe_action(ActionName=row["ActionName"])
        actions.append(
            (row["ActionName"], row["Status"], tuple(sorted(described["Properties"].items())))
        )
    edges = sorted(
        (row["SourceArn"], row["DestinationArn"], row["AssociationType"])
        for row in listed("list_associations", "AssociationSummaries")
    )
    return artifacts, sorted(actions), edges


def forget(sagemaker: Any) -> None:
    """Deletes all that Lineage holds."""
    for page in list(sagemaker.get_paginator("list_associations").paginate()):
        for row in page["AssociationSummaries"]:
            sagemaker.delete_association(
                SourceArn=row["SourceArn"], DestinationArn=row["DestinationArn"]
            )
    for page in list(sagemaker.get_paginator("list_actions").paginate()):
        for row in page["ActionSummaries"]:
            sagemaker.delete_action(ActionName=row["ActionName"])
    for page in list(sagemaker.get_paginator("list_artifacts").paginate()):
        for row in page["ArtifactSummaries"]:
            sagemaker.delete_artifact(ArtifactArn=row["ArtifactArn"])
