"""A damaged release leaves the channels and is published again; older releases are signed again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from registry.automation.channel_checks import channel_faults
from registry.names import CANDIDATE_CHANNEL, STABLE_CHANNEL
from registry.releases.manifest import ManifestError, sha256
from registry.releases.pointers import pointer_key
from registry.releases.signatures.release_signatures import SIGNATURES, stored_name
from registry.releases.verification import verify_release
from tests.registry.automation.automation_world import World, functions
from tests.registry.memory_aws import RELEASES


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions() as loaded:
        yield loaded


@pytest.fixture
def world(code: list[dict[str, ModuleType]]) -> World:
    """Two releases; both channels point to the second."""
    made = World(code)
    for _ in range(2):
        made.decide(made.register(), "Approved")
        made.rest()
    assert channel_faults(deployment(made)) == {}
    return made


def deployment(world: World) -> Any:
    return world.code[0]["publish"]._deployment


def newest(world: World) -> str:
    return str(world.channel(STABLE_CHANNEL).release)


def files(world: World, release: str) -> dict[str, bytes]:
    prefix = f"releases/{release}/"
    return {
        key.removeprefix(prefix): stored[0]
        for (_, key), stored in world.aws.objects.items()
        if key.startswith(prefix)
    }


def put(world: World, key: str, body: bytes) -> None:
    world.aws._store((RELEASES, key), body)


def delete(world: World, key: str) -> None:
    world.aws.objects.pop((RELEASES, key))


def signature(world: World, release: str, name: str) -> str:
    return f"releases/{release}/{stored_name(name, sha256(files(world, release)['manifest.json']))}"


def unsign(world: World, release: str) -> None:
    """As the release of an earlier version of this product: with ``manifest.sig`` alone."""
    for name in SIGNATURES:
        delete(world, signature(world, release, name))


def forge(world: World, release: str) -> None:
    """A manifest that nobody has signed."""
    document = json.loads(files(world, release)["manifest.json"])
    put(world, f"releases/{release}/manifest.json", json.dumps({**document, "x": 1}).encode())


DAMAGES: dict[str, Callable[[World, str], None]] = {
    "a changed file": lambda w, r: put(w, f"releases/{r}/model.onnx", b"another"),
    "a missing file": lambda w, r: delete(w, f"releases/{r}/model.onnx"),
    "a forged manifest": forge,
    "a manifest that is not JSON": lambda w, r: put(w, f"releases/{r}/manifest.json", b"["),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_release_of_a_channel_is_found_withdrawn_and_published_again(
    world: World, damage: str
) -> None:
    release = newest(world)
    DAMAGES[damage](world, release)
    assert set(channel_faults(deployment(world))) == {CANDIDATE_CHANNEL, STABLE_CHANNEL}
    world.aws.told.clear()
    for _ in range(2):
        world.reconcile()
        world.rest()
    assert newest(world) == release
    assert channel_faults(deployment(world)) == {}
    assert world.wrong() == []
    subjects = [each["Subject"] for each in world.aws.told]
    assert sum("release damaged" in each for each in subjects) == 1, "people are notified once"


def test_damaged_release_is_not_in_a_channel_while_it_cannot_be_published_again(
    world: World,
) -> None:
    release = newest(world)
    put(world, f"releases/{release}/model.onnx", b"another")
    for job in world.aws.jobs:
        key = ("training-bucket", f"compilations/{job}/model.onnx")
        if "-v2-" in job:
            world.aws._store(key, b"another")
    for _ in range(2):
        world.reconcile()
        world.rest()
    assert "-v1." in newest(world)
    assert channel_faults(deployment(world)) == {}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature_that_does_not_fit_is_named_and_written_again(world: World, name: str) -> None:
    release = newest(world)
    put(world, signature(world, release, name), b"another")
    assert verify_release(deployment(world), release).signatures.wrong == (name,)
    world.code[0]["publish"].handler({"detail": {"SignRelease": release}}, None)
    state = verify_release(deployment(world), release).signatures
    assert (state.missing, state.wrong) == ((), ())


def test_release_of_an_earlier_version_is_signed_again_by_one_event(world: World) -> None:
    release = newest(world)
    unsign(world, release)
    assert verify_release(deployment(world), release).signatures.missing == SIGNATURES
    answer = world.code[0]["publish"].handler({"detail": {"SignRelease": release}}, None)
    assert answer["result"] == ", ".join(SIGNATURES)
    state = verify_release(deployment(world), release).signatures
    assert (state.missing, state.wrong) == ((), ())
    again = world.code[0]["publish"].handler({"detail": {"SignRelease": release}}, None)
    assert again["result"] == "nothing to sign"


def test_damaged_release_is_never_signed(world: World) -> None:
    release = newest(world)
    put(world, f"releases/{release}/model.onnx", b"another")
    before = files(world, release)
    with pytest.raises(ManifestError, match=r"model\.onnx is not the file that was signed"):
        world.code[0]["publish"].handler({"detail": {"SignRelease": release}}, None)
    assert files(world, release) == before


@pytest.mark.parametrize("release", ["../channels", "a/b", ""])
def test_sign_event_with_a_hostile_name_raises(world: World, release: str) -> None:
    with pytest.raises(ValueError, match="SignRelease"):
        world.code[0]["publish"].handler({"detail": {"SignRelease": release}}, None)


def test_pointer_of_an_earlier_version_gets_a_statement(world: World) -> None:
    document = json.loads(world.aws.objects[RELEASES, pointer_key(STABLE_CHANNEL)][0])
    history = document["history"]
    del document["statement"]
    put(world, pointer_key(STABLE_CHANNEL), json.dumps(document).encode())
    assert channel_faults(deployment(world)) == {
        STABLE_CHANNEL: "has no statement that the deployment's key signed"
    }
    world.reconcile()
    world.rest()
    assert channel_faults(deployment(world)) == {}
    after = json.loads(world.aws.objects[RELEASES, pointer_key(STABLE_CHANNEL)][0])
    assert after["history"] == history, "a statement alone is no move"
    assert after["since"] == document["since"]


def test_statement_is_renewed_before_it_expires(world: World) -> None:
    before = world._statement(STABLE_CHANNEL)
    assert before is not None
    world.aws.clock += timedelta(days=19)
    world.reconcile()
    world.rest()
    assert world._statement(STABLE_CHANNEL) == before
    world.aws.clock += timedelta(days=2)
    world.reconcile()
    world.rest()
    after = world._statement(STABLE_CHANNEL)
    assert after is not None and after.serial > before.serial
    assert after.expires > before.expires and after.release == before.release


@pytest.mark.parametrize("what", ["replayed", "deleted"])
def test_serial_grows_after_the_pointer_was(world: World, what: str) -> None:
    """Whoever may write ``channels/`` cannot bring devices to refuse the next statement."""
    old = world.aws.objects[RELEASES, pointer_key(STABLE_CHANNEL)][0]
    world.decide(world.versions[1], "Rejected")
    world.rest()
    seen = world._statement(STABLE_CHANNEL)
    assert seen is not None and seen.release and "-v1." in seen.release
    if what == "replayed":
        put(world, pointer_key(STABLE_CHANNEL), old)
    else:
        delete(world, pointer_key(STABLE_CHANNEL))
    world.aws.clock += timedelta(seconds=2)
    world.reconcile()
    world.rest()
    after = world._statement(STABLE_CHANNEL)
    assert after is not None and after.serial > seen.serial
    assert after.release == seen.release


def test_forged_statement_is_replaced(world: World) -> None:
    document = json.loads(world.aws.objects[RELEASES, pointer_key(STABLE_CHANNEL)][0])
    document["statement"]["signatures"][0]["sig"] = "AAAA"
    put(world, pointer_key(STABLE_CHANNEL), json.dumps(document).encode())
    assert set(channel_faults(deployment(world))) == {STABLE_CHANNEL}
    world.reconcile()
    world.rest()
    assert channel_faults(deployment(world)) == {}


def test_rejected_release_is_withdrawn_though_its_channel_cannot_be_moved(world: World) -> None:
    """The signing key is disabled: nothing can be stated, and nothing rejected stays available."""
    release = newest(world)

    def fail(operation: str, when: str) -> None:
        if operation == "Sign" and when == "before":
            raise RuntimeError("the key is disabled")

    world.decide(world.versions[1], "Rejected")
    with pytest.raises(RuntimeError, match="the key is disabled"):
        world.aws.around = fail
        world.code[0]["publish"].handler({"detail": {"ModelPackageArn": world.versions[1]}}, None)
    assert "manifest.json" not in files(world, release)
