"""What each check of ``cards doctor`` concludes from what it read, without a cloud."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli.operations.checks import (
    account,
    automation,
    compiler,
    machine,
    notices,
    permissions,
    releases,
    storage,
    tracking,
)
from cli.operations.checks.check import (
    CheckContext,
    CheckResult,
    State,
)
from registry.automation.observation import VersionRef, VersionState
from registry.convergence import Approval, JobState, Observation
from registry.deployment import DeployedNames
from registry.names import parse_name
from registry.releases.pointers import Pointer
from registry.versions.packages import APPROVED, REJECTED, Package

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-east-2:111122223333:model-package/models/3"
LONG_AGO = NOW - timedelta(days=1)


def student(approval: str = APPROVED, changed: datetime = LONG_AGO, **metadata: str) -> Package:
    name = "student-x-stage2-v1"
    return Package(
        ARN, 3, "models", parse_name(name), approval, name, LONG_AGO, "s3://b/m", "", metadata,
        modified=changed,
    )  # fmt: skip


def only(results: Iterator[CheckResult]) -> CheckResult:
    (found,) = results
    return found


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(0, "ok"), (59, "ok"), (-59, "ok"), (60, "warning"), (-200, "warning"), (300, "failed"),
     (-3600, "failed")],
)  # fmt: skip
def test_clock_that_is_wrong_breaks_signatures(seconds: int, state: str) -> None:
    headers = {"date": format_datetime(NOW - timedelta(seconds=seconds), usegmt=True)}
    result = account.judge_clock(headers, NOW)
    assert result.state.value == state
    if state == "failed":
        assert ("ahead of" if seconds > 0 else "behind") in result.line


@pytest.mark.parametrize("headers", [{}, {"date": "soon"}])
def test_answer_without_a_time_leaves_the_clock_unchecked(headers: dict[str, str]) -> None:
    assert account.judge_clock(headers, NOW).state is State.UNCHECKED


def test_root_user_is_for_the_local_cloud() -> None:
    root = "arn:aws:iam::111122223333:root"
    assert account.judge_caller(root, local=True).state is State.OK
    assert account.judge_caller(root, local=False).state is State.WARNING


def test_deployment_in_another_region_is_reported() -> None:
    key = "arn:aws:kms:eu-central-1:111122223333:key/1"
    result = account.judge_regions("us-east-2", {"signing key": key, "MLflow": "none"})
    assert result and result.remedy == "export AWS_REGION=eu-central-1"
    assert account.judge_regions("eu-central-1", {"signing key": key, "MLflow": "none"}) is None


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("CREATE_COMPLETE", "ok"),
        ("UPDATE_COMPLETE", "ok"),
        ("UPDATE_IN_PROGRESS", "warning"),
        ("UPDATE_ROLLBACK_COMPLETE", "warning"),
        ("ROLLBACK_COMPLETE", "failed"),
        ("UPDATE_ROLLBACK_FAILED", "failed"),
        ("", "failed"),
    ],
)
def test_incomplete_stack_is_reported(status: str, state: str) -> None:
    assert only(account.judge_stacks({"cards-dev-access": status}, "cdk deploy")).state == state


def test_stack_whose_first_deployment_failed_is_deleted_before_the_next() -> None:
    result = only(account.judge_stacks({"cards-dev-registry": "ROLLBACK_COMPLETE"}, "cdk deploy"))
    assert result.state is State.FAILED
    steps = result.remedy.split(" && ")
    assert "--no-enable-termination-protection" in steps[0] and "delete-stack" in steps[1]
    assert steps[2] == "cdk deploy"


@pytest.mark.parametrize(
    ("state", "remedy"), [("Disabled", "enable-key"), ("PendingDeletion", "cancel-key-deletion")]
)
def test_key_that_cannot_sign_is_reported(state: str, remedy: str) -> None:
    result = storage.judge_key("key", state, "nothing is released", "devices trust it")
    assert result.state is State.FAILED and remedy in result.remedy


@pytest.mark.parametrize(
    ("status", "state"),
    [("Completed", None), ("Pending", "warning"), ("InProgress", "warning"), ("Failed", "failed"),
     ("Deleting", "failed"), ("DeleteFailed", "failed")],
)  # fmt: skip
def test_group_that_takes_no_version_is_reported(status: str, state: str | None) -> None:
    result = storage.judge_group("group", status, "cdk deploy")
    assert (result.state.value if result else None) == state


@pytest.mark.parametrize(
    ("confirmed", "pending", "state", "words"),
    [(1, 0, "ok", "1 subscription"), (3, 0, "ok", "3 subscriptions"),
     (0, 0, "warning", "nobody has subscribed"), (0, 1, "warning", "1 subscription waits"),
     (2, 2, "warning", "2 subscriptions wait")],
)  # fmt: skip
def test_topic_that_reaches_nobody_is_reported(
    confirmed: int, pending: int, state: str, words: str
) -> None:
    counts = {"SubscriptionsConfirmed": str(confirmed), "SubscriptionsPending": str(pending)}
    result = notices.judge_subscriptions("arn:topic", counts)
    assert result.state.value == state and words in result.line
    assert bool(result.remedy) == (state != "ok")


@pytest.mark.parametrize(("key_state", "state"), [("Enabled", "ok"), ("Disabled", "failed")])
def test_topic_under_a_key_that_cannot_be_used_is_reported(key_state: str, state: str) -> None:
    """The local cloud's topics do not say their key."""
    attributes = {"SubscriptionsConfirmed": "1", "KmsMasterKeyId": "the-key"}
    answers = SimpleNamespace(
        get_topic_attributes=lambda TopicArn: {"Attributes": attributes},
        describe_key=lambda KeyId: {"KeyMetadata": {"KeyState": key_state}},
    )
    context = SimpleNamespace(
        names=SimpleNamespace(notice_topic_arn="arn:topic"), client=lambda service: answers
    )
    (result,) = notices.notices(cast(CheckContext, context))
    assert result.state.value == state
    assert ("enable-key --key-id the-key" in result.remedy) == (state == "failed")


@pytest.mark.parametrize("status", ["Suspended", "never enabled"])
def test_bucket_without_versioning_is_reported(status: str) -> None:
    assert storage.judge_versioning("bucket", "Enabled") is None
    result = storage.judge_versioning("bucket", status)
    assert result is not None and result.state is State.FAILED
    assert "--bucket bucket" in result.remedy


FUNCTION = {
    "FunctionName": "the-function",
    "State": "Active",
    "DeadLetterConfig": {"TargetArn": "arn"},
}


@pytest.mark.parametrize(
    ("changes", "reserved", "retries", "state", "word"),
    [
        ({}, 0, 2, "failed", "reserved concurrency 0"),
        ({"State": "Failed", "StateReason": "no role"}, None, 2, "failed", "no role"),
        ({"LastUpdateStatus": "Failed"}, None, 2, "failed", "last update failed"),
        ({"DeadLetterConfig": {}}, None, 2, "warning", "no dead-letter queue"),
        ({}, None, 0, "warning", "not tried again"),
    ],
)
def test_reason_that_a_function_cannot_work_is_reported(
    changes: dict[str, Any], reserved: int | None, retries: int, state: str, word: str
) -> None:
    result = only(
        automation.judge_function(
            "RegisterModel",
            {**FUNCTION, **changes},
            reserved,
            {"MaximumRetryAttempts": retries},
            "cdk deploy",
        )
    )
    assert result.state == state and word in result.line


def test_working_function_is_not_reported() -> None:
    judged = automation.judge_function(
        "RegisterModel", FUNCTION, 5, {"MaximumRetryAttempts": 2}, "cdk deploy"
    )
    assert list(judged) == []


TARGET = {"Arn": "function", "DeadLetterConfig": {"Arn": "queue"}}


@pytest.mark.parametrize(
    ("state", "targets", "function", "expected", "word"),
    [
        ("DISABLED", [TARGET], "function", "failed", "is disabled"),
        ("deleted", [], "function", "failed", "was deleted"),
        ("ENABLED", [], "function", "failed", "does not fire"),
        ("ENABLED", [{**TARGET, "Arn": "other"}], "function", "failed", "does not fire"),
        ("ENABLED", [TARGET], "", "failed", "does not fire"),
        ("ENABLED", [{"Arn": "function"}], "function", "warning", "no dead-letter queue"),
    ],
)
def test_reason_that_a_rule_cannot_invoke_its_function_is_reported(
    state: str, targets: list[dict[str, Any]], function: str, expected: str, word: str
) -> None:
    judged = automation.judge_rule("CompileApproved", "r", state, targets, function, "cdk deploy")
    result = only(judged)
    assert result.state == expected and word in result.line


def test_dead_letter_is_reported_with_its_function_and_remedy() -> None:
    undelivered = automation.judge_queue("RegisterModelUndelivered1234", 2, "dev")
    assert undelivered.line == "2 events could not be delivered to RegisterModel"
    handled = automation.judge_queue("PublishReleaseFailed1234", 1, "dev")
    assert handled.line == "1 event could not be handled by PublishRelease"
    assert "cards dlq redrive PublishRelease -e dev" in handled.remedy


WHERE = DeployedNames(
    "dev", "models", "t", "m", "none", "r", "arn:aws:iam::1:role/t", "arn:aws:iam::1:role/c",
    "arn:aws:kms:us-east-2:1:key/k", "onnx-int8",
)  # fmt: skip
RIGHTS = permissions.Rights(WHERE, "aws", "us-east-2", "1")


@pytest.mark.parametrize("role", RIGHTS.roles())
def test_role_with_exactly_its_permissions_passes(role: str) -> None:
    duties = RIGHTS.roles()[role]
    allowed = dict.fromkeys(duties.must, True) | dict.fromkeys(duties.must_not, False)
    assert list(permissions.judge_role(role, duties, allowed, "cdk deploy")) == []


@pytest.mark.parametrize("role", RIGHTS.roles())
def test_missing_or_excess_permission_of_a_role_is_reported(role: str) -> None:
    duties = RIGHTS.roles()[role]
    right = dict.fromkeys(duties.must, True) | dict.fromkeys(duties.must_not, False)
    for each in right:
        turned = {**right, each: not right[each]}
        result = only(permissions.judge_role(role, duties, turned, "cdk deploy"))
        assert result.state is State.FAILED
        assert str(each) in result.line
        assert ("may not:" in result.line) == (each in duties.must)


def test_no_role_of_jobs_or_functions_may_approve() -> None:
    for duties in RIGHTS.roles().values():
        assert set(RIGHTS.approve) <= set(duties.must_not)


def test_missing_read_permission_fails_and_missing_training_permission_warns() -> None:
    duties = RIGHTS.person()
    every = {right: True for rights in duties.values() for right in rights}
    assert only(permissions.judge_caller(duties, every, "attach")).state is State.OK
    no_training = every | dict.fromkeys(RIGHTS.train, False)
    found = list(permissions.judge_caller(duties, no_training, "attach"))
    assert [each.state for each in found] == [State.OK, State.WARNING]
    assert "iam:PassRole" in found[1].line
    blind = every | dict.fromkeys(RIGHTS.look, False)
    assert State.FAILED in {each.state for each in permissions.judge_caller(duties, blind, "x")}


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("123456789012.dkr.ecr.us-east-2.amazonaws.com/hailo/dfc:3.31", "hailo/dfc"),
        (f"123456789012.dkr.ecr.us-east-2.amazonaws.com/dfc@sha256:{'0' * 64}", "dfc"),
        ("docker.io/hailo:3", None),
        ("", None),
    ],
)
def test_image_in_ecr_is_distinguished_from_another(image: str, repository: str | None) -> None:
    parts = compiler._ECR.fullmatch(image)
    assert (parts["repository"] if parts else None) == repository


@pytest.mark.parametrize(
    ("status", "state"),
    [("Created", None), ("Updated", None), ("Creating", "warning"), ("CreateFailed", "failed"),
     ("Deleting", "failed")],
)  # fmt: skip
def test_mlflow_app_that_is_not_running_is_reported(status: str, state: str | None) -> None:
    result = tracking.judge_app("arn", status, "cdk deploy")
    assert (result.state.value if result else None) == state


@pytest.mark.parametrize(
    ("status", "active", "state"),
    [("Created", "Active", None), ("Starting", "Inactive", "warning"),
     ("Stopped", "Inactive", "failed"), ("CreateFailed", "Inactive", "failed")],
)  # fmt: skip
def test_tracking_server_that_is_not_running_is_reported(
    status: str, active: str, state: str | None
) -> None:
    result = tracking.judge_server("cards-dev", status, active)
    assert (result.state.value if result else None) == state
    if state == "failed":
        assert result and "start-mlflow-tracking-server" in result.remedy


def judged(seen: Observation, package: Package | None = None, newest: str | None = None) -> Any:
    of = package or student()
    older = (newest,) if newest else ()
    situation = VersionState(seen, VersionRef(of.arn), of, of.name, releases=older)
    return releases.judge_version(situation, NOW, "aws lambda invoke", "dev")


def test_approved_version_without_compile_job_is_reported() -> None:
    result = judged(Observation(Approval.APPROVED, True))
    assert result.state is State.FAILED
    assert "start the compilation" in result.line and result.remedy == "aws lambda invoke"


def test_recent_approval_is_not_reported() -> None:
    seen = Observation(Approval.APPROVED, True)
    assert judged(seen, student(changed=NOW - timedelta(seconds=30))) is None


@pytest.mark.parametrize(
    "seen",
    [
        Observation(Approval.APPROVED, True, job=JobState.RUNNING, attempts=1),
        Observation(Approval.APPROVED, True, job=JobState.COMPLETED, released=True),
        Observation(Approval.REJECTED, True, job=JobState.COMPLETED),
    ],
)
def test_version_in_progress_or_released_passes(seen: Observation) -> None:
    assert judged(seen) is None


def test_recorded_failure_is_reported_with_its_reason() -> None:
    seen = Observation(
        Approval.APPROVED, True, job=JobState.FAILED, attempts=3, failure_recorded=True
    )
    result = judged(seen, student(CompileFailure="mean cosine is 0.7"))
    assert result.state is State.WARNING
    assert "mean cosine is 0.7" in result.line and "cards registry reject" in result.remedy


def test_release_with_earlier_compile_settings_is_a_warning() -> None:
    result = judged(Observation(Approval.APPROVED, True), newest="x.onnx-int8-01234567")
    assert result.state is State.WARNING and "earlier compile settings" in result.line


RELEASED = Pointer("x.r", ARN, "student-x-stage2-v1")


@pytest.mark.parametrize(
    ("pointed", "wanted", "package", "state", "words"),
    [
        (RELEASED, RELEASED, student(), "ok", "stable -> x.r"),
        (Pointer(None), Pointer(None), None, "ok", "no release yet"),
        (RELEASED, Pointer(None), student(REJECTED), "failed", "is Rejected; devices still"),
        (RELEASED, Pointer(None), None, "failed", "was deleted"),
        (Pointer(None), RELEASED, None, "failed", "stable -> nothing; x.r is right"),
        (RELEASED, Pointer("y.r", "other", "y"), student(), "failed", "y.r is right"),
        (RELEASED, Pointer(None), student(REJECTED, NOW), "ok", "changed just now"),
    ],
)
def test_channel_is_compared_with_its_computed_target(
    pointed: Pointer, wanted: Pointer, package: Package | None, state: str, words: str
) -> None:
    result = releases.judge_stable(pointed, wanted, package, NOW, "aws lambda invoke")
    assert result.state == state and words in result.line


def test_unsupported_python_and_full_disk_are_reported() -> None:
    supported = ((3, 11), (3, 13))
    assert machine.judge_python((3, 12), supported) is None
    for version in ((3, 10), (3, 14)):
        result = machine.judge_python(version, supported)
        assert result and result.state is State.FAILED
    assert machine.judge_disk(10**12) is None
    result = machine.judge_disk(10**8)
    assert result and "0.1 GB" in result.line
