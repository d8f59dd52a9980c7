"""Writing a channel's pointer by compare-and-swap, against those who write at the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from registry.releases import pointers
from registry.releases.channel_moves import move
from registry.releases.pointers import Hold, Pointer, pointer_key, read_channel
from tests.registry.automation.automation_world import World, functions
from tests.registry.memory_aws import RELEASES

POINTER = (RELEASES, pointer_key("stable"))


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions() as loaded:
        yield loaded


def test_pointer_that_is_deleted_before_it_is_replaced_is_computed_again(
    code: list[dict[str, ModuleType]],
) -> None:
    """S3 answers an If-Match on a key that is gone with 404 NoSuchKey, not with 412."""
    world = World(code)
    versions = [world.register(), world.register()]
    for arn in versions:
        world.decide(arn, "Approved")
        world.rest()
    world.decide(versions[1], "Rejected")
    deleted: list[str] = []

    def delete_once(operation: str, when: str) -> None:
        # A statement is signed after the pointer was read, and before it is written.
        if (operation, when, deleted) == ("Sign", "after", []):
            deleted.append(POINTER[1])
            del world.aws.objects[POINTER]

    world.aws.around = delete_once
    pointer = move(code[0]["publish"]._deployment, "stable")
    assert deleted == [POINTER[1]]
    assert pointer.package_arn == versions[0]
    assert world.channel("stable") == pointer


def test_statement_gives_a_held_release_to_a_share_of_the_devices(
    code: list[dict[str, ModuleType]],
) -> None:
    """And every other release to all of them: a rollback must reach every device."""
    world = World(code)
    versions = [world.register(), world.register()]
    for arn in versions:
        world.decide(arn, "Approved")
        world.rest()
    s3 = world.aws.client("s3")

    def stated() -> tuple[str | None, int, int]:
        found = read_channel(s3, RELEASES, "stable")
        assert found and found.statement
        return found.pointer.release, found.statement.rollout, found.statement.serial

    newest, share, serial = stated()
    assert share == 100
    before = next(each for each in pointers.history(s3, RELEASES)[1:]).pointer
    target = Pointer(newest, versions[1], str(newest).partition(".")[0])
    for percent in (10, 50):
        pointers.hold(s3, RELEASES, Hold(target, "arn:x", "2026-01-01", "slowly", percent))
        # The publisher was not asked: the reconciler finds that the statement says otherwise.
        world.reconcile()
        world.rest()
        release, share, later = stated()
        assert (release, share) == (newest, percent) and later > serial
        serial = later
    pointers.hold(s3, RELEASES, Hold(before, "arn:x", "2026-01-01", "misreads foils"))
    world.reconcile()
    world.rest()
    assert stated()[:2] == (before.release, 100)
    # Somebody else's percentage is none.
    pointers.hold(s3, RELEASES, Hold(target, "arn:x", "2026-01-01", "y", 900))
    with pytest.raises(pointers.ChannelError, match="is no hold"):
        pointers.read_hold(s3, RELEASES)
