"""``cards devices``: what devices report is shown; what is no report is counted and said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from edge.update.rollout import takes_part
from registry.fleet.device_report import SelfTestResult, report_key
from registry.releases.statement import Statement, sign
from tests.cli.command import Done, cards, refused
from tests.cli.conftest import RELEASE_BUCKET, Stack
from tests.registry.fleet.device_reports import DIGEST, FAILED, device_report
from tests.registry.releases.signed_releases import NOW


@pytest.fixture
def fleet(aws: Stack) -> Iterator[Stack]:
    """Three devices; stable gives ``new`` to 40 % of them."""
    report(aws, "shop-1")
    report(aws, "shop-2", release="old", previous=None, self_test=FAILED, update_error="why not")
    report(aws, "shop-3", release=None, previous=None, runtime=None, self_test=None, serial=0)
    stated = Statement("stable", "dev/1/x", 7, "new", DIGEST, NOW, NOW.replace(year=2099), 40)
    envelope = sign(stated, lambda message: b"any", "key").to_dict()
    pointer = {"release": "new", "package_arn": "arn", "name": "n", "statement": envelope}
    put(aws, "channels/stable.json", json.dumps(pointer).encode())
    yield aws
    s3 = aws.client("s3")
    for entry in s3.list_objects_v2(Bucket=RELEASE_BUCKET, Prefix="devices/")["Contents"]:
        s3.delete_object(Bucket=RELEASE_BUCKET, Key=entry["Key"])
    s3.delete_object(Bucket=RELEASE_BUCKET, Key="channels/stable.json")


def put(aws: Stack, key: str, body: bytes) -> None:
    aws.client("s3").put_object(Bucket=RELEASE_BUCKET, Key=key, Body=body)


def report(aws: Stack, device: str, **changes: Any) -> None:
    put(aws, report_key(device), device_report(device, **changes).to_bytes())


def shown(done: Done) -> str:
    assert (done.code, done.err) == (0, ""), done
    return done.out


def test_devices_are_listed_with_what_they_run_and_how_far_the_roll_out_is(fleet: Stack) -> None:
    lines = [line.split() for line in shown(cards("devices", "list")).splitlines()]
    assert lines[0] == ["DEVICE", "RELEASE", "SELF-TEST", "RUNTIME", "LAST", "REPORT"]
    assert [line[:3] for line in lines[1:4]] == [
        ["shop-1", "new", "passed"], ["shop-2", "old", "failed"], ["shop-3", "none", "none"],
    ]  # fmt: skip
    assert " ".join(lines[4]) == (
        "stable -> new, for 40 % of the devices: 1 of 3 run it; the self-test failed on 1 of 2"
    )
    document = cards("devices", "list", "--json").json
    assert [each["device"] for each in document["devices"]] == ["shop-1", "shop-2", "shop-3"]
    assert document["devices"][1]["self_test"]["reason"] == FAILED.reason
    assert document["channels"] == [
        {"channel": "stable", "release": "new", "rollout": 40, "running": 1, "tested": 2,
         "failed": 1},
    ]  # fmt: skip
    assert (document["unreadable"], document["left_out"]) == ({}, 0)


def test_one_device_is_shown_with_its_share_of_the_roll_out(fleet: Stack) -> None:
    part = "among" if takes_part("shop-2", DIGEST, 40) else "not among"
    out = shown(cards("devices", "show", "shop-2"))
    for said in ("failed (new)", FAILED.reason, "why not", f"{part} the 40 % for new"):
        assert said in out
    document = cards("devices", "show", "shop-2", "--json").json
    assert (document["release"], document["rollout"]) == ("old", f"{part} the 40 % for new")


def test_what_is_no_report_is_counted_and_said_and_the_others_are_listed(fleet: Stack) -> None:
    for number in range(5):
        put(fleet, f"devices/evil-{number}/status.json", b"[" * 3000)
    done = cards("devices", "list")
    assert done.code == 0 and "shop-3" in done.out
    assert done.err.startswith("cards: 5 objects are no device's report: devices/evil-")
    assert done.err.endswith(" and 2 more\n") and done.err.count("\n") == 1
    assert len(cards("devices", "list", "--json").json["unreadable"]) == 5
    refused(
        cards("devices", "show", "evil-1"), "device evil-1: its report cannot be read", "nested"
    )


def test_reason_of_a_hostile_device_reaches_no_terminal(fleet: Stack) -> None:
    """A report with what cannot be shown is none; markup of a terminal's library is text."""
    report(fleet, "shop-4", self_test=SelfTestResult("new", DIGEST, False, "[red]x[/red] [link=a]"))
    assert "[red]x[/red] [link=a]" in shown(cards("devices", "show", "shop-4"))
    report(fleet, "shop-4", update_error="\x1b[2Jx\u202e")
    refused(cards("devices", "show", "shop-4"), "update_error must be")


def test_device_without_a_report_and_a_name_that_is_none_are_refused(aws: Stack) -> None:
    refused(cards("devices", "show", "shop-9"), "device shop-9: has reported nothing")
    refused(cards("devices", "show", "../releases"), "is no device's id")


def test_deployment_without_reports_says_how_devices_report(aws: Stack) -> None:
    out = shown(cards("devices", "list"))
    assert "no device has reported (cards.devices is false); docs/devices.md" in out
