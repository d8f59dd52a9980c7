"""Each request of each run of the automation is disturbed in turn: nothing is lost or done twice.

A scenario runs once undisturbed, and its requests are counted. Then it runs again for each of them
and each disturbance at that place. A quick run disturbs every 25th request.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from botocore.exceptions import ClientError

from tests.properties import stride
from tests.registry.automation.automation_world import TALLY, World, functions
from tests.registry.memory_aws import Crash, error

Scenario = Callable[[World], None]
Hook = Callable[[str, str], None]


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions() as loaded:
        yield loaded


def approved(world: World) -> None:
    world.decide(world.register(), "Approved")


def released(world: World) -> None:
    approved(world)
    world.rest()


def gate_failed(world: World) -> None:
    approved(world)
    world.drain()
    world.end_job(world.active()[0], "gate failed")


def fault(world: World) -> None:
    approved(world)
    world.drain()
    world.end_job(world.active()[0], "fault")


def rejected_while_compiling(world: World) -> None:
    approved(world)
    world.drain()
    world.decide(world.versions[0], "Rejected")


def withdrawn(world: World) -> None:
    released(world)
    world.decide(world.versions[0], "Rejected")


def approved_again(world: World) -> None:
    withdrawn(world)
    world.drain()
    world.decide(world.versions[0], "Approved")


def newer(world: World) -> None:
    released(world)
    world.decide(world.register(), "Approved")


SCENARIOS = (
    approved,
    gate_failed,
    fault,
    rejected_while_compiling,
    withdrawn,
    approved_again,
    newer,
)


def crash_before(world: World, operation: str, when: str) -> None:
    if when == "before":
        raise Crash


def crash_after(world: World, operation: str, when: str) -> None:
    """Also a time-out after the request took effect."""
    if when == "after":
        raise Crash


def throttled(world: World, operation: str, when: str) -> None:
    if when == "before":
        raise error(operation, "ThrottlingException", "Rate exceeded")


def handled_by_another(world: World, operation: str, when: str) -> None:
    """The same events are handled by other instances of the functions meanwhile."""
    if when == "before":
        for arn in world.versions:
            world.aws._changed(arn)
        world.drain()


def rejected(world: World, operation: str, when: str) -> None:
    """A person decides otherwise, and the automation hears of it before this run goes on."""
    if when == "before":
        world.decide(world.versions[-1], "Rejected")
        world.drain()


def approved_meanwhile(world: World, operation: str, when: str) -> None:
    if when == "before":
        world.decide(world.versions[-1], "Approved")
        world.drain()


def older_rejected(world: World, operation: str, when: str) -> None:
    if when == "before":
        world.decide(world.versions[0], "Rejected")
        world.drain()


DISTURBANCES = (
    crash_before,
    crash_after,
    throttled,
    handled_by_another,
    rejected,
    approved_meanwhile,
    older_rejected,
)


def run_scenario(
    code: list[dict[str, ModuleType]],
    scenario: Scenario,
    place: int,
    disturb: Callable[..., None] | None,
) -> tuple[World, int]:
    """Runs a scenario to its end, disturbed at one of the requests of its last part.

    Returns:
        The world, and how many requests the last part made.
    """
    world = World(code)
    scenario(world)
    count = 0

    def around_request(operation: str, when: str) -> None:
        nonlocal count
        count += when == "before"
        if disturb and count == place:
            world.aws.around = lambda *_: None
            disturb(world, operation, when)
            world.aws.around = around_request

    for _ in range(100):
        world.route()
        if not world.queue:
            break
        world.deliver(0, around_request)
        world.check_always()
    world.rest()
    world.check_always()
    return world, count


@pytest.mark.parametrize("disturb", DISTURBANCES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
def test_scenario_disturbed_at_any_request_ends_in_the_same_state(
    code: list[dict[str, ModuleType]], scenario: Scenario, disturb: Callable[..., None]
) -> None:
    world, requests = run_scenario(code, scenario, 0, None)
    assert world.wrong() == [] and requests > 5
    jobs = len(world.aws.jobs)
    for place in range(1, requests + 1, stride(25)):
        disturbed, _ = run_scenario(code, scenario, place, disturb)
        where = f"disturbed at request {place} of {requests}"
        wrong, twice = disturbed.wrong(), 0
        if disturb in (crash_before, crash_after, throttled, handled_by_another):
            twice = len(disturbed.aws.jobs) - jobs
        note(disturb.__name__, len(wrong) + disturbed.lost, twice)
        assert (wrong, disturbed.lost) == ([], 0), where
        assert twice == 0, f"{where}: compiled twice"


def note(what: str, lost: int, twice: int) -> None:
    row = TALLY.setdefault(what.replace("_", " "), [0, 0, 0])
    for at, count in enumerate((1, lost, twice)):
        row[at] += count


@pytest.mark.parametrize("disturb", (crash_before, crash_after, throttled))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
def test_reconciler_killed_at_any_request_repairs_all_in_its_next_run(
    code: list[dict[str, ModuleType]], scenario: Scenario, disturb: Callable[..., None]
) -> None:
    """All events of the scenario are lost, and the first run is killed at each of its requests."""
    for place in range(1, 100, stride(25)):
        world = World(code)
        scenario(world)
        world.route()
        world.queue.clear()
        if not killed(world, place, disturb):
            break
        for _ in range(2):
            world.rest()
            world.reconcile()
        world.rest()
        wrong = world.wrong()
        note(f"reconciler {disturb.__name__}", len(wrong), 0)
        assert wrong == [], f"killed at request {place}"
    assert place > 10


def killed(world: World, place: int, disturb: Callable[..., None]) -> bool:
    """Runs the reconciler, disturbed at one of its requests; whether it made so many."""
    count = 0

    def around_request(operation: str, when: str) -> None:
        nonlocal count
        count += when == "before"
        if count == place:
            disturb(world, operation, when)

    world.aws.around = around_request
    with contextlib.suppress(Crash, ClientError):
        world.reconcile()
    world.aws.around = lambda *_: None
    return count >= place


def test_copy_with_wrong_bytes_is_repeated_and_never_released(
    code: list[dict[str, ModuleType]],
) -> None:
    world = World(code)
    approved(world)
    world.drain()
    world.end_job(world.active()[0], "passed")
    world.route()
    spoilt = []

    def once(body: bytes) -> bytes:
        spoilt.append(body)
        return b"\0" if len(spoilt) == 1 else body

    world.aws.spoil = once
    (at,) = [n for n, each in enumerate(world.queue) if each.function == "publish"]
    world.deliver(at, lambda operation, when: None)
    assert spoilt and world.complete_releases() == {}
    world.rest()
    assert world.wrong() == [] and world.lost == 0


def test_events_delivered_fifty_times_in_reverse_order_compile_once(
    code: list[dict[str, ModuleType]],
) -> None:
    worlds = []
    for times in (1, 50):
        world = World(code)
        worlds.append(world)
        for _ in range(3):
            world.decide(world.register(), "Approved")
        for _ in range(20):
            world.route()
            if not world.queue and not world.active():
                break
            batch = list(reversed(world.queue))
            world.queue.clear()
            for delivery in batch:
                world.queue += [delivery] * times
            world.drain_all()
            for job in world.active():
                world.end_job(job, "passed")
        assert world.wrong() == []
    once, often = worlds
    note("every event 50 times, in reverse", 0, len(often.aws.jobs) - len(once.aws.jobs))
    assert len(often.aws.jobs) == len(once.aws.jobs) == 3
    assert len(often.aws.packages) == len(once.aws.packages)
    assert sorted(often.complete_releases()) == sorted(once.complete_releases())
