"""Old releases are let go: what channels need stays, and what goes leaves its record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import channel, retention
from registry.convergence import Step
from registry.release_folders import RETIRED, Folder
from tests.registry.automation_world import World, functions
from tests.registry.compiled_files import FILES
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


def files_of(world: World, release: str) -> set[str]:
    prefix = f"releases/{release}/"
    return {k.removeprefix(prefix) for b, k in world.aws.objects if k.startswith(prefix)}


def settle(world: World) -> None:
    world.reconcile()
    world.rest()


def test_what_channels_need_stays_and_the_rest_leaves_its_manifest(
    code: list[dict[str, ModuleType]],
) -> None:
    world, (first, second, third, fourth) = released(code, 4)
    manifest = world.aws.objects[RELEASES, f"releases/{first}/manifest.json"][0]
    settle(world)
    # The newest, and the one that a rollback goes to.
    assert there(world) == [third, fourth]
    for gone in (first, second):
        assert files_of(world, gone) == {RETIRED, "manifest.sig"}
    assert world.aws.objects[RELEASES, f"releases/{first}/{RETIRED}"][0] == manifest
    assert world.wrong() == []
    assert world.reconcile()["put_right"] == 0


def test_a_version_whose_release_was_let_go_is_not_compiled_again_by_itself(
    code: list[dict[str, ModuleType]],
) -> None:
    world, (first, *_) = released(code, 3)
    settle(world)
    jobs = len(world.aws.jobs)
    world.edit(world.versions[0])
    world.rest()
    world.recipe = 1
    world.edit(world.versions[0])
    world.rest()
    assert len(world.aws.jobs) == jobs and first not in there(world)


def test_a_person_has_it_compiled_again(code: list[dict[str, ModuleType]]) -> None:
    world, (first, *_) = released(code, 3)
    settle(world)
    event = {"detail": {"ModelPackageArn": world.versions[0], "CompileAgain": True}}
    answer = code[0]["compile"].handler(event, None)
    assert answer["step"] == Step.START_COMPILATION.name
    world.rest()
    assert first in there(world), "it is the newest that was published"
    metadata = world.aws.packages[world.versions[0]]["CustomerMetadataProperties"]
    assert metadata["Release"] == first


@pytest.mark.parametrize("held", [0, 1])
def test_what_a_person_holds_stays(code: list[dict[str, ModuleType]], held: int) -> None:
    world, releases = released(code, 4)
    release = releases[held]
    pointer = channel.Pointer(release, world.versions[held], release.partition(".")[0])
    s3 = world.aws.client("s3")
    channel.hold(s3, RELEASES, channel.Hold(pointer, "arn:x", "2026-01-01", "better"))
    settle(world)
    assert release in there(world)
    assert world.channel("stable").release == release


def test_a_channel_that_comes_to_need_it_at_the_last_moment_keeps_it(
    code: list[dict[str, ModuleType]],
) -> None:
    """A hold is written between the look that let it go and the deletion."""
    world, (first, *_) = released(code, 3)
    pointer = channel.Pointer(first, world.versions[0], first.partition(".")[0])
    s3 = world.aws.client("s3")

    def hook(operation: str, when: str) -> None:
        if operation == "DeleteObject" and when == "before":
            world.aws.around = lambda *_: None
            channel.hold(s3, RELEASES, channel.Hold(pointer, "arn:x", "2026-01-01", "better"))

    world.reconcile()
    world.route()
    (at,) = [n for n, each in enumerate(world.queue) if each.function == "publish"]
    world.deliver(at, hook)
    assert files_of(world, first) >= {*FILES, "manifest.json", "manifest.sig"}
    settle(world)
    assert world.channel("stable").release == first and world.wrong() == []


def test_a_channel_that_was_moved_to_what_went_meanwhile_moves_on(
    code: list[dict[str, ModuleType]],
) -> None:
    world, (first, _second, third) = released(code, 3)
    s3, places = world.aws.client("s3"), code[0]["publish"]._places.channels
    pointer = channel.Pointer(first, world.versions[0], first.partition(".")[0])
    channel.hold(s3, RELEASES, channel.Hold(pointer, "arn:x", "2026-01-01", "better"))

    def hook(operation: str, when: str) -> None:
        if operation == "PutObject" and when == "before":
            world.aws.around = lambda *_: None
            del world.aws.objects[RELEASES, f"releases/{first}/manifest.json"]

    world.aws.around = hook
    assert channel.move(places).release == third
    assert world.channel("stable").release == third


@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_was_interrupted_ends_the_same(
    code: list[dict[str, ModuleType]], when: str
) -> None:
    for place in range(1, 60):
        world, (first, second, third, fourth) = released(code, 4)
        world.reconcile()
        world.route()
        count = 0

        def hook(operation: str, moment: str) -> None:
            nonlocal count
            count += moment == when
            if count == place and moment == when:  # noqa: B023
                raise Crash

        world.deliver(0, hook)
        if count < place:
            break
        for _ in range(2):
            world.rest()
            world.reconcile()
        world.rest()
        assert there(world) == [third, fourth], f"interrupted {when} request {place}"
        for gone in (first, second):
            assert files_of(world, gone) == {RETIRED, "manifest.sig"}
        assert len(world.aws.jobs) == 4 and world.wrong() + world.overdue() == []
    assert place > 20


def test_what_an_earlier_try_left_goes_along(code: list[dict[str, ModuleType]]) -> None:
    """A job by another recipe left damaged files, and some of them had been copied."""
    world = World(code)
    world.decide(world.register(), "Approved")
    world.drain()
    world.end_job(world.active()[0], "damaged")
    world.drain()
    world.recipe = 1
    world.edit(world.versions[0])
    for _ in range(2):
        world.rest()
        world.decide(world.register(), "Approved")
    world.rest()

    def of_the_first() -> set[str]:
        names = {key.split("/")[1] for _, key in world.aws.objects if key.startswith("releases/")}
        return {name for name in names if "-v1." in name}

    assert len(of_the_first()) == 2
    settle(world)
    (left,) = of_the_first()
    assert files_of(world, left) == {RETIRED, "manifest.sig"}
    assert world.reconcile()["put_right"] == 0


def test_a_rejected_version_is_withdrawn_and_nothing_else(
    code: list[dict[str, ModuleType]],
) -> None:
    world, (first, second, third) = released(code, 3)
    world.decide(world.versions[0], "Rejected")
    world.rest()
    settle(world)
    assert there(world) == [second, third]
    assert RETIRED not in files_of(world, first)


def test_a_job_that_left_damaged_files_is_compiled_again_when_a_person_asks() -> None:
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
def test_the_newest_and_what_is_bound_stay_and_nothing_else(
    ages: list[int | None], keep: int, data: st.DataObject
) -> None:
    every = [
        Folder(f"m-v{n}.x", None if age is None else NOW - timedelta(days=age), NOW)
        for n, age in enumerate(ages)
    ]
    names = [each.release for each in every]
    bound = set(data.draw(st.lists(st.sampled_from(names)))) if names else set()
    stay = retention.spared(every, bound, keep)
    complete = {each.release: each for each in every if each.published}
    assert bound <= stay and len(stay - bound) <= keep
    assert len(stay & set(complete)) >= min(keep, len(complete))
    oldest_spared = [complete[r].published for r in stay - bound]
    for release in set(complete) - stay:
        assert all(complete[release].published <= kept for kept in oldest_spared if kept)
    assert set(retention.going(every, stay, quiet=False)) == set(complete) - stay


def test_the_record_is_signed_as_the_manifest_was(code: list[dict[str, ModuleType]]) -> None:
    world, (first, *_) = released(code, 3)
    settle(world)
    record = world.aws.objects[RELEASES, f"releases/{first}/{RETIRED}"][0]
    assert json.loads(record)["release"] == first
    assert (TRAINING, f"compilations/{next(iter(world.aws.jobs))}/model.onnx") in world.aws.objects
