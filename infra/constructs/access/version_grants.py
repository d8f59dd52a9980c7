"""What each function and the approver may do to versions, by SageMaker's condition keys.

The service authorization reference has condition keys for the approval status, for each metadata
key, for the list of keys to remove, and for stage and status of the life cycle. It has none for
the artifact's address, the model card, the description or the reason of an approval: who may
update a version at all may write those. So the compilation compares the artifact's bytes with
what was registered, in metadata that only the registration may write. Nor has it one for 'any
metadata key': each key of the schema is named, and a key outside it can be written.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
"""

from __future__ import annotations

from aws_cdk import aws_iam as iam

from infra.constructs.model_group import CREATE_PACKAGES, UPDATE_PACKAGES, ModelGroup
from registry.compilers import compiled_stages
from registry.names import STUDENT, TEACHER
from registry.versions.life_cycle import STAGES
from registry.versions.metadata_schema import PUBLISHER_KEYS, SCHEMA_KEYS

_STATUS = "sagemaker:ModelApprovalStatus"
_REMOVED = "sagemaker:CustomerMetadataPropertiesToRemove"
_STAGE = "sagemaker:ModelLifeCycle:Stage"
_APPROVED, _REJECTED, _PENDING = "Approved", "Rejected", "PendingManualApproval"


def _key(metadata_key: str) -> str:
    return f"sagemaker:CustomerMetadataProperties/{metadata_key}"


def _absent(*keys: str) -> dict[str, str]:
    return dict.fromkeys(keys, "true")


def deciding_statement(group: ModelGroup) -> iam.PolicyStatement:
    """Approve, reject, or set back to pending; write no metadata of the schema and no stage."""
    keys = [_key(each) for each in sorted(SCHEMA_KEYS)]
    return group.packages(
        *UPDATE_PACKAGES,
        conditions={
            "StringEquals": {_STATUS: [_APPROVED, _REJECTED, _PENDING]},
            "Null": _absent(_REMOVED, _STAGE, *keys),
        },
    )


def registering_statements(group: ModelGroup) -> list[iam.PolicyStatement]:
    """Create versions that a person decides on; teachers alone are approved, never deployed."""
    return [
        group.packages(
            *CREATE_PACKAGES,
            conditions={
                "StringEquals": {_STATUS: [_PENDING, _REJECTED]},
                "Null": _absent(_STAGE),
            },
        ),
        group.packages(
            *CREATE_PACKAGES,
            conditions={
                "StringEquals": {_STATUS: _APPROVED},
                "StringLike": {_key("ModelName"): f"{TEACHER}-*"},
                "Null": _absent(_STAGE),
            },
        ),
    ]


def publishing_statements(group: ModelGroup) -> list[iam.PolicyStatement]:
    """Register what was compiled, and record results and the stage on a version.

    A compiled version leads to nothing: nothing is compiled from it.
    """
    others = [_key(each) for each in sorted(SCHEMA_KEYS - PUBLISHER_KEYS)]
    return [
        group.packages(
            *CREATE_PACKAGES,
            conditions={
                "StringEquals": {_STATUS: [_APPROVED, _REJECTED]},
                "StringLike": {
                    _key("ModelName"): [f"{STUDENT}-*-{stage}-v*" for stage in compiled_stages()]
                },
                "StringNotLike": {_key("ModelName"): f"{STUDENT}-*-stage2-v*"},
            },
        ),
        group.packages(
            *UPDATE_PACKAGES,
            conditions={
                "Null": _absent(_STATUS, *others),
                "StringEqualsIfExists": {_STAGE: list(STAGES)},
                "ForAllValues:StringEquals": {_REMOVED: sorted(PUBLISHER_KEYS)},
            },
        ),
    ]
