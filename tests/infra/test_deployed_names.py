"""Deployed names that settings no longer derive: refused before a deployment, by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from infra.deployed_names import deployed_names, keeping, refusal, renames
from infra.name_guard import refuse_renames
from infra.reading_settings import load_settings
from infra.settings import SettingsError
from localcloud import LocalCloud
from tests.running_cloud import ROOT, Account, publish_parameters

ACCOUNT, REGION = "111122223333", "us-east-2"


def old_names(account: str) -> dict[str, str]:
    """What an environment got before its names were its own."""
    return {
        "group_name": "pokemon-card-recognition-models",
        "training_bucket": f"pokemon-card-training-{account}-{REGION}",
        "mlflow_bucket": f"pokemon-card-mlflow-{account}-{REGION}",
        "release_bucket": f"pokemon-card-releases-{account}-{REGION}",
    }


def test_every_derived_name_that_differs_is_kept_by_an_option() -> None:
    settings = load_settings({"cards.environment": "prod"})
    changes = renames(settings, ACCOUNT, REGION, old_names(ACCOUNT))
    assert {each.setting: each.deployed for each in changes} == old_names(ACCOUNT)
    words = keeping(changes).split()[1::2]
    kept = load_settings({"cards.environment": "prod", **dict(word.split("=") for word in words)})
    assert renames(kept, ACCOUNT, REGION, old_names(ACCOUNT)) == []
    line = refusal("prod", changes)
    assert keeping(changes) in line and "\n" not in line


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_names_of_this_state_and_a_first_deployment_are_kept(environment: str) -> None:
    settings = load_settings({"cards.environment": environment})
    assert renames(settings, ACCOUNT, REGION, {}) == []
    now = {change.setting: change.next for change in renames(
        settings, ACCOUNT, REGION, dict.fromkeys(old_names(ACCOUNT), "other"))}  # fmt: skip
    assert renames(settings, ACCOUNT, REGION, now) == []


def test_name_that_is_set_is_taken() -> None:
    settings = load_settings({"cards.environment": "prod", "cards.training_bucket": "chosen"})
    changes = renames(settings, ACCOUNT, REGION, old_names(ACCOUNT))
    assert "training_bucket" not in {each.setting for each in changes}


@pytest.fixture
def caller(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account where ``prod`` has the names of an earlier state; its keys are the caller's."""
    account = Account.new(cloud)
    old = old_names(account.number)
    publish_parameters(account.client, "prod", **old)
    for name, value in account.variables.items():
        monkeypatch.setenv(name, value)
    return account


def test_deployment_under_other_names_is_refused_with_the_settings_that_keep_them(
    caller: Account,
) -> None:
    context: dict[str, Any] = {"cards.environment": "prod"}
    with pytest.raises(SettingsError, match="new, empty ones") as refused:
        refuse_renames(load_settings(context), caller.number, REGION)
    for setting, name in old_names(caller.number).items():
        assert f"-c cards.{setting}={name}" in str(refused.value)
        context[f"cards.{setting}"] = name
    assert refuse_renames(load_settings(context), caller.number, REGION) is None
    # Another environment, and nothing there.
    assert refuse_renames(load_settings({}), caller.number, REGION) is None
    assert deployed_names(caller.client("ssm")) == {"prod": old_names(caller.number)}


def test_reason_why_names_cannot_be_compared_is_returned(
    caller: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings({"cards.environment": "prod"})
    assert refuse_renames(settings, None, REGION) is None
    assert "not 444455556666" in str(refuse_renames(settings, "444455556666", REGION))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "connect" in str(refuse_renames(settings, caller.number, REGION)).lower()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    assert "no AWS credentials" in str(refuse_renames(settings, caller.number, REGION))


@pytest.mark.processes
def test_app_refuses_in_one_line_before_it_synthesises(caller: Account) -> None:
    context = {"cards.environment": "prod"}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, "CDK_CONTEXT_JSON": json.dumps(context)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("cdk.json: environment 'prod' was deployed with other names")
    assert f"-c cards.training_bucket=pokemon-card-training-{caller.number}-{REGION}" in line
