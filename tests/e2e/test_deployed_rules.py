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
    """Event pattern by the function that its rule fires."""
    events = deployed.client("events")
    by_function = {}
    for rule in events.list_rules()["Rules"]:
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            for function in FUNCTIONS:
                if target["Arn"].endswith(f":function:{deployed.function(function)}"):
                    assert rule["State"] == "ENABLED"
                    by_function[function] = rule["EventPattern"]
    return by_function


def test_each_function_has_one_rule(patterns: dict[str, str]) -> None:
    assert sorted(patterns) == sorted(FUNCTIONS)


def test_every_recorded_event_is_in_the_index() -> None:
    recorded = {file.name for file in EVENTS.glob("*.json")} - {"index.json"}
    assert recorded == set(INDEX)


@pytest.mark.parametrize("name", sorted(INDEX))
def test_an_event_is_matched_by_its_rule_and_by_no_other(
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
