"""Each recorded event against the rules as they are deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cloud import Cloud

EVENTS = Path(__file__).resolve().parents[1] / "events"
INDEX: dict[str, str | None] = json.loads((EVENTS / "index.json").read_text())["events"]
FUNCTIONS = ("RegisterModel", "CompileApproved", "PublishRelease")


@pytest.fixture(scope="module")
def patterns(deployed: Cloud) -> dict[str, str]:
    """Event pattern by the function that its rule is named after, and fires."""
    events = deployed.client("events")
    found = {}
    for rule in events.list_rules()["Rules"]:
        for function in FUNCTIONS:
            if f"{function}Rule" in rule["Name"]:
                assert rule["State"] == "ENABLED"
                assert deployed.function(function) in targets(deployed, rule["Name"])
                found[function] = rule["EventPattern"]
    return found


def targets(deployed: Cloud, rule: str) -> list[str]:
    """The names of the functions that a rule fires."""
    rows = deployed.client("events").list_targets_by_rule(Rule=rule)["Targets"]
    return [row["Arn"].rpartition(":")[2] for row in rows]


def test_each_function_has_one_rule(patterns: dict[str, str]) -> None:
    assert sorted(patterns) == sorted(FUNCTIONS)


def test_compile_function_receives_the_end_of_a_job(deployed: Cloud) -> None:
    """It tries again what failed by a fault."""
    rules = [rule["Name"] for rule in deployed.client("events").list_rules()["Rules"]]
    (publish,) = [name for name in rules if "PublishReleaseRule" in name]
    both = {deployed.function("PublishRelease"), deployed.function("CompileApproved")}
    assert set(targets(deployed, publish)) == both


def test_reconciler_is_called_on_a_schedule(deployed: Cloud) -> None:
    (rule,) = [
        rule
        for rule in deployed.client("events").list_rules()["Rules"]
        if "ReconcileRule" in rule["Name"]
    ]
    assert rule["ScheduleExpression"] == "rate(1 hour)"
    assert targets(deployed, rule["Name"]) == [deployed.function("Reconcile")]


def test_every_recorded_event_is_in_the_index() -> None:
    recorded = {str(file.relative_to(EVENTS)) for file in EVENTS.rglob("*.json")} - {"index.json"}
    assert recorded == set(INDEX)


@pytest.mark.parametrize("name", sorted(INDEX))
def test_event_is_matched_by_its_rule_and_by_no_other(
    deployed: Cloud, patterns: dict[str, str], name: str
) -> None:
    bucket = deployed.deployment.training_bucket
    text = (EVENTS / name).read_text()
    event: dict[str, Any] = json.loads(text)
    event = at_home(event, deployed, bucket)
    matching = [
        function
        for function, pattern in patterns.items()
        if deployed.client("events").test_event_pattern(
            EventPattern=pattern, Event=json.dumps(event)
        )["Result"]
    ]
    assert matching == ([INDEX[name]] if INDEX[name] else [])


def at_home(event: dict[str, Any], deployed: Cloud, bucket: str) -> dict[str, Any]:
    """The event as this account would have sent it: its bucket's name carries the account."""
    output = event["detail"].get("OutputDataConfig", {})
    path = output.get("S3OutputPath", "")
    if path.startswith("s3://pokemon-card-training-"):
        output["S3OutputPath"] = f"s3://{bucket}/" + path.removeprefix("s3://").partition("/")[2]
    return event
