"""After the first release: a second, back to the first, lost events, given-up events, notices."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cloud import BIN, FIRST, SECOND, Cloud, channel, decide, until

CLI = str(BIN / "cards")


def channels(cloud: Cloud) -> dict[str, str | None]:
    return {name: channel(cloud, name) for name in ("candidate", "stable")}


#: The subjects of the notices that were received, by their queue.
_received: dict[str, list[str]] = {}


def told(cloud: Cloud, url: str) -> list[str]:
    """The subjects of all notices so far; a call gets ten messages at the most."""
    sqs, subjects = cloud.client("sqs"), _received.setdefault(url, [])
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for each in found:
            subjects.append(json.loads(each["Body"])["Subject"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return subjects


def test_trace_shows_the_steps_of_a_version_with_times(
    deployed: Cloud, first: dict[str, str]
) -> None:
    entries = deployed.json(CLI, "trace", FIRST, "--json")
    whats = [entry["what"] for entry in entries]
    expected = ["its job ended", "registered", "compile job started", "compile job completed",
                "released"]  # fmt: skip
    assert [what for what in whats if what in expected][:2] == expected[:2]
    assert set(expected) <= set(whats) and "stable points to it" in whats
    assert [entry["when"] for entry in entries] == sorted(entry["when"] for entry in entries)
    logged = deployed.json(CLI, "trace", FIRST, "--logs", "--json")
    assert any("publish the release" in entry["detail"] for entry in logged)


def test_student_that_waits_is_announced_with_its_page(
    deployed: Cloud, trained: dict[str, Any], notices: str
) -> None:
    until(
        lambda: any(f"{FIRST} waits for approval" in each for each in told(deployed, notices)),
        30,
        "people are told that the student waits",
    )
    subjects = told(deployed, notices)
    assert not any("teacher" in each or "stage1" in each for each in subjects)


def test_newer_approved_version_moves_both_channels_and_sends_notices(
    deployed: Cloud, first: dict[str, str], second: dict[str, str], notices: str
) -> None:
    assert channels(deployed) == {"candidate": second["release"], "stable": second["release"]}
    until(
        lambda: any(f"{SECOND} released" in each for each in told(deployed, notices)),
        30,
        "people are told of the release",
    )
    rows = {
        row["release"]: row["channels"] for row in deployed.json(CLI, "release", "list", "--json")
    }
    assert rows[second["release"]] == ["candidate", "stable"] and rows[first["release"]] == []


def test_two_releases_differ_in_what_differs(
    deployed: Cloud, first: dict[str, str], second: dict[str, str]
) -> None:
    found = deployed.json(CLI, "release", "diff", second["release"], first["release"], "--json")
    whats = {row["what"] for row in found["differences"]}
    assert {"source.name", "release", "lineage"} <= whats
    assert "files.model.int8.onnx" not in whats, "the weights are the same"


def test_stable_goes_back_stays_there_and_is_promoted_again(
    deployed: Cloud, first: dict[str, str], second: dict[str, str]
) -> None:
    done = deployed.must(CLI, "release", "rollback", "--reason", "misreads foils")
    assert first["release"] in done and "it stays there" in done
    assert channels(deployed) == {"candidate": second["release"], "stable": first["release"]}
    # An event about the newer version does not take stable back.
    deployed.client("lambda").invoke(
        FunctionName=deployed.deployment.publish_function,
        Payload=json.dumps({"detail": {"ModelPackageArn": second["arn"]}}).encode(),
    )
    assert channel(deployed, "stable") == first["release"]
    assert "misreads foils" in deployed.must(CLI, "release", "list")
    deployed.must(CLI, "release", "promote", "--reason", "foils are read now")
    assert channel(deployed, "stable") == second["release"]
    refused = deployed.run(CLI, "release", "rollback", "--to", "none.onnx-int8-0", "--reason", "x")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1


@pytest.mark.parametrize("damage", [b"[", b'{"release": "x", "package_arn": "arn:x", "name": "x"}'])
def test_channel_changed_by_hand_is_repaired(
    deployed: Cloud, second: dict[str, str], damage: bytes
) -> None:
    s3, bucket = deployed.client("s3"), deployed.deployment.release_bucket

    def is_noticed() -> bool:
        """Functions that are still on their way from before may put it right at once."""
        s3.put_object(Bucket=bucket, Key="channels/stable.json", Body=damage)
        looked = deployed.json(CLI, "reconcile", "--dry-run", "--json")
        return {"what": "stable", "step": "move the channels"} in looked["findings"]

    until(is_noticed, 60, "a dry run tells of it")
    answer = deployed.client("lambda").invoke(FunctionName=deployed.deployment.reconciler_function)
    # A function still on its way may have been faster; the channel is what counts.
    assert json.loads(answer["Payload"].read())["finished"], answer.get("FunctionError")
    until(lambda: channel(deployed, "stable") == second["release"], 30, "stable is right")


def at_rest(cloud: Cloud) -> bool:
    """Whether no function has written to its log for five seconds."""
    functions, logs = cloud.client("lambda"), cloud.client("logs")
    since = int((time.time() - 5) * 1000)
    for name in ("CompileApproved", "PublishRelease"):
        found = functions.get_function_configuration(FunctionName=cloud.function(name))
        group = found["LoggingConfig"]["LogGroup"]
        if logs.filter_log_events(logGroupName=group, startTime=since)["events"]:
            return False
    return True


@pytest.fixture
def deaf(deployed: Cloud) -> Iterator[None]:
    """The rule for changed versions is off: their events are lost."""
    events = deployed.client("events")
    (rule,) = [
        r["Name"] for r in events.list_rules()["Rules"] if "CompileApprovedRule" in r["Name"]
    ]
    events.disable_rule(Name=rule)
    yield
    events.enable_rule(Name=rule)


def test_rejection_whose_event_was_lost_is_found(
    deployed: Cloud, first: dict[str, str], second: dict[str, str], notices: str, deaf: None
) -> None:
    # What is still on its way from before would find the rejection without its event.
    until(lambda: at_rest(deployed), 60, "the functions are at rest")
    decide(deployed, second["arn"], "Rejected")
    said = deployed.must(CLI, "reconcile", "--dry-run")
    assert f"{SECOND}: withdraw the release" in said
    assert channel(deployed, "stable") == second["release"], "a dry run changes nothing"
    deployed.must(CLI, "reconcile")
    until(lambda: channel(deployed, "stable") == first["release"], 60, "stable has fallen back")
    # The manifest goes after the channel has moved.
    until(
        lambda: (
            [row["release"] for row in deployed.json(CLI, "release", "list", "--json")]
            == [first["release"]]
        ),
        30,
        "the withdrawn release is no longer listed",
    )
    until(
        lambda: any(f"{SECOND} withdrawn" in each for each in told(deployed, notices)),
        30,
        "people are told of the withdrawal",
    )
    refused = deployed.run(CLI, "release", "promote", second["release"], "--reason", "x")
    assert refused.returncode == 1 and "does not exist" in refused.stderr


def test_reconciler_after_the_repair_finds_nothing(
    deployed: Cloud, first: dict[str, str], second: dict[str, str]
) -> None:
    assert until(
        lambda: (
            said
            if "nothing to repair" in (said := deployed.must(CLI, "reconcile", "--dry-run"))
            else None
        ),
        60,
        "nothing is left to repair",
    )


def test_event_that_was_given_up_is_shown_and_sent_again(
    deployed: Cloud, second: dict[str, str], tmp_path: Path
) -> None:
    queues = deployed.json(CLI, "dlq", "list", "--json")
    assert len(queues) == 8
    url = next(
        row["url"]
        for row in queues
        if (row["function"], row["kind"]) == ("CompileApproved", "Failed")
    )
    event = {"detail": {"ModelPackageArn": second["arn"]}}
    deployed.client("sqs").send_message(
        QueueUrl=url,
        MessageBody=json.dumps(event),
        MessageAttributes={
            "ErrorMessage": {"DataType": "String", "StringValue": "AccessDenied: no right"}
        },
    )
    shown = deployed.json(CLI, "dlq", "show", "CompileApproved", "--json")
    assert {"function": "CompileApproved", "kind": "Failed", "why": "AccessDenied: no right",
            "event": event} in shown  # fmt: skip
    # So is what the function itself has failed on before: the event, and why.
    assert all("detail" in each["event"] for each in shown)
    assert "no reason is recorded" not in [each["why"] for each in shown]
    sent = deployed.json(CLI, "dlq", "redrive", "CompileApproved", "--json")
    assert sent["CompileApproved"] >= 1
    assert deployed.json(CLI, "dlq", "show", "CompileApproved", "--json") == []
    assert deployed.run(CLI, "dlq", "show", "Nobody").returncode == 1
