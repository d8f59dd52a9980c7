"""Random histories of the automation: whatever happens, the state ends right.

``CARDS_HISTORIES`` asks for more of them (300 by default); ``make chaos`` runs many.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from registry import channels
from registry.automation.reconciler_state import STATE_KEY
from registry.names import STABLE_CHANNEL
from registry.releases import pointers
from tests.properties import examples
from tests.registry.automation.automation_world import World, functions
from tests.registry.memory_aws import RELEASES, TRAINING, WRITES, Crash

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
#: What somebody who may write into a bucket replaces by something unreadable.
POISONED_OBJECTS = ("hold", "pointer", "state", "claim", "report", "manifest")
_POISON = (b"[1, 2", b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"release": 1}', b"\xff")
#: What sends no event, or loses one.
LOSSY = st.one_of(
    st.tuples(st.just("drop"), _which, st.none()),
    st.tuples(st.just("crash"), _which, st.tuples(_point, st.booleans())),
    st.tuples(st.just("delete"), _which, st.none()),
    st.tuples(st.just("later"), st.none(), st.none()),
    st.tuples(st.just("compile_settings"), st.none(), st.none()),
    st.tuples(st.just("hold"), _which, st.booleans()),
    st.tuples(st.just("drift"), _which, st.sampled_from(("gone", "garbage", "elsewhere"))),
    st.tuples(st.just("poison"), _which, st.sampled_from(POISONED_OBJECTS)),
    st.tuples(st.just("ghost"), _which, st.sampled_from(("call", "job"))),
    st.tuples(st.just("reconcile"), st.none(), st.sampled_from((600, 29, 31))),
)
#: How far each version has come when a history begins.
BEGINNINGS = st.lists(
    st.sampled_from(("new", "compiling", "compiled", "released", "failed", "withdrawn")),
    min_size=1,
    max_size=3,
)
_settings = settings(
    max_examples=examples(max(1, -(-HISTORIES // 6)), quick=5),
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
    elif verb == "compile_settings":
        world.compile_settings = 1 - world.compile_settings
    elif verb == "reconcile":
        world.reconcile(detail)
    elif verb == "hold":
        hold(world, which, detail)
    elif verb == "drift":
        drift(world, which, detail)
    elif verb == "poison":
        poison(world, which, detail)
    elif verb == "ghost":
        ghost(world, which, detail)
    else:
        deliver(world, verb, which, detail)


def hold(world: World, which: int, still: bool) -> None:
    """A person holds stable at some release, or ends the hold."""
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


def poison(world: World, which: int, what: str) -> None:
    """Somebody overwrites an object with what cannot be read."""
    channel = channels.CHANNELS[which % 2].name
    jobs, releases = sorted(world.aws.jobs), sorted(world.folders())
    job = jobs[which % len(jobs)] if jobs else "none"
    release = releases[which % len(releases)] if releases else "none"
    place = {
        "hold": (RELEASES, pointers.hold_key(STABLE_CHANNEL)),
        "pointer": (RELEASES, pointers.pointer_key(channel)),
        "state": (TRAINING, STATE_KEY),
        "claim": (TRAINING, f"names/student-efficientnet-lite0-stage2/v{which + 1}.json"),
        "report": (TRAINING, f"compilations/{job}/fidelity.json"),
        "manifest": (RELEASES, f"releases/{release}/manifest.json"),
    }[what]
    if what in ("report", "manifest") and place not in world.aws.objects:
        return
    world.aws._store(place, _POISON[which])


def ghost(world: World, which: int, how: str) -> None:
    """An event names a version that nobody has, with the name of one that lives."""
    name = f"student-efficientnet-lite0-stage2-v{which + 1}"
    nobody = f"{world.versions[0].rpartition('/')[0]}/999"
    if how == "call":
        world.aws.events.append({"detail": {"ModelPackageArn": nobody, "ModelName": name}})
        return
    job = f"compile-{name}-{world.code[world.compile_settings]['compile'].COMPILE_SETTINGS.id}-7"
    world.aws.jobs.setdefault(
        job,
        {
            "ProcessingJobName": job,
            "ProcessingJobArn": f"arn:aws:sagemaker:us-east-2:123456789012:processing-job/{job}",
            "ProcessingJobStatus": "InProgress",
            "CreationTime": world.aws.clock,
            "Environment": {"CARDS_SOURCE_PACKAGE_ARN": nobody},
        },
    )
    world.aws.end_job(job, "Completed")


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

    def around_request(operation: str, when: str) -> None:
        nonlocal left
        if when == wanted and (not writing or operation.startswith(WRITES)):
            left -= 1
            if left == 0:
                happens(operation)

    return around_request


@_settings
@given(states=BEGINNINGS, history=st.lists(EVENTFUL, min_size=2, max_size=16))
def test_any_history_without_lost_events_ends_in_the_right_state(
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
@example(
    states=["compiling"],
    history=[("job", 0, "passed"), ("crash", 0, ((True, 12), True)), ("later", None, None)],
    lose_all=True,
    jobs_end="passed",
)
@example(
    states=["released"],
    history=[("poison", 0, "hold"), ("register", None, None), ("decide", 1, "Approved")],
    lose_all=True,
    jobs_end="passed",
)
@example(
    states=["released", "released"],
    history=[("poison", 1, "manifest"), ("later", None, None), ("ghost", 1, "call")],
    lose_all=False,
    jobs_end="passed",
)
@example(
    states=["compiled"],
    history=[("ghost", 0, "job"), ("poison", 0, "report"), ("delete", 0, None)],
    lose_all=False,
    jobs_end="passed",
)
def test_any_history_with_lost_events_is_repaired_by_two_reconciler_runs(
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
    notices, jobs = len(world.aws.told), len(world.aws.jobs)
    assert world.reconcile()["repaired"] == 0
    world.rest()
    assert (notices, jobs) == (len(world.aws.told), len(world.aws.jobs)), "at rest it stays at rest"
