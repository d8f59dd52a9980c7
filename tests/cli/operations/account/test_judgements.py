"""What ``cards verify-account`` concludes from quotas and from IAM's answers."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.operations.account.access_calls import BY_BUCKET_POLICY, Place, judge_row
from cli.operations.account.access_table import ROWS, Row
from cli.operations.account.region import instances, judge_quota
from registry.deployment import DeployedNames

PLACE = Place(
    DeployedNames("dev", "models", "t", "m", "none", "r", "training", "compile", "key", "c"),
    "aws",
    "us-east-2",
    "123456789012",
    dict.fromkeys(("RegisterModel", "CompileApproved", "PublishRelease", "Reconcile"), "function"),
    "queue",
    "rule",
)


@pytest.mark.parametrize(
    ("quota", "state"),
    [(None, "not checked"), ({"Value": 0.0, "QuotaCode": "L-1"}, "failed"), ({"Value": 2.0}, "ok")],
)
def test_instance_without_a_quota_cannot_be_started(
    quota: dict[str, object] | None, state: str
) -> None:
    found = judge_quota("training", "ml.m5.xlarge", quota)
    assert found.state.value == state
    assert "ml.m5.xlarge for training job" in found.line


class BeforeDeployment:
    """An account without any stack of ours."""

    @property
    def functions(self) -> Any:
        message = "Stack with id cards-dev-automation does not exist"
        error: Any = {"Error": {"Code": "ValidationError", "Message": message}}
        raise ClientError(error, "ListStackResources")


def test_quota_for_training_is_looked_up_before_the_first_deployment() -> None:
    context: Any = BeforeDeployment()
    assert instances(context) == {"training": "ml.m5.xlarge"}


def test_iam_is_asked_about_every_call_of_the_table_that_it_can_judge() -> None:
    named = {
        call
        for row in ROWS
        for entries in (row.may, row.may_not)
        for calls in entries.values()
        for call in calls
    }
    assert named - set(PLACE.calls()) == BY_BUCKET_POLICY


@pytest.mark.parametrize("row", ROWS, ids=[row.role for row in ROWS])
def test_one_wrong_answer_in_either_direction_fails(row: Row) -> None:
    may = {call for calls in row.may.values() for call in calls}
    may_not = {call for calls in row.may_not.values() for call in calls} - BY_BUCKET_POLICY
    right = dict.fromkeys(may, True) | dict.fromkeys(may_not, False)
    assert [each.state.value for each in judge_row(row, right, BY_BUCKET_POLICY, "deploy")] == [
        "ok"
    ]
    for call, answer in right.items():
        (found,) = judge_row(row, {**right, call: not answer}, BY_BUCKET_POLICY, "deploy")
        assert found.state.value == "failed"
        assert call in found.line
