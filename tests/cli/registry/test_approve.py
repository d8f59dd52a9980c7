"""``cards registry approve`` and ``reject``, against a local cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.command import cards, refused
from tests.running_cloud import Account, Client, publish_parameters

GROUP = "pokemon-card-recognition-models"
FIGURES = {
    "Queries": "300",
    "Top1": "0.8",
    "NumClasses": "32",
    "BestSimilarity": "0.9",
    "HailoCompatible": "true",
    "Validation": "passed",
}


@pytest.fixture(scope="module")
def client(account: Account) -> Iterator[Client]:
    """A local cloud with a group and what the commands read from SSM."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.variables.items():
            patch.setenv(name, value)
        ours = account.client
        publish_parameters(ours, group_name=GROUP)
        for group in (GROUP, "somebody-elses"):
            ours("sagemaker").create_model_package_group(ModelPackageGroupName=group)
        yield ours


def made(
    client: Client, name: str, group: str = GROUP, *, origin: str = "", **metadata: str
) -> str:
    """Registers a version, made by the job of an ARN; returns its own."""
    return str(
        client("sagemaker").create_model_package(
            ModelPackageGroupName=group,
            ModelPackageDescription=f"{name}: made for a test",
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
            CustomerMetadataProperties={"ModelName": name, **metadata},
            **({"MetadataProperties": {"GeneratedBy": origin}} if origin else {}),
        )["ModelPackageArn"]
    )


def seen(client: Client, arn: str) -> tuple[str, str]:
    """A version's status and why, as SageMaker says it."""
    answer = client("sagemaker").describe_model_package(ModelPackageName=arn)
    return answer["ModelApprovalStatus"], answer.get("ApprovalDescription", "")


def test_approval_prints_person_reason_and_next_step(client: Client, account: Account) -> None:
    arn = made(client, "student-a-stage2-v1", **FIGURES)
    done = cards("registry", "approve", "student-a-stage2-v1", "--reason", "beats v0")
    assert done.code == 0, done.err
    status, why = seen(client, arn)
    assert status == "Approved"
    assert why.startswith(f"Approved by arn:aws:iam::{account.number}:root on ")
    assert why.endswith("Z: beats v0")
    assert why in done.out
    assert "compilation starts by itself" in done.out
    assert "cards release pull" in done.out


def test_repeated_approval_is_reported_and_changes_nothing(client: Client) -> None:
    arn = made(client, "student-b-stage2-v1", **FIGURES)
    assert cards("registry", "approve", arn, "--reason", "first").code == 0
    before = seen(client, arn)
    again = cards("registry", "approve", arn, "--reason", "second")
    assert again.code == 0
    assert "is Approved already; nothing is changed" in again.out
    assert "first" in again.out and "compilation starts" not in again.out
    assert again.err == ""
    assert seen(client, arn) == before


def test_version_without_validation_is_refused_unless_overridden(client: Client) -> None:
    arn = made(client, "student-c-stage2-v1")
    refused(
        cards("registry", "approve", arn, "--reason", "looks fine"),
        "student-c-stage2-v1",
        "no validation is recorded",
        "--override",
    )
    assert seen(client, arn) == ("PendingManualApproval", "")
    done = cards("registry", "approve", arn, "--reason", "for the fair", "--override", "--json")
    assert done.code == 0, done.err
    assert done.json["overridden"] == ["no validation is recorded"]
    assert done.json["approval_description"] == seen(client, arn)[1]
    assert "without a passed validation" in seen(client, arn)[1]


def test_failed_run_is_not_approved(client: Client) -> None:
    arn = made(client, "student-d-stage2-v1", FailureReason="AlgorithmError: out of memory")
    refused(
        cards("registry", "approve", arn, "--reason", "please", "--override"),
        "out of memory",
        "not with --override",
    )
    assert seen(client, arn)[0] == "PendingManualApproval"


def test_approval_of_stage_1_prints_that_nothing_is_released(client: Client) -> None:
    arn = made(client, "student-e-stage1-v1", **FIGURES)
    done = cards("registry", "approve", arn, "--reason", "a good start", "--wait")
    assert done.code == 0, done.err
    assert "intermediate checkpoint: nothing is released from it" in done.out
    assert "cards release pull" not in done.out
    assert seen(client, arn)[0] == "Approved"


def test_rejection_records_person_and_reason(client: Client, account: Account) -> None:
    arn = made(client, "student-f-stage2-v1", **FIGURES)
    done = cards("registry", "reject", arn, "--reason", "mixes reprints", "--json")
    assert done.code == 0, done.err
    assert (done.json["previous"], done.json["approval"]) == ("PendingManualApproval", "Rejected")
    assert seen(client, arn)[1].startswith(f"Rejected by arn:aws:iam::{account.number}:root on ")
    assert seen(client, arn)[1].endswith(": mixes reprints")


@pytest.mark.parametrize("reason", ["", "two\nlines", "\x1b[31mred", "x" * 1025])
def test_hostile_reason_is_refused_in_one_line(client: Client, reason: str) -> None:
    arn = made(client, "student-g-stage2-v1", **FIGURES)
    refused(cards("registry", "approve", arn, "--reason", reason), "student-g-stage2-v1", "reason")
    refused(cards("registry", "reject", arn, "--reason", reason), "student-g-stage2-v1", "reason")
    assert seen(client, arn) == ("PendingManualApproval", "")


def test_version_of_another_group_is_not_changed(client: Client) -> None:
    arn = made(client, "student-h-stage2-v1", "somebody-elses", **FIGURES)
    refused(cards("registry", "approve", arn, "--reason", "x"), "somebody-elses", "--environment")
    assert seen(client, arn)[0] == "PendingManualApproval"


def test_missing_reason_is_asked_for(client: Client) -> None:
    done = cards("registry", "approve", "student-a-stage2-v1")
    assert done.code == 2
    assert "--reason" in done.err


def test_unknown_name_is_refused_in_one_line(client: Client) -> None:
    refused(
        cards("registry", "approve", "student-z-stage2-v9", "--reason", "x"), "student-z-stage2-v9"
    )


def test_wait_follows_to_the_release(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli.release import wait_for_release as release_wait

    followed: list[Any] = []

    def follow(aws: Any, package: Any, progress: Any) -> str:
        followed.append(package)
        return "the-release"

    monkeypatch.setattr(release_wait, "wait_for_release", follow)
    arn = made(client, "student-i-stage2-v1", **FIGURES)
    done = cards("registry", "approve", arn, "--reason", "good", "--wait", "--json")
    assert done.code == 0, done.err
    assert done.json["release"] == "the-release"
    assert [(each.arn, each.approval) for each in followed] == [(arn, "Approved")]
