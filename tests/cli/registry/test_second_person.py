"""Four eyes before the decision: who submitted the training cannot approve, and is told so."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from cli.aws import AwsSession
from cli.operations.checks.check import State
from cli.operations.checks.releases import second_person
from cli.operations.reconcile import _print, _waiting
from registry.automation.reconciliation import Failure, ReconciliationReport
from tests.cli.command import cards, refused
from tests.cli.registry.test_approve import FIGURES, GROUP, made, seen
from tests.running_cloud import Account, Client, client_of, publish_parameters

NAME = "student-a-stage2-v1"


@pytest.fixture(scope="module")
def client(account: Account) -> Iterator[Client]:
    """A deployment with four eyes; one student waits, which the account's root has submitted."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.variables.items():
            patch.setenv(name, value)
        publish_parameters(account.client, group_name=GROUP, four_eyes="true")
        account.client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
        yield account.client


@pytest.fixture(scope="module")
def waiting(client: Client) -> str:
    return made(client, NAME, **FIGURES)


@pytest.fixture
def second(client: Client, account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Another person, who may do everything but read the tags of jobs."""
    iam = client("iam")
    iam.create_user(UserName="second")
    iam.put_user_policy(
        UserName="second",
        PolicyName="own",
        PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": '
        '["sagemaker:*", "ssm:*", "sts:*"], "Resource": "*"}, {"Effect": "Deny", "Action": '
        '"sagemaker:ListTags", "Resource": "*"}]}',
    )
    key = iam.create_access_key(UserName="second")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    yield client_of(
        account.cloud,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    iam.delete_access_key(UserName="second", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="second", PolicyName="own")
    iam.delete_user(UserName="second")


def doctor(client: Client, four_eyes: bool = True) -> Any:
    deployment = SimpleNamespace(
        four_eyes=four_eyes, sagemaker=client("sagemaker"), group_name=GROUP
    )
    return list(second_person(SimpleNamespace(deployment=deployment, client=client)))  # type: ignore[arg-type]


def test_submitter_cannot_approve_and_the_version_stays_pending(
    client: Client, waiting: str
) -> None:
    refused(
        cards("registry", "approve", NAME, "--reason", "mine"),
        "has submitted its training and cannot approve it",
        f"another person types cards registry approve {NAME}",
    )
    assert seen(client, waiting) == ("PendingManualApproval", "")


def test_doctor_and_reconcile_name_what_waits_for_a_second_person(
    client: Client, waiting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (result,) = doctor(client)
    assert result.state is State.WARNING
    assert f"{NAME} waits for approval, and you have submitted its training" in result.line
    assert "another person" in result.remedy
    (off,) = doctor(client, four_eyes=False)
    assert off.state is State.OK and "not set" in off.line
    found = _waiting(AwsSession("dev"))
    _print(ReconciliationReport(), found, dry_run=True)
    out = " ".join(capsys.readouterr().out.split())
    assert f"{NAME} waits for approval: four eyes:" in out and "another person" in out
    assert "nothing to repair" in out


def test_reconcile_says_what_could_not_be_checked(capsys: pytest.CaptureFixture[str]) -> None:
    report = ReconciliationReport(failures=[Failure(NAME, "ClientError: throttled")])
    _print(report, [], dry_run=True)
    said = capsys.readouterr()
    assert f"{NAME}: could not be checked (ClientError: throttled)" in said.err


def test_second_person_is_not_warned_and_may_approve(
    client: Client, waiting: str, second: Client
) -> None:
    (result,) = doctor(second)
    assert result.state is State.OK and "1 wait for approval" in result.line
    done = cards("registry", "approve", NAME, "--reason", "looks right")
    assert done.code == 0, done.err
    assert seen(client, waiting)[0] == "Approved"


def test_person_who_may_not_see_the_submitter_is_told_so(
    client: Client, account: Account, second: Client
) -> None:
    job = f"arn:aws:sagemaker:us-east-2:{account.number}:training-job/unknown"
    arn = made(client, "student-b-stage2-v1", origin=job, **FIGURES)
    done = cards("registry", "approve", arn, "--reason", "looks right")
    assert done.code == 0, done.err
    assert "you may not see who submitted its training" in done.err


def test_version_whose_submitter_nobody_knows_is_refused(client: Client, account: Account) -> None:
    job = f"arn:aws:sagemaker:us-east-2:{account.number}:training-job/unknown"
    arn = made(client, "student-c-stage2-v1", origin=job, **FIGURES)
    refused(
        cards("registry", "approve", arn, "--reason", "x"),
        "who submitted its training is not recorded",
        "SubmittedBy",
    )
    assert seen(client, arn)[0] == "PendingManualApproval"
