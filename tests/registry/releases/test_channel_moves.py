"""Writing a channel's pointer by compare-and-swap, against those who write at the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from registry.releases.channel_moves import move
from registry.releases.pointers import pointer_key
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
