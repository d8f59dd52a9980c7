"""``cards doctor`` on the names of the next deployment."""

from __future__ import annotations

from cli.operations.checks.check import State
from cli.operations.checks.deployed_names import judge_names, judge_retained
from infra.reading_settings import load_settings
from tests.infra.test_deployed_names import ACCOUNT, REGION, old_names

DEPLOY = "cdk deploy --all -c cards.environment=prod"


def test_environment_with_names_of_an_earlier_state_gets_the_options_that_keep_them() -> None:
    settings = load_settings({"cards.environment": "prod"})
    deployed = {"prod": {**old_names(ACCOUNT), "training_bucket": "t"}, "stage": {}}
    (found,) = judge_names(settings, ACCOUNT, REGION, deployed, DEPLOY)
    assert found.state is State.WARNING
    assert found.remedy.startswith(f"{DEPLOY} -c cards.group_name=pokemon-card-recognition-models")
    assert "-c cards.training_bucket=t" in found.remedy and "refused" in found.line


def test_name_that_two_environments_would_share_is_found_before_it_is_deployed() -> None:
    deployed = {"dev": old_names(ACCOUNT)}
    bucket = deployed["dev"]["training_bucket"]
    settings = load_settings({"cards.environment": "prod", "cards.training_bucket": bucket})
    (found,) = judge_names(settings, ACCOUNT, REGION, deployed, DEPLOY)
    assert found.state is State.FAILED
    assert f"{bucket} is the training_bucket of environment dev" in found.line
    assert "-c cards.training_bucket= " in found.remedy
    mended = {"cards.environment": "prod", "cards.training_bucket": ""}
    assert list(judge_names(load_settings(mended), ACCOUNT, REGION, deployed, DEPLOY)) == []


def test_environments_with_names_of_their_own_are_well() -> None:
    deployed = {"dev": old_names(ACCOUNT)}
    for environment in ("dev", "prod"):
        settings = load_settings({"cards.environment": environment})
        assert list(judge_names(settings, ACCOUNT, REGION, deployed, DEPLOY)) == []


def test_names_that_a_destroyed_deployment_left_are_named() -> None:
    names = {"group_name": "models", "training_bucket": "training", "release_bucket": "releases"}
    (found,) = judge_retained(names, {"group_name", "release_bucket"})
    assert found.state is State.FAILED
    assert found.line.startswith("models, releases: ")
    assert found.remedy.startswith("cdk deploy --all -c cards.environment=ANOTHER-NAME; or ")
    assert "MLflow App" in found.remedy
    assert list(judge_retained(names, set())) == []
