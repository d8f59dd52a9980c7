"""Old releases are retired: what channels need stays, and a retired one keeps its record."""

# Over 400 lines: it is one list of cases of the same rule.

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.automation import reconciliation
from registry.automation.observation import protected_releases
from registry.convergence import Step
from registry.names import RETIRED
from registry.releases import channel_moves, pointers, retention
from registry.releases.folders import Folder, folders
from tests.properties import stride
from tests.registry.automation.automation_world import World, functions
from tests.registry.compilation.compiled_files import FILES
from tests.registry.memory_aws import RELEASES, TRAINING, Crash

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions(keep="1") as loaded:
        yield loaded


def released(code: list[dict[str, ModuleType]], count: int) -> tuple[World, list[str]]:
    """A world with so many releases; their ids, oldest first."""
    world = World(code)
    for _ in range(count):
        world.decide(world.register(), "Approved")
        world.rest()
    return world, sorted(each for those in world.complete_releases().values() for each in those)


def there(world: World) -> list[str]:
    return sorted(each for those in world.complete_releases().values() for each in those)


#: What stays of a retired release, and what a complete one has.
RECORD = {RETIRED, "manifest.sig", "manifest.*.sig"}
COMPLETE = {*FILES, "manifest.json", "manifest.sig"} | {
    f"{kind}.*.sig" for kind in ("manifest", "model", "provenance")
}


def files_of(world: World, release: str) -> set[str]:
    """With ``*`` for the digest in a signature's name."""
    prefix = f"releases/{release}/"
    names = {k.removeprefix(prefix) for b, k in world.aws.objects if k.startswith(prefix)}
    return {re.sub(r"\.[0-9a-f]{64}\.sig$", ".*.sig", name) for name in names}


def settle(world: World) -> None:
    """The reconciler runs today, and in some days again."""
    world.reconcile()
    world.rest()
    world.later()
    world.reconcile()
    world.rest()
    world.check_always()


def hold(world: World, release: str) -> None:
    """A person wants stable to be this one."""
    number = int(release.partition(".")[0].rpartition("-v")[2])
    pointer = pointers.Pointer(release, world.versions[number - 1], release.partition(".")[0])
    wanted = pointers.Hold(pointer, "arn:x", "2026-01-01", "better")
    pointers.hold(world.aws.client("s3"), RELEASES, wanted)


def next_retirement(world: World) -> int:
    """Where in the queue the reconciler's finding is."""
    world.reconcile()
    world.route()
    return next(n for n, each in enumerate(world.queue) if each.function == "publish")


@dataclass
class Hook:
    """Goes around the requests of one run, and has things happen at some of them.

    Attributes:
        happenings: What happens at which request, counted from 1, ``before`` or ``after`` it.
        operations: The requests so far.
    """

    world: World
    happenings: list[tuple[int, str, Callable[[], object]]] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)

    def __call__(self, operation: str, when: str) -> None:
        if when == "before":
            self.operations.append(operation)
        for place, moment, happens in self.happenings:
            if (place, moment) == (len(self.operations), when):
                self.world.aws.around = lambda *_: None
                try:
                    happens()
                finally:
                    self.world.aws.around = self


def crash() -> None:
    raise Crash


def test_retirement_keeps_releases_in_use_and_removes_the_files_of_others(
    code: list[dict[str, ModuleType]],
) -> None:
    world, (first, second, third, fourth) = released(code, 4)
    manifest = world.aws.objects[RELEASES, f"releases/{first}/manifest.json"][0]
    world.reconcile()
    world.rest()
    # The newest, and the one that a rollback goes to.
    assert there(world) == [third, fourth]
    assert files_of(world, first) > set(FILES), "they can be had back for a day"
    world.later()
    settle(world)
    for gone in (first, second):
        assert files_of(world, gone) == RECORD
    assert world.aws.objects[RELEASES, f"releases/{first}/{RETIRED}"][0] == manifest
    assert world.wrong() == []
    assert world.reconcile()["repaired"] == 0


def test_version_with_a_retired_release_is_not_compiled_again(
    code: list[dict[str, ModuleType]],
) -> None:
    world, (first, *_) = released(code, 3)
    settle(world)
    jobs = len(world.aws.jobs)
    world.edit(world.versions[0])
    world.rest()
    world.compile_settings = 1
    world.edit(world.versions[0])
    world.rest()
    assert len(world.aws.jobs) == jobs and first not in there(world)


@pytest.mark.parametrize("days", [0, 3])
def test_version_with_a_retired_release_is_compiled_again_on_request(
    code: list[dict[str, ModuleType]], days: int
) -> None:
    world, (first, *_) = released(code, 3)
    world.reconcile()
    world.rest()
    if days:
        world.later()
        settle(world)
    event = {"detail": {"ModelPackageArn": world.versions[0], "CompileAgain": True}}
    answer = code[0]["compile"].handler(event, None)
    assert answer["step"] == Step.START_COMPILATION.name
    world.rest()
    assert first in there(world), "it is the newest that was published"
    manifest = json.loads(world.aws.objects[RELEASES, f"releases/{first}/manifest.json"][0])
    assert manifest["compile_job"].endswith("-2"), "of the new job"
    metadata = world.aws.packages[world.versions[0]]["CustomerMetadataProperties"]
    assert metadata["Release"] == first
    settle(world)
    assert first in there(world) and world.wrong() == []


@pytest.mark.parametrize("held", [0, 1])
def test_held_release_is_not_retired(code: list[dict[str, ModuleType]], held: int) -> None:
    world, releases = released(code, 4)
    hold(world, releases[held])
    settle(world)
    assert releases[held] in there(world)
    assert world.channel("stable").release == releases[held]


@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_release_that_a_channel_comes_to_use_meanwhile_is_not_retired(
    code: list[dict[str, ModuleType]], when: str
) -> None:
    """A hold is written between the look that let it go and the mark; then the function dies."""
    world, (first, *_) = released(code, 3)
    undisturbed = Hook(world)
    world.deliver(next_retirement(world), undisturbed)
    mark = undisturbed.operations.index("PutObject") + 1
    for place in range(mark, len(undisturbed.operations) + 1):
        world, (first, *_) = released(code, 3)
        held = (mark, "before", partial(hold, world, first))
        world.deliver(next_retirement(world), Hook(world, [held, (place, when, crash)]))
        world.rest()
        for _ in range(2):
            world.reconcile()
            world.rest()
        assert files_of(world, first) == COMPLETE, place
        assert world.channel("stable").release == first and world.wrong() == []
        settle(world)
        assert world.channel("stable").release == first
    assert len(undisturbed.operations) - mark > 5


def test_two_publishers_at_once_keep_the_held_release(
    code: list[dict[str, ModuleType]],
) -> None:
    """At any request of the one the other does the same; a hold comes at any other."""
    world, (first, *_) = released(code, 3)
    undisturbed = Hook(world)
    world.deliver(next_retirement(world), undisturbed)
    count = len(undisturbed.operations)
    moments = itertools.product(range(1, count + 1), repeat=2)
    for place, holding in itertools.islice(moments, 0, None, stride(37)):
        world, (first, *_) = released(code, 3)
        at = next_retirement(world)
        handle = partial(code[0]["publish"].handler, world.queue[at].event, None)
        held = (holding, "before", partial(hold, world, first))
        world.deliver(at, Hook(world, [(place, "before", handle), held]))
        world.rest()
        for _ in range(2):
            settle(world)
        assert world.wrong() + world.overdue() == [], (place, holding)
        if first in there(world):
            assert files_of(world, first) == COMPLETE
            assert world.channel("stable").release == first
        else:
            assert files_of(world, first) == RECORD


def test_channel_moved_to_a_release_retired_meanwhile_moves_to_another(
    code: list[dict[str, ModuleType]],
) -> None:
    world, (first, _, third) = released(code, 3)
    deployment = code[0]["publish"]._deployment
    hold(world, first)

    def around_request(operation: str, when: str) -> None:
        if operation == "PutObject" and when == "before":
            world.aws.around = lambda *_: None
            world.aws._store((RELEASES, f"releases/{first}/{RETIRED}"), b"{}")

    world.aws.around = around_request
    assert channel_moves.move(deployment).release == third
    assert world.channel("stable").release == third


def test_retirement_with_an_unreadable_pointer_removes_nothing(
    code: list[dict[str, ModuleType]],
) -> None:
    """Nobody knows what channels need."""
    world, releases = released(code, 4)
    world.aws._store((RELEASES, pointers.pointer_key("stable")), b"junk")
    assert protected_releases(
        code[0]["publish"]._deployment, folders(world.aws.client("s3"), RELEASES)
    ) >= set(releases)
    assert not retention.retire(code[0]["publish"]._deployment, releases[0], world.aws.clock)
    assert all(files_of(world, each) > set(FILES) for each in releases)
    assert {each for those in world.complete_releases().values() for each in those} == set(releases)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["the mark", "the deletion"])
def test_interrupted_retirement_ends_in_the_same_state(
    code: list[dict[str, ModuleType]], when: str, step: str
) -> None:
    for place in itertools.count(1, stride(6)):
        world, (first, second, third, fourth) = released(code, 4)
        if step == "the deletion":
            world.reconcile()
            world.rest()
            world.later()
        around_request = Hook(world, [(place, when, crash)])
        world.deliver(next_retirement(world), around_request)
        if len(around_request.operations) < place:
            break
        world.rest()
        settle(world)
        settle(world)
        assert there(world) == [third, fourth], f"interrupted {when} request {place}"
        for gone in (first, second):
            assert files_of(world, gone) == RECORD
        assert len(world.aws.jobs) == 4 and world.wrong() + world.overdue() == []
    assert place > 15


def test_rejected_version_is_withdrawn_and_not_retired(
    code: list[dict[str, ModuleType]],
) -> None:
    world, (first, second, third) = released(code, 3)
    world.decide(world.versions[0], "Rejected")
    world.rest()
    settle(world)
    assert there(world) == [second, third]
    assert RETIRED not in files_of(world, first)


def test_release_retired_with_older_compile_settings_does_not_prevent_a_newer_one(
    code: list[dict[str, ModuleType]],
) -> None:
    world, _ = released(code, 1)
    world.compile_settings = 1
    world.edit(world.versions[0])
    world.rest()
    world.decide(world.register(), "Approved")
    world.rest()
    settle(world)
    assert len([each for each in world.folders() if "-v1." in each]) == 2
    world.decide(world.versions[1], "Rejected")
    world.rest()
    jobs = len(world.aws.jobs)
    for status in ("Rejected", "Approved"):
        world.decide(world.versions[0], status)
        world.rest()
    settle(world)
    assert len([each for each in there(world) if "-v1." in each]) == 1
    assert len(world.aws.jobs) == jobs and world.wrong() == []


def test_deleted_version_with_a_retired_release_keeps_the_record_only(
    code: list[dict[str, ModuleType]],
) -> None:
    world, (first, *_) = released(code, 3)
    world.reconcile()
    world.rest()
    world.delete(world.versions[0])
    world.later()
    settle(world)
    assert files_of(world, first) == RECORD
    assert world.wrong() + world.overdue() == []


def test_one_run_retires_a_limited_number(
    code: list[dict[str, ModuleType]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "RETIRE_LIMIT", 2)
    world, _ = released(code, 7)
    for left in (5, 3, 2):
        world.reconcile()
        world.rest()
        assert len(there(world)) == left


def test_run_at_its_retirement_limit_makes_other_repairs(
    code: list[dict[str, ModuleType]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "RETIRE_LIMIT", 1)
    world, (first, *_) = released(code, 6)
    world.decide(world.versions[0], "Rejected")
    world.route()
    world.queue.clear()
    world.reconcile()
    world.rest()
    assert first not in there(world) and RETIRED not in files_of(world, first)


def test_version_with_damaged_job_files_is_compiled_again_on_request() -> None:
    with functions() as loaded:
        world = World(loaded)
        world.decide(world.register(), "Approved")
        world.drain()
        world.end_job(world.active()[0], "damaged")
        world.drain()
        event = {"detail": {"ModelPackageArn": world.versions[0], "CompileAgain": True}}
        assert loaded[0]["compile"].handler(event, None)["step"] == Step.START_COMPILATION.name
        world.rest()
        assert len(there(world)) == 1 and world.wrong() == []


ages = st.lists(st.one_of(st.none(), st.integers(0, 1000)), max_size=12)


@given(ages=ages, keep=st.integers(1, 5), data=st.data())
def test_protected_releases_are_the_newest_and_those_in_use(
    ages: list[int | None], keep: int, data: st.DataObject
) -> None:
    every = [
        Folder(f"m-v{n}.x", None if age is None else NOW - timedelta(days=age), NOW)
        for n, age in enumerate(ages)
    ]
    names = [each.release for each in every]
    in_use = set(data.draw(st.lists(st.sampled_from(names)))) if names else set()
    stay = retention.protected_releases(every, in_use, keep)
    complete = {each.release: each for each in every if each.published}
    assert in_use <= stay and len(stay - in_use) <= keep
    assert len(stay & set(complete)) >= min(keep, len(complete))
    oldest_spared = [complete[r].published for r in stay - in_use]
    for release in set(complete) - stay:
        assert all(complete[release].published <= kept for kept in oldest_spared if kept)
    assert set(retention.releases_to_retire(every, stay, NOW)) == set(complete) - stay
    assert retention.releases_to_retire(every, None, NOW) == ()


def test_record_of_a_retired_release_has_the_manifests_signature(
    code: list[dict[str, ModuleType]],
) -> None:
    world, (first, *_) = released(code, 3)
    settle(world)
    record = world.aws.objects[RELEASES, f"releases/{first}/{RETIRED}"][0]
    assert json.loads(record)["release"] == first
    assert (TRAINING, f"compilations/{next(iter(world.aws.jobs))}/model.onnx") in world.aws.objects
