"""Approving and rejecting: what may be, what is written, and what a bad day does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError
from hypothesis import given
from hypothesis import strategies as st

from registry.convergence import Approval, Step, next_step
from registry.names import leads_to, parse_name
from registry.versions.approval import (
    DESCRIPTION_LIMIT,
    ApprovalError,
    ApprovalResult,
    apply,
    decide,
)
from registry.versions.packages import APPROVED, PENDING, REJECTED, Package, describe
from tests.faults import Faults
from tests.registry.lineage.lineage_family import reread
from tests.running_cloud import Client

WHO = "arn:aws:iam::123456789012:user/ada"
WHEN = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
NAME = "student-x-stage2-v1"
FIGURES = {
    "ModelName": NAME,
    "Queries": "300",
    "Top1": "0.8",
    "NumClasses": "32",
    "BestSimilarity": "0.9",
    "HailoCompatible": "true",
    "Validation": "passed",
}
PACKAGE = Package(
    arn="arn:aws:sagemaker:us-east-2:123456789012:model-package/models/3",
    version=3,
    group="models",
    name=parse_name(NAME),
    approval=PENDING,
    description=f"{NAME}: made for a test",
    created=WHEN,
    model_data_url="s3://bucket/model.tar.gz",
    image="image",
    metadata=FIGURES,
)
UNVALIDATED = replace(PACKAGE, metadata={"ModelName": NAME})


def decided(package: Package = PACKAGE, status: str = APPROVED, **given: Any) -> Any:
    return decide(package, status, **{"reason": "good", "person_arn": WHO, "when": WHEN, **given})


# --- the decision itself


def test_a_validated_version_is_approved_with_who_when_and_why() -> None:
    decision = decided(reason="  top-1 is as good as v0's  ")
    assert decision.status == APPROVED
    assert decision.description == (
        f"Approved by {WHO} on 2026-03-01T10:30:00Z: top-1 is as good as v0's"
    )


def test_a_version_without_a_passed_validation_is_refused_with_its_faults_and_the_remedy() -> None:
    with pytest.raises(ApprovalError, match=r"no validation is recorded.*--override"):
        decided(UNVALIDATED)
    failed = replace(PACKAGE, metadata={**FIGURES, "Validation": "failed", "ValidationFaults": "x"})
    with pytest.raises(ApprovalError, match="no passed validation: x"):
        decided(failed)


def test_override_is_applied_and_recorded() -> None:
    decision = decided(UNVALIDATED, override=True, reason="demo for the fair")
    assert decision.description == (
        "Approved without a passed validation (no validation is recorded) "
        f"by {WHO} on 2026-03-01T10:30:00Z: demo for the fair"
    )
    assert decision.overridden == ("no validation is recorded",)


def test_unneeded_override_is_not_recorded() -> None:
    assert "without" not in decided(override=True).description


def test_a_failed_run_cannot_be_approved_even_with_an_override() -> None:
    failed = replace(
        PACKAGE,
        metadata={**FIGURES, "FailureReason": "AlgorithmError: out of\nmemory"},
        model_data_url="",
    )
    with pytest.raises(ApprovalError, match=r"training run failed[\s\S]*not with --override"):
        decided(failed, override=True)


def test_a_version_without_an_artifact_cannot_be_approved_even_with_an_override() -> None:
    with pytest.raises(ApprovalError, match="no model artifact"):
        decided(replace(PACKAGE, model_data_url=""), override=True)


def test_a_version_without_a_name_cannot_be_approved_but_rejected() -> None:
    nameless = replace(PACKAGE, name=None)
    with pytest.raises(ApprovalError, match="no name by the convention"):
        decided(nameless, override=True)
    assert decided(nameless, REJECTED).status == REJECTED


def test_every_version_can_be_rejected() -> None:
    decision = decided(UNVALIDATED, REJECTED, reason="mixes reprints")
    assert decision.description.startswith(f"Rejected by {WHO} on ")


def test_version_with_the_same_status_needs_no_decision() -> None:
    assert decided(replace(UNVALIDATED, approval=APPROVED)) is None
    assert decided(replace(PACKAGE, approval=REJECTED), REJECTED) is None


@pytest.mark.parametrize(
    "reason",
    ["two\nlines", "a\ttab", "bell\x07", "\u202eright to left", "half\ud800", "a\u2028line"],
)
def test_reason_of_more_than_one_line_is_refused(reason: str) -> None:
    with pytest.raises(ApprovalError, match=r"cannot be shown \(U\+"):
        decided(reason=reason)


@pytest.mark.parametrize("reason", ["", "   ", "\n"])
def test_an_empty_reason_is_refused(reason: str) -> None:
    with pytest.raises(ApprovalError, match="the reason is empty"):
        decided(reason=reason)


@given(st.text(max_size=1500), st.booleans(), st.text(max_size=400))
def test_description_is_one_line_that_sagemaker_accepts(
    reason: str, override: bool, faults: str
) -> None:
    package = replace(
        PACKAGE, metadata={**FIGURES, "Validation": "failed", "ValidationFaults": faults}
    )
    try:
        decision = decided(package, reason=reason, override=override)
    except ApprovalError:
        return
    assert len(decision.description) <= DESCRIPTION_LIMIT
    assert decision.description.isprintable()
    assert decision.description.endswith(f": {reason.strip()}")


def test_too_long_reason_is_refused_with_the_limit() -> None:
    with pytest.raises(ApprovalError, match="2000 characters and SageMaker keeps") as error:
        decided(reason="x" * 2000)
    room = int(str(error.value).partition("keeps ")[2].split()[0])
    assert len(decided(reason="x" * room).description) == DESCRIPTION_LIMIT
    with pytest.raises(ApprovalError):
        decided(reason="x" * (room + 1))


def test_message_for_stage_1_says_that_nothing_is_released() -> None:
    assert "intermediate checkpoint" in leads_to(parse_name("student-x-stage1-v1"))
    assert "nothing is released" in leads_to(parse_name("teacher-x-phase2-v1"))
    assert "compilation starts by itself" in leads_to(parse_name(NAME))
    assert "without a name" in leads_to(None)


# --- writing it, against the local cloud


@pytest.fixture
def sagemaker(client: Client, faults: Faults) -> Any:
    return faults.client(client("sagemaker"))


@pytest.fixture
def package(sagemaker: Any, group: str) -> Package:
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription=f"{NAME}: made for a test",
        InferenceSpecification={
            "Containers": [
                {
                    "Image": "123456789012.dkr.ecr.us-east-2.amazonaws.com/pytorch:2",
                    "ModelDataUrl": "s3://bucket/model.tar.gz",
                }
            ],
            "SupportedContentTypes": ["application/x-npy"],
            "SupportedResponseMIMETypes": ["application/x-npy"],
        },
        CustomerMetadataProperties=FIGURES,
    )["ModelPackageArn"]
    return reread(sagemaker, arn)


def approved(
    sagemaker: Any, package: Package, status: str = APPROVED, **given: Any
) -> ApprovalResult:
    options = {"reason": "good", "person_arn": WHO, "now": lambda: WHEN, "sleep": lambda _: None}
    return apply(sagemaker, package, status, **{**options, **given})


def test_decision_is_recorded_in_the_version(sagemaker: Any, package: Package) -> None:
    outcome = approved(sagemaker, package)
    assert (outcome.previous, outcome.package.approval) == (PENDING, APPROVED)
    seen = sagemaker.describe_model_package(ModelPackageName=package.arn)
    assert seen["ModelApprovalStatus"] == "Approved"
    assert seen["ApprovalDescription"] == f"Approved by {WHO} on 2026-03-01T10:30:00Z: good"


def test_approving_twice_changes_nothing(sagemaker: Any, package: Package, faults: Faults) -> None:
    first = approved(sagemaker, package)
    second = approved(sagemaker, first.package, reason="again")
    assert second.decision is None
    assert faults.calls["UpdateModelPackage"] == 1
    again = describe(sagemaker, package.arn)
    assert again and again.approval_description == first.package.approval_description


def test_throttled_calls_are_retried(sagemaker: Any, package: Package, faults: Faults) -> None:
    faults.throttle(sagemaker, "UpdateModelPackage", times=2)
    assert approved(sagemaker, package).package.approval == APPROVED
    assert faults.calls["UpdateModelPackage"] == 3


def test_lost_response_is_found_by_reading_back(
    sagemaker: Any, package: Package, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As often as botocore tries.
    faults.lose_answer(sagemaker, "UpdateModelPackage", times=5)
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert approved(sagemaker, package).package.approval == APPROVED


def test_a_request_that_never_arrived_is_an_error(
    sagemaker: Any, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import ReadTimeoutError

    def lose(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="x")

    monkeypatch.setattr("time.sleep", lambda _: None)
    sagemaker.meta.events.register("before-send.sagemaker.UpdateModelPackage", lose)
    with pytest.raises(HTTPClientError):
        approved(sagemaker, package)
    seen = describe(sagemaker, package.arn)
    assert seen and seen.approval == PENDING


def test_concurrent_decision_of_another_person_raises(sagemaker: Any, package: Package) -> None:
    def reject(**_: Any) -> None:
        sagemaker.update_model_package(
            ModelPackageArn=package.arn,
            ModelApprovalStatus="Rejected",
            ApprovalDescription="Rejected by grace",
        )

    class Interrupted:
        """Right after our update somebody else's arrives."""

        def __getattr__(self, name: str) -> Callable[..., Any]:
            real = getattr(sagemaker, name)

            def call(**request: Any) -> Any:
                answer = real(**request)
                if name == "update_model_package":
                    reject()
                return answer

            return call

    with pytest.raises(ApprovalError, match=r"is Rejected by a decision.*Rejected by grace"):
        approved(Interrupted(), package)


def test_conflict_with_a_concurrent_update_raises(
    sagemaker: Any, package: Package, faults: Faults
) -> None:
    faults.fail(sagemaker, "UpdateModelPackage", "ConflictException", "being modified")
    with pytest.raises(ClientError, match="ConflictException"):
        approved(sagemaker, package)


def test_version_deleted_meanwhile_raises(sagemaker: Any, package: Package) -> None:
    def delete(**_: Any) -> None:
        sagemaker.delete_model_package(ModelPackageName=package.arn)

    sagemaker.meta.events.register("after-call.sagemaker.UpdateModelPackage", delete)
    with pytest.raises(ApprovalError, match="was deleted meanwhile"):
        approved(sagemaker, package)


def test_a_missing_right_is_an_error(sagemaker: Any, package: Package, faults: Faults) -> None:
    faults.fail(sagemaker, "UpdateModelPackage", "AccessDeniedException", "not authorized")
    with pytest.raises(ClientError, match="AccessDenied"):
        approved(sagemaker, package)


def test_approval_by_console_or_aws_cli_gives_the_same_step(
    sagemaker: Any, client: Client, package: Package, bucket: str
) -> None:
    """The automation sees a status; who set it, and by what, makes no difference."""
    from registry.automation.observation import VersionRef, observe
    from registry.compilation.compile_settings import CompileSettings
    from registry.deployment import Deployment

    deployment = Deployment(client, package.group, bucket, bucket)
    compile_settings = CompileSettings.from_json('{"compiler": "onnx-int8"}', "image")
    before = observe(deployment, VersionRef(package.arn), compile_settings).seen
    assert next_step(before) is Step.NOTHING
    approved(sagemaker, package)
    by_cards = observe(deployment, VersionRef(package.arn), compile_settings).seen
    approved(sagemaker, reread(sagemaker, package.arn), REJECTED)
    # What the console and `aws sagemaker update-model-package` send: the status alone.
    sagemaker.update_model_package(ModelPackageArn=package.arn, ModelApprovalStatus="Approved")
    by_cli = observe(deployment, VersionRef(package.arn), compile_settings).seen
    assert by_cards == by_cli
    assert by_cli.approval is Approval.APPROVED and by_cli.releasable


def test_approving_stage_1_starts_nothing(
    sagemaker: Any, client: Client, group: str, bucket: str
) -> None:
    from registry.automation.actions import converge
    from registry.automation.observation import VersionRef
    from registry.compilation.compile_settings import CompileSettings
    from registry.deployment import Deployment

    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription="student-x-stage1-v1: an intermediate checkpoint",
        ModelApprovalStatus="Approved",
    )["ModelPackageArn"]
    deployment = Deployment(client, group, bucket, bucket)
    compile_settings = CompileSettings.from_json('{"compiler": "onnx-int8"}', "image")

    def never(_: Any) -> str:
        raise AssertionError("a stage-1 checkpoint was acted on")

    outcome = converge(deployment, VersionRef(arn), compile_settings, dict.fromkeys(Step, never))
    assert outcome.step is Step.NOTHING
    assert "stage 1 is an intermediate checkpoint" in outcome.result


def test_times_are_recorded_in_utc() -> None:
    east = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=9)))
    assert "2026-03-01T14:30:00Z" in decided(when=east).description
    assert "2026-03-01T23:30:00Z" in decided(when=east.replace(tzinfo=UTC)).description
