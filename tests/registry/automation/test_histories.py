"""Random histories of the automation: whatever happens, the world comes right.

``CARDS_HISTORIES`` asks for more of them (300 by default); ``make chaos`` runs many.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import channels
from registry.names import STABLE_CHANNEL
from registry.releases import pointers
from tests.registry.automation.automation_world import World, functions
from tests.registry.memory_aws import RELEASES, WRITES, Crash

HISTORIES = int(os.environ.get("CARDS_HISTORIES", "300"))
STATUSES = ("Approved", "Approved", "Rejected", "PendingManualApproval")
RESULTS = ("passed", "passed", "gate failed", "refused", "fault", "stopped", "damaged", "no report")

_which = st.integers(0, 3)
#: Before which of a run's requests something happens: the how-manieth, of those that write or all.
_point = st.tuples(st.booleans(), st.integers(1, 12))
_person = st.one_of(
    st.tuples(st.just("decide"), _which, st.sampled_from(STATUSES)),
    st.tuples(st.just("job"), _which, st.sampled_from(RESULTS)),
)
_deliver = st.tuples(st.just("deliver"), _which, st.none())
#: What happens while a function is at work.
_meanwhile = st.tuples(
    st.just("meanwhile"),
    _which,
    st.tuples(_point, st.lists(st.one_of(_person, _deliver), min_size=1, max_size=3)),
)
EVENTFUL = st.one_of(
    _person,
    _person,
    _deliver,
    _deliver,
    _meanwhile,
    st.tuples(st.just("edit"), _which, st.none()),
    st.tuples(st.just("register"), st.none(), st.none()),
    st.tuples(st.just("twice"), _which, st.none()),
)
#: What no event tells, or loses one.
LOSSY = st.one_of(
    st.tuples(st.just("drop"), _which, st.none()),
    st.tuples(st.just("crash"), _which, st.tuples(_point, st.booleans())),
    st.tuples(st.just("delete"), _which, st.none()),
    st.tuples(st.just("later"), st.none(), st.none()),
    st.tuples(st.just("recipe"), st.none(), st.none()),
    st.tuples(st.just("hold"), _which, st.booleans()),
    st.tuples(st.just("drift"), _which, st.sampled_from(("gone", "garbage", "elsewhere"))),
    st.tuples(st.just("reconcile"), st.none(), st.sampled_from((600, 29, 31))),
)
#: How far each version has come when a history begins.
BEGINNINGS = st.lists(
    st.sampled_from(("new", "compiling", "compiled", "released", "failed", "withdrawn")),
    min_size=1,
    max_size=3,
)
_settings = settings(
    max_examples=max(1, -(-HISTORIES // 6)),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(
    scope="module", params=[("approval", "all"), ("promotion", "all"), ("approval", "1")], ids=str
)
def code(request: pytest.FixtureRequest) -> Iterator[list[dict[str, ModuleType]]]:
    """The functions of a deployment: what moves its stable channel, how many releases stay."""
    with functions(*request.param) as loaded:
        yield loaded


def begin(code: list[dict[str, ModuleType]], states: list[str]) -> World:
    """A world in which each version has come so far."""
    world = World(code)
    for state in states:
        arn = world.register()
        world.drain()
        if state == "new":
            continue
        world.decide(arn, "Approved")
        world.drain()
        job = world.active()[-1]
        if state == "compiling":
            continue
        world.end_job(job, "gate failed" if state == "failed" else "passed")
        if state == "compiled":
            continue
        world.drain()
        if state == "withdrawn":
            world.decide(arn, "Rejected")
            world.drain()
    return world


def take(world: World, action: tuple) -> None:  # type: ignore[type-arg]
    """One thing happens."""
    verb, which, detail = action
    if verb == "register":
        if len(world.versions) < 4:
            world.register()
        return
    arn = world.versions[(which or 0) % len(world.versions)]
    if verb == "decide":
        world.decide(arn, detail)
    elif verb == "edit":
        world.edit(arn)
    elif verb == "delete":
        world.delete(arn)
    elif verb == "job":
        active = world.active()
        if active:
            world.end_job(active[which % len(active)], detail)
    elif verb == "later":
        world.later()
    elif verb == "recipe":
        world.recipe = 1 - world.recipe
    elif verb == "reconcile":
        world.reconcile(detail)
    elif verb == "hold":
        hold(world, which, detail)
    elif verb == "drift":
        drift(world, which, detail)
    else:
        deliver(world, verb, which, detail)


def hold(world: World, which: int, still: bool) -> None:
    """A person holds stable at some release, or lets it go."""
    releases = sorted(each for those in world.complete_releases().values() for each in those)
    s3 = world.aws.client("s3")
    if still and releases:
        release = releases[which % len(releases)]
        name = release.partition(".")[0]
        packages = world.aws.packages.items()
        named = [
            arn for arn, row in packages if row["ModelPackageDescription"].startswith(f"{name}:")
        ]
        for arn in named:
            pointer = pointers.Pointer(release, arn, name)
            pointers.hold(s3, RELEASES, pointers.Hold(pointer, "arn:x", "2026-01-01", "y"))
    else:
        pointers.release_hold(s3, RELEASES, STABLE_CHANNEL)


def drift(world: World, which: int, how: str) -> None:
    """Somebody's hand in the release bucket."""
    name = channels.CHANNELS[which % 2].name
    place = RELEASES, pointers.pointer_key(name)
    if how == "gone":
        world.aws.objects.pop(place, None)
    elif how == "garbage":
        world.aws._store(place, b"[1, 2")
    else:
        pointer = {"release": "x.onnx-int8-00000000", "package_arn": "arn:x", "name": "x"}
        world.aws._store(place, json.dumps(pointer).encode())


def deliver(world: World, verb: str, which: int, detail: object) -> None:
    world.route()
    if not world.queue:
        return
    if verb == "drop":
        world.queue.pop(which % len(world.queue))
        world.lost += 1
    elif verb == "twice":
        world.queue.append(world.queue[which % len(world.queue)])
        world.deliver(which)
    elif verb == "crash":
        point, after = detail  # type: ignore[misc]

        def crash(_: str) -> None:
            raise Crash

        world.deliver(which, at(point, crash, "after" if after else "before"))
    elif verb == "meanwhile":
        point, others = detail  # type: ignore[misc]

        def meanwhile(_: str) -> None:
            around, world.aws.around = world.aws.around, lambda *_: None
            for other in others:
                take(world, other)
            world.aws.around = around

        world.deliver(which, at(point, meanwhile, "before"))
    else:
        world.deliver(which)


def at(
    point: tuple[bool, int], happens: Callable[[str], None], wanted: str
) -> Callable[[str, str], None]:
    """Makes something happen once, before or after one of a run's requests."""
    writing, left = point

    def hook(operation: str, when: str) -> None:
        nonlocal left
        if when == wanted and (not writing or operation.startswith(WRITES)):
            left -= 1
            if left == 0:
                happens(operation)

    return hook


@_settings
@given(states=BEGINNINGS, history=st.lists(EVENTFUL, min_size=2, max_size=16))
def test_events_alone_bring_the_world_right(
    code: list[dict[str, ModuleType]],
    states: list[str],
    history: list[tuple],  # type: ignore[type-arg]
) -> None:
    """In whatever order they arrive, and how often, and whoever else is at work."""
    world = begin(code, states)
    for action in history:
        take(world, action)
        world.check_always()
    world.drain()
    world.check_always()
    for name in world.active():
        arn = world.aws.jobs[name]["Environment"]["CARDS_SOURCE_PACKAGE_ARN"]
        stopping = world.aws.jobs[name]["ProcessingJobStatus"] == "Stopping"
        approved = world.aws.packages[arn]["ModelApprovalStatus"] == "Approved"
        assert approved or stopping, f"{name} runs for a version that is not approved"
    world.rest()
    if not world.lost:
        assert world.wrong() == []


@_settings
@given(
    states=BEGINNINGS,
    history=st.lists(st.one_of(EVENTFUL, LOSSY, LOSSY), min_size=2, max_size=20),
    lose_all=st.booleans(),
    jobs_end=st.sampled_from(("passed", "passed", "fault")),
)
def test_after_two_runs_of_the_reconciler_the_world_is_right(
    code: list[dict[str, ModuleType]],
    states: list[str],
    history: list[tuple],  # type: ignore[type-arg]
    lose_all: bool,
    jobs_end: str,
) -> None:
    """Whatever crashed, was lost, was deleted, or was changed by hand."""
    world = begin(code, states)
    for action in history:
        take(world, action)
        world.check_always()
    if lose_all:
        world.route()
        world.queue.clear()
    world.rest(jobs_end)
    world.reconcile()
    world.rest(jobs_end)
    world.reconcile()
    world.rest(jobs_end)
    world.check_always()
    assert (world.wrong(), world.overdue()) == ([], [])
    world.later()
    for _ in range(2):
        world.reconcile()
        world.rest(jobs_end)
        world.check_always()
    assert (world.wrong(), world.overdue()) == ([], [])
    told, jobs = len(world.aws.told), len(world.aws.jobs)
    assert world.reconcile()["put_right"] == 0
    world.rest()
    assert (told, jobs) == (len(world.aws.told), len(world.aws.jobs)), "at rest it stays at rest"
