"""Other accounts that may look at models and pull releases: what they are given, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from infra.reading_settings import load_settings
from infra.settings import SettingsError
from tests.infra.access.test_policies import GROUP, MLFLOW, PACKAGE, RELEASES, TRAINING, allows
from tests.infra.assembly import ACCOUNT, REGION, ROOT, Assembly, as_list

PRODUCTION, FLEET = "222222222222", "333333333333"
READERS = [f"arn:aws:iam::{account}:root" for account in (PRODUCTION, FLEET)]


@pytest.fixture(scope="module")
def shared(synthesise: Any) -> Assembly:
    return synthesise(reader_accounts=f"{PRODUCTION},{FLEET}")


def principals(statement: dict[str, Any]) -> list[str]:
    """Who a statement of a resource's policy is for, the partition filled in."""
    principal = statement["Principal"]
    return as_list(principal["AWS"]) if isinstance(principal, dict) else as_list(principal)


def given_to_readers(assembly: Assembly) -> list[dict[str, Any]]:
    """The statements of every resource's policy that name an account."""
    (group,) = assembly.of_type("AWS::SageMaker::ModelPackageGroup")
    documents = [group.properties.get("ModelPackageGroupPolicy", {"Statement": []})]
    documents += [
        each.properties["PolicyDocument"] for each in assembly.of_type("AWS::S3::BucketPolicy")
    ]
    return [
        statement
        for document in documents
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
    ]


def test_other_accounts_read_nothing_by_default(deployment: Assembly) -> None:
    (group,) = deployment.of_type("AWS::SageMaker::ModelPackageGroup")
    assert "ModelPackageGroupPolicy" not in group.properties
    assert given_to_readers(deployment) == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sagemaker:DescribeModelPackageGroup", GROUP),
        ("sagemaker:ListModelPackages", GROUP),
        ("sagemaker:ListModelPackages", PACKAGE),
        ("sagemaker:DescribeModelPackage", PACKAGE),
        ("s3:GetObject", f"{RELEASES}/releases/x/manifest.json"),
        ("s3:GetObject", f"{RELEASES}/channels/stable.json"),
        ("s3:GetObject", f"{RELEASES}/keys/1.pem"),
        ("s3:ListBucket", RELEASES),
    ],
)
def test_reader_may_look_at_models_and_pull_releases(
    shared: Assembly, action: str, resource: str
) -> None:
    assert allows(given_to_readers(shared), action, resource)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sagemaker:UpdateModelPackage", PACKAGE),
        ("sagemaker:CreateModelPackage", GROUP),
        ("sagemaker:DescribeModelPackage", PACKAGE.replace("pokemon-card", "other")),
        ("s3:GetObject", f"{RELEASES}/other/x"),
        ("s3:PutObject", f"{RELEASES}/channels/stable.json"),
        ("s3:GetObject", f"{TRAINING}/jobs/student-1/output/model.tar.gz"),
        ("s3:GetObject", f"{TRAINING}/cards/0a1b/base1-1/front.png"),
        ("s3:ListBucket", TRAINING),
        ("s3:ListBucket", MLFLOW),
    ],
)
def test_reader_may_do_nothing_else(shared: Assembly, action: str, resource: str) -> None:
    assert not allows(given_to_readers(shared), action, resource)


def test_each_statement_is_for_those_accounts_and_names_its_actions(shared: Assembly) -> None:
    given = given_to_readers(shared)
    assert len(given) == 4
    for statement in given:
        assert principals(statement) == READERS
        assert not any("*" in action for action in as_list(statement["Action"]))
        assert all(resource.count(":") >= 5 for resource in as_list(statement["Resource"]))
    (listing,) = [each for each in given if "s3:ListBucket" in as_list(each["Action"])]
    assert listing["Condition"] == {
        "StringLike": {"s3:prefix": ["releases/*", "channels/*", "keys/*"]}
    }


def test_reader_decrypts_what_lies_in_the_release_bucket_and_only_that(
    shared: Assembly, deployment: Assembly
) -> None:
    def opened(assembly: Assembly) -> list[dict[str, Any]]:
        keys = [k for k in assembly.of_type("AWS::KMS::Key") if "DataKey" in k.logical_id]
        statements = [s for k in keys for s in k.properties["KeyPolicy"]["Statement"]]
        return [s for s in statements if s["Sid"] == "ReadThroughS3"]

    (statement,) = opened(shared)
    assert principals(statement) == READERS and statement["Action"] == "kms:Decrypt"
    assert statement["Condition"] == {
        "StringEquals": {
            "kms:ViaService": f"s3.{REGION}.amazonaws.com",
            "kms:EncryptionContext:aws:s3:arn": RELEASES,
        }
    }
    assert opened(deployment) == []


def test_no_role_and_nothing_stateful_changes_for_it(
    deployment: Assembly, shared: Assembly
) -> None:
    assert shared.templates["access"] == deployment.templates["access"]
    changed = {
        name
        for name, body in deployment.templates["registry"]["Resources"].items()
        if shared.templates["registry"]["Resources"][name] != body
    }
    assert changed == {"GroupC77FDACD", "ReleaseBucketPolicyE2D33021", "DataKey17AFBB84"}


def test_cfn_lint_finds_nothing_in_an_isolated_network(shared: Assembly) -> None:
    from cfnlint.api import ManualArgs, lint  # slow to import

    template = (shared.folder / f"{shared.names['registry']}.template.json").read_text()
    config = ManualArgs(regions=[REGION], ignore_checks=["W3005"])
    assert [str(match) for match in lint(template, config=config)] == []


@pytest.mark.parametrize(
    "text",
    [
        f"{PRODUCTION},{FLEET}",
        f" {PRODUCTION} , {FLEET} ",
        f'["{PRODUCTION}", "{FLEET}"]',
    ],
)
def test_command_line_takes_a_list_as_commas_or_json(text: str) -> None:
    context = {"cards": {"reader_accounts": [ACCOUNT]}, "cards.reader_accounts": text}
    assert load_settings(context).reader_accounts == (PRODUCTION, FLEET)


def test_file_takes_a_list() -> None:
    settings = load_settings({"cards": {"reader_accounts": [PRODUCTION]}})
    assert settings.reader_accounts == (PRODUCTION,)


@pytest.mark.parametrize("text", ["", "null", "[]"])
def test_command_line_can_remove_every_reader(text: str) -> None:
    context = {"cards": {"reader_accounts": [PRODUCTION]}, "cards.reader_accounts": text}
    assert load_settings(context).reader_accounts == ()


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (PRODUCTION[:-1], "12 digits each"),
        ("prod", "12 digits each"),
        (f"{PRODUCTION},", "12 digits each"),
        ("٢" * 12, "12 digits each"),
        (f"{PRODUCTION},{PRODUCTION}", "each account once"),
        (f"[{PRODUCTION}]", "a list of texts"),
        (f'["{PRODUCTION}"', "a list of texts"),
    ],
)
def test_wrong_account_is_refused_in_one_line(value: str, cause: str) -> None:
    with pytest.raises(SettingsError, match=cause) as caught:
        load_settings({"cards.reader_accounts": value})
    message = str(caught.value)
    assert message.startswith("cards.reader_accounts: ") and "\n" not in message


@pytest.mark.processes
def test_deployments_own_account_is_no_reader() -> None:
    """Answered by the app itself, which knows where it is deployed to."""
    environment = {
        **os.environ,
        "CDK_DEFAULT_ACCOUNT": PRODUCTION,
        "CDK_CONTEXT_JSON": f'{{"cards": {{"reader_accounts": ["{PRODUCTION}"]}}}}',
    }
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    (line,) = [each for each in done.stderr.splitlines() if each]
    assert line.startswith(f"cdk.json: cards.reader_accounts: {PRODUCTION} is the account")
