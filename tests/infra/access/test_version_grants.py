"""What may be written into a version: requests, judged by the deployed statements.

The condition keys of a request are those that the local cloud derives, and the statements are
evaluated as it does; ``tests/e2e/test_deployed_roles.py`` makes the same calls.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from ministack.core import iam_evaluator

from localcloud.sagemaker.service import condition_keys
from registry.versions.metadata_schema import PUBLISHER_KEYS, SCHEMA_KEYS
from tests.infra.access.test_policies import GROUP, PACKAGE, policy_of
from tests.infra.assembly import ACCOUNT, REGION, Assembly

#: AWS's limits in characters without white space: of a managed policy, of a role's inline ones.
MANAGED_LIMIT, INLINE_LIMIT = 6144, 10240
STAGE = {"Stage": "Stable", "StageStatus": "Released"}
PERSON_OR_FUNCTION = ("Approver", "RegisterModel", "PublishRelease")
#: Request -> who may make it.
UPDATES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "approve": (
        {"ModelApprovalStatus": "Approved", "ApprovalDescription": "x"},
        ("Approver",),
    ),
    "reject": ({"ModelApprovalStatus": "Rejected"}, ("Approver",)),
    "set back to pending": ({"ModelApprovalStatus": "PendingManualApproval"}, ("Approver",)),
    "explain without deciding": ({"ApprovalDescription": "x"}, ("PublishRelease",)),
    "approve and set the stage": (
        {"ModelApprovalStatus": "Approved", "ModelLifeCycle": STAGE},
        (),
    ),
    "set the stage": ({"ModelLifeCycle": STAGE}, ("PublishRelease",)),
    "approve and remove a key": (
        {"ModelApprovalStatus": "Approved", "CustomerMetadataPropertiesToRemove": ["Top1"]},
        (),
    ),
    "remove a metric": ({"CustomerMetadataPropertiesToRemove": ["Release", "Top1"]}, ()),
    "remove the release": (
        {"CustomerMetadataPropertiesToRemove": ["Release"]},
        ("PublishRelease",),
    ),
}
CREATIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "student, pending": (
        {"ModelApprovalStatus": "PendingManualApproval", "ModelName": "student-a-stage2-v1"},
        ("RegisterModel",),
    ),
    "student, approved": (
        {"ModelApprovalStatus": "Approved", "ModelName": "student-a-stage2-v1"},
        (),
    ),
    "student named as a compiled one, approved": (
        {"ModelApprovalStatus": "Approved", "ModelName": "student-a-onnx-v1-stage2-v1"},
        (),
    ),
    "nameless, approved": ({"ModelApprovalStatus": "Approved"}, ()),
    "teacher, approved": (
        {"ModelApprovalStatus": "Approved", "ModelName": "teacher-a-phase2-v1"},
        ("RegisterModel",),
    ),
    "failed run": (
        {"ModelApprovalStatus": "Rejected", "ModelName": "student-a-stage2-v1"},
        ("RegisterModel",),
    ),
    "compiled, approved": (
        {"ModelApprovalStatus": "Approved", "ModelName": "student-a-hailo8l-v1"},
        ("PublishRelease",),
    ),
    "compiled, gate failed": (
        {"ModelApprovalStatus": "Rejected", "ModelName": "student-a-onnx-v2"},
        ("RegisterModel", "PublishRelease"),
    ),
}


def may(deployment: Assembly, who: str, operation: str, request: dict[str, Any]) -> bool:
    """Whether the statements of a function's role, or of a policy, allow the request."""
    statements = (
        policy_of(deployment, who) if who == "Approver" else deployment.grants(f"{who}/Role")
    )
    action = f"sagemaker:{operation}ModelPackage"
    keys = condition_keys(action, json.dumps(request).encode())
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{ACCOUNT}:role/{who}",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=PACKAGE if operation == "Update" else GROUP,
        region=REGION,
        service_context={key.lower(): value for key, value in keys.items()},
    )
    document = {"Version": "2012-10-17", "Statement": statements}
    policies = [iam_evaluator.parse_policy_document(document)]
    return bool(iam_evaluator.evaluate(context, policies).decision == "Allow")


@pytest.mark.parametrize("who", PERSON_OR_FUNCTION)
@pytest.mark.parametrize("name", UPDATES)
def test_update_of_a_version_is_allowed_to_its_writer_alone(
    deployment: Assembly, name: str, who: str
) -> None:
    request, allowed = UPDATES[name]
    assert may(deployment, who, "Update", request) is (who in allowed)


@pytest.mark.parametrize("who", PERSON_OR_FUNCTION)
@pytest.mark.parametrize("name", CREATIONS)
def test_creation_of_a_version_is_bound_to_kind_and_approval(
    deployment: Assembly, name: str, who: str
) -> None:
    given, allowed = CREATIONS[name]
    request = {key: value for key, value in given.items() if key != "ModelName"}
    if "ModelName" in given:
        request["CustomerMetadataProperties"] = {"ModelName": given["ModelName"]}
    assert may(deployment, who, "Create", request) is (who in allowed)


@pytest.mark.parametrize("key", sorted(SCHEMA_KEYS))
def test_registered_metadata_cannot_be_written_afterwards(deployment: Assembly, key: str) -> None:
    metadata = {"CustomerMetadataProperties": {key: "1"}}
    approving = metadata | {"ModelApprovalStatus": "Approved"}
    assert not may(deployment, "Approver", "Update", metadata)
    assert not may(deployment, "Approver", "Update", approving)
    assert not may(deployment, "PublishRelease", "Update", approving)
    assert may(deployment, "PublishRelease", "Update", metadata) is (key in PUBLISHER_KEYS)


def test_policies_are_within_awss_size_limits(deployment: Assembly) -> None:
    def size(document: object) -> int:
        return len(json.dumps(document, separators=(",", ":")))

    managed = deployment.of_type("AWS::IAM::ManagedPolicy")
    assert len(managed) >= 4
    for each in managed:
        # ARNs grow with the account's names; leave room for 200 characters of each.
        assert size(each.properties["PolicyDocument"]) < MANAGED_LIMIT - 200, each.logical_id
    sizes: dict[str, int] = {}
    for each in deployment.of_type("AWS::IAM::Policy"):
        for role in each.properties["Roles"]:
            sizes[role] = sizes.get(role, 0) + size(each.properties["PolicyDocument"])
    assert sizes
    assert max(sizes.values()) < INLINE_LIMIT - 200, sizes
