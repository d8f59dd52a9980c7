"""Each channel follows its own declaration: what moves it, and its own hold."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from registry import channels
from registry.channels import CHANNELS, Channel, UnknownChannelError
from registry.names import BY_PROMOTION, CANDIDATE_CHANNEL, STABLE_CHANNEL
from registry.releases import channel_moves, channel_targets, pointers
from registry.releases.pointers import Hold, Pointer
from tests.registry.automation.automation_world import World, functions
from tests.registry.memory_aws import RELEASES

BETA = "beta"


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions(keep="1") as loaded:
        yield loaded


@pytest.fixture
def world(code: list[dict[str, ModuleType]], monkeypatch: pytest.MonkeyPatch) -> World:
    """Three releases; a third channel is declared, which promotion moves."""
    beta = Channel(BETA, moved_by=BY_PROMOTION, may_be_held=True)
    monkeypatch.setattr(channels, "CHANNELS", (*CHANNELS, beta))
    made = World(code)
    for _ in range(3):
        made.decide(made.register(), "Approved")
        made.rest()
    return made


def releases(world: World) -> list[str]:
    return sorted(each for those in world.complete_releases().values() for each in those)


def hold(world: World, channel: str, number: int) -> str:
    """A person holds a channel at the release of a version; its id."""
    release = next(each for each in releases(world) if f"-v{number}." in each)
    pointer = Pointer(release, world.versions[number - 1], release.partition(".")[0])
    s3 = world.aws.client("s3")
    pointers.hold(s3, RELEASES, Hold(pointer, "arn:x", "2026-01-01", "better"), channel)
    return release


def settle(world: World) -> None:
    """The reconciler runs today and in some days again; every job and event is finished."""
    for _ in range(2):
        world.reconcile()
        world.rest()
        world.later()
    world.reconcile()
    world.rest()


def test_channel_moved_by_promotion_ignores_approvals(world: World) -> None:
    newest = releases(world)[-1]
    assert world.channel(BETA) == Pointer(None)
    assert [world.channel(each).release for each in (CANDIDATE_CHANNEL, STABLE_CHANNEL)] == [
        newest,
        newest,
    ]


def test_third_channel_stays_at_its_hold_while_the_others_move(world: World) -> None:
    first, newest = hold(world, BETA, 1), releases(world)[-1]
    settle(world)
    assert world.channel(BETA).release == first
    assert world.channel(STABLE_CHANNEL).release == newest
    world.decide(world.register(), "Approved")
    world.rest()
    settle(world)
    assert world.channel(BETA).release == first
    assert "-v4." in str(world.channel(STABLE_CHANNEL).release)


def test_hold_of_stable_leaves_the_third_channel_alone(world: World) -> None:
    hold(world, STABLE_CHANNEL, 2)
    settle(world)
    assert "-v2." in str(world.channel(STABLE_CHANNEL).release)
    assert world.channel(BETA) == Pointer(None)


def test_retention_keeps_the_release_that_only_the_third_channel_holds(world: World) -> None:
    first = hold(world, BETA, 1)
    world.decide(world.register(), "Approved")
    world.rest()
    settle(world)
    kept = releases(world)
    assert first in kept and not [each for each in kept if "-v2." in each]
    assert first in channel_targets.releases_in_use(world.code[0]["publish"]._deployment)


def test_third_channel_stays_where_it_is_after_its_hold_ends(world: World) -> None:
    first = hold(world, BETA, 1)
    settle(world)
    pointers.release_hold(world.aws.client("s3"), RELEASES, BETA)
    settle(world)
    assert world.channel(BETA).release == first


def test_third_channel_leaves_a_rejected_version(world: World) -> None:
    hold(world, BETA, 1)
    settle(world)
    world.decide(world.versions[0], "Rejected")
    world.rest()
    settle(world)
    assert world.channel(BETA) == Pointer(None)
    assert world.wrong() == []


def test_hold_of_a_channel_that_may_not_be_held_is_ignored(world: World) -> None:
    hold(world, CANDIDATE_CHANNEL, 1)
    settle(world)
    assert "-v3." in str(world.channel(CANDIDATE_CHANNEL).release)


def test_unknown_channel_raises_instead_of_following_approvals(world: World) -> None:
    deployment = world.code[0]["publish"]._deployment
    with pytest.raises(UnknownChannelError, match="'gamma'"):
        channel_targets.compute(deployment, "gamma")
    with pytest.raises(UnknownChannelError, match="'gamma'"):
        channel_moves.move(deployment, "gamma")
