"""A roll-out that fails on too many devices is halted once, by the automation's own functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from registry.automation.halted_rollouts import HALT_ROLLOUTS, staged_rollouts
from registry.automation.moving_channels import move_channels
from registry.fleet.device_report import SelfTestResult, report_key
from registry.releases import pointers
from registry.releases.pointers import Hold
from tests.registry.automation.automation_world import Delivery, World, functions
from tests.registry.automation.test_histories import begin
from tests.registry.fleet.device_reports import device_report
from tests.registry.memory_aws import PUBLISHER_ROLE, RELEASES
from tests.registry.untrusted.test_stored_json import POISONED

HOLD = RELEASES, "channels/stable.hold.json"


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions() as loaded:
        yield loaded


@pytest.fixture
def world(code: list[dict[str, ModuleType]]) -> World:
    """The second version's release is rolled out to a tenth of the devices."""
    made = begin(code, ["released", "released"])
    roll_out(made, 10)
    return made


def roll_out(world: World, percent: int) -> None:
    target = world.channel("candidate")
    held = Hold(target, "arn:aws:iam::123456789012:user/ann", "now", "a tenth first", percent)
    pointers.hold(world.aws.client("s3"), RELEASES, held)
    publisher = world.code[0]["publish"]
    move_channels(publisher._deployment, publisher._notifier)


def self_tests(world: World, *, passed: int, failed: int) -> None:
    """Devices report a self-test of the release that is rolled out."""
    stated = world._statement("stable")
    assert stated is not None and stated.release and stated.manifest_sha256
    for number in range(passed + failed):
        test = SelfTestResult(stated.release, stated.manifest_sha256, number >= failed)
        report(world, f"shop-{number}", self_test=test)


def report(world: World, device: str, **changes: Any) -> None:
    body = device_report(device, **changes).to_bytes()
    world.aws._store((RELEASES, report_key(device)), body)


def notices(world: World) -> list[str]:
    return [
        each["Subject"]
        for each in world.aws.told
        if each["MessageAttributes"]["kind"]["StringValue"] == "roll-out halted"
    ]


def settle(world: World) -> dict[str, Any]:
    found = world.reconcile()
    world.rest()
    world.check_always()
    return found


def share(world: World) -> int:
    stated = world._statement("stable")
    assert stated is not None
    return stated.rollout


def test_failing_roll_out_is_halted_and_people_are_notified_once(world: World) -> None:
    before, release = world._statement("stable"), world.channel("stable").release
    self_tests(world, passed=18, failed=2)
    settle(world)
    stated = world._statement("stable")
    assert before is not None and stated is not None
    assert (stated.release, stated.rollout) == (release, 0) and stated.serial > before.serial
    held = pointers.read_hold(world.aws.client("s3"), RELEASES)
    assert held is not None and (held.rollout, held.by) == (0, PUBLISHER_ROLE)
    assert held.reason == (
        "halted at 10 % of the devices: the self-test failed on 2 of the 20 devices that report "
        "one (10.0%, and 5.0% are accepted)"
    )
    assert notices(world) == ["Cards: student-efficientnet-lite0-stage2-v2 roll-out halted"]
    (told,) = [each for each in world.aws.told if "halted" in each["Subject"]]
    assert "cards devices list -e dev" in json.loads(told["Message"])["email"]
    settle(world)
    settle(world)
    assert len(notices(world)) == 1 and world.wrong() == []


@pytest.mark.parametrize(("passed", "failed"), [(19, 1), (0, 2), (40, 0)])
def test_roll_out_goes_on_while_few_devices_fail(world: World, passed: int, failed: int) -> None:
    self_tests(world, passed=passed, failed=failed)
    assert settle(world)["failed"] == 0
    assert share(world) == 10 and notices(world) == []


def test_self_test_of_another_release_halts_nothing(world: World) -> None:
    for number in range(9):
        test = SelfTestResult("other", "ef" * 32, passed=False, reason="why")
        report(world, f"shop-{number}", self_test=test)
    settle(world)
    assert share(world) == 10


@pytest.mark.parametrize("percent", [0, 100])
def test_release_for_all_or_none_is_no_roll_out_and_no_report_is_read(
    code: list[dict[str, ModuleType]], percent: int
) -> None:
    world = begin(code, ["released"])
    roll_out(world, percent)
    self_tests(world, passed=0, failed=9)
    asked: list[str] = []
    read = world.aws._get_object

    def record(given: dict[str, Any]) -> dict[str, Any]:
        asked.append(given["Key"])
        return read(given)

    world.aws._get_object = record  # type: ignore[method-assign]
    settle(world)
    assert share(world) == percent and not [key for key in asked if key.startswith("devices/")]


def test_event_alone_halts_nothing(world: World) -> None:
    """Whoever may call the publisher cannot halt what the reports do not show to fail."""
    self_tests(world, passed=20, failed=0)
    world.queue.append(Delivery("publish", {"detail": dict(HALT_ROLLOUTS)}))
    world.drain()
    assert share(world) == 10 and notices(world) == []


@pytest.mark.parametrize("why", POISONED)
def test_unreadable_report_is_counted_and_keeps_no_roll_out_from_its_halt(
    world: World, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.aws._store((RELEASES, report_key("evil")), POISONED[why])
    self_tests(world, passed=1, failed=2)
    capsys.readouterr()
    settle(world)
    assert '"DeviceReportUnreadable": 1.0' in capsys.readouterr().out
    assert share(world) == 0


def test_decision_of_a_person_in_between_stays(world: World) -> None:
    """The hold is replaced by its ETag: who promotes at the same moment wins."""
    self_tests(world, passed=0, failed=3)
    promoted = Hold(world.channel("stable"), "ann", "later", "we know better", 50)

    def decide(operation: str, when: str) -> None:
        if operation == "Publish" and when == "after":
            pointers.hold(world.aws.client("s3"), RELEASES, promoted)

    settled = world.reconcile()
    world.deliver(0, decide)
    held = pointers.read_hold(world.aws.client("s3"), RELEASES)
    assert settled["failed"] == 0 and held == promoted


def test_hold_that_the_channel_does_not_follow_yet_is_no_roll_out(world: World) -> None:
    deployment = world.code[0]["reconcile"]._deployment
    (rollout,) = staged_rollouts(deployment)
    assert (rollout.channel, rollout.held.rollout) == ("stable", 10)
    pointers.hold(world.aws.client("s3"), RELEASES, replace(rollout.held, rollout=50))
    assert staged_rollouts(deployment) == []
    world.aws._store(HOLD, b"{")
    assert staged_rollouts(deployment) == []
