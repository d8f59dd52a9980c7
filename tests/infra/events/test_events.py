"""Each recorded event is matched by the rule that it is for, and by no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infra.assembly import ACCOUNT, REGION, ROOT, Assembly
from tests.infra.events.event_patterns import matches

EVENTS = ROOT / "tests" / "events"
INDEX: dict[str, str | None] = json.loads((EVENTS / "index.json").read_text())["events"]
RULES = {"RegisterModel", "CompileApproved", "PublishRelease"}


def event(file: str) -> dict[str, Any]:
    return json.loads((EVENTS / file).read_text())


def test_index_names_every_event_and_nothing_else() -> None:
    assert {str(file.relative_to(EVENTS)) for file in EVENTS.rglob("*.json")} == {
        *INDEX,
        "index.json",
    }


def test_every_rule_has_events_that_it_must_match() -> None:
    assert set(INDEX.values()) == {*RULES, None}


@pytest.mark.parametrize("file", INDEX)
def test_event_reaches_the_rule_that_it_is_for_and_no_other(
    deployment: Assembly, file: str
) -> None:
    fired = {
        rule.path.split("/")[1]
        for rule in deployment.of_type("AWS::Events::Rule")
        if "EventPattern" in rule.properties
        and matches(rule.properties["EventPattern"], event(file))
    }
    assert fired == ({INDEX[file]} if INDEX[file] else set())


@pytest.mark.parametrize("file", INDEX)
def test_event_has_the_envelope_of_eventbridge(file: str) -> None:
    body = event(file)
    assert {"version", "id", "detail-type", "source", "account", "time", "region"} < set(body)
    assert (body["account"], body["region"]) == (ACCOUNT, REGION)
    assert len(body["resources"]) == 1 and body["resources"][0].startswith("arn:aws:sagemaker:")


def test_rules_follow_the_names_of_the_deployment(synthesise: Any) -> None:
    """A second deployment in the account must not react to the first one's events."""
    other = synthesise(
        environment="prod",
        group_name="other-models",
        training_bucket="other-training",
        mlflow_bucket="other-mlflow",
        release_bucket="other-releases",
    )
    patterns = {
        rule.path.split("/")[1]: rule.properties["EventPattern"]
        for rule in other.of_type("AWS::Events::Rule")
        if "EventPattern" in rule.properties
    }
    assert not matches(patterns["CompileApproved"], event("model_package/approved.json"))
    assert not matches(patterns["RegisterModel"], event("training_job/completed.json"))
    mine = event("training_job/completed.json")
    mine["detail"]["OutputDataConfig"]["S3OutputPath"] = "s3://other-training/jobs/"
    assert matches(patterns["RegisterModel"], mine)
