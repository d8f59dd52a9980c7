"""The reconciler after an outage that is longer than its usual look back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType

import pytest

from registry.automation.reconciler_state import STATE_KEY
from tests.registry.automation.automation_world import World, functions
from tests.registry.automation.test_histories import begin, take
from tests.registry.memory_aws import TRAINING


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions() as loaded:
        yield loaded


def lose_all(world: World) -> None:
    world.route()
    world.queue.clear()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(1, 16))
def test_publication_that_crashed_at_any_write_is_finished_days_later(
    code: list[dict[str, ModuleType]], write: int, after: bool
) -> None:
    world = begin(code, ["compiled"])
    take(world, ("crash", 0, ((True, write), after)))
    lose_all(world)
    world.later()
    for _ in range(2):
        world.reconcile()
        world.rest()
    assert world.wrong() == []


def test_repair_that_is_lost_again_and_again_is_found_after_each_outage(
    code: list[dict[str, ModuleType]],
) -> None:
    world = begin(code, ["compiled"])
    take(world, ("crash", 0, ((True, 12), True)))
    for _ in range(3):
        lose_all(world)
        world.later()
        assert world.reconcile()["repaired"] > 0
    world.rest()
    world.reconcile()
    world.rest()
    assert world.wrong() == []


def test_clean_pass_is_recorded_and_settled_versions_are_not_observed_again(
    code: list[dict[str, ModuleType]],
) -> None:
    world = begin(code, ["released"])
    world.later()
    assert world.reconcile()["looked"] == len(world.aws.packages) == 3, "no pass was clean before"
    assert json.loads(world.aws.objects[TRAINING, STATE_KEY][0])["clean"]
    assert world.reconcile()["looked"] == 0


@pytest.mark.parametrize("clean", ["junk", "2026-01-01T00:00:00", 7])
def test_state_with_an_unreadable_time_counts_as_none(
    code: list[dict[str, ModuleType]], clean: object
) -> None:
    world = begin(code, ["released"])
    state = {"below": 0, "registrations": {}, "clean": clean}
    world.aws._store((TRAINING, STATE_KEY), json.dumps(state).encode())
    world.later()
    world.later()
    found = world.reconcile()
    assert (found["finished"], found["looked"]) == (True, 3)
