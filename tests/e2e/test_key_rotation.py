"""The signing key changes twice by the real CDK; a device that slept through the first follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.releases.signatures.signing import public_key_pem
from registry.releases.signatures.trust import fingerprint
from tests.e2e.cloud import BIN, Cloud, started, until
from tests.e2e.handmade import FILES, make_signed_release

CLI = str(BIN / "cards")
CHANNEL = "channels/stable.json"
#: The rotation needs neither MLflow nor a compiler.
SETTINGS = {"mlflow": "none"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A deployment of its own with one key, and a release that it has signed."""
    with started(tmp_path_factory.mktemp("rotation")) as running:
        running.bootstrap()
        running.deploy(SETTINGS)
        make_signed_release(running)
        yield running


def device(cloud: Cloud, name: str) -> Cloud:
    """A machine with pinned keys of its own."""
    folder = cloud.folder / name
    folder.mkdir()
    return Cloud({**cloud.variables, "CARDS_TRUST_STORE": str(folder / "trust")}, folder)


def pull(machine: Cloud) -> Path:
    folder = machine.folder / "release"
    machine.must(CLI, "release", "pull", "--out", str(folder))
    machine.must(CLI, "release", "verify", str(folder))
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    return folder


def rotate(cloud: Cloud, machine: Cloud, number: int) -> str:
    """The documented steps, up to the statement of the new key; returns its fingerprint."""
    made = {**SETTINGS, "signing_keys": str(number)}
    # Keys up to this one; the one before it is in use.
    cloud.deploy({**made, "signing_key": str(number - 1)})
    machine.must(CLI, "release", "rotate-key")
    cloud.deploy({**made, "signing_key": str(number)})
    key = cloud.deployed().signing_key_arn
    cloud.must(CLI, "release", "sign", "--all")
    new = fingerprint(public_key_pem(cloud.client("kms"), key).decode())
    until(lambda: signer(cloud) == new, 10, "the new key has signed the channel's statement")
    return new


def signer(cloud: Cloud) -> str:
    """The fingerprint of the key that signed the channel's statement."""
    body = cloud.client("s3").get_object(Bucket=cloud.deployed().release_bucket, Key=CHANNEL)
    document: dict[str, Any] = json.loads(body["Body"].read())
    return str(document["statement"]["signatures"][0]["keyid"])


def pinned(machine: Cloud) -> list[str]:
    (file,) = (machine.folder / "trust").glob("*.json")
    return [fingerprint(key) for key in json.loads(file.read_text())["keys"]]


def test_device_that_slept_through_the_first_of_two_rotations_follows_both(cloud: Cloud) -> None:
    awake, asleep = device(cloud, "awake"), device(cloud, "asleep")
    for each in (awake, asleep):
        each.must(CLI, "release", "trust", "--yes")
        pull(each)
    first = signer(cloud)
    old_pointer = (
        cloud.client("s3")
        .get_object(Bucket=cloud.deployed().release_bucket, Key=CHANNEL)["Body"]
        .read()
    )
    second = rotate(cloud, awake, 2)
    pull(awake)
    assert pinned(awake) == [first, second]
    assert pinned(asleep) == [first]
    third = rotate(cloud, awake, 3)
    for each in (awake, asleep):
        pull(each)
        assert pinned(each) == [first, second, third]
    assert len({first, second, third}) == 3
    # A statement of the first key counts for neither any more.
    cloud.client("s3").put_object(
        Bucket=cloud.deployed().release_bucket, Key=CHANNEL, Body=old_pointer
    )
    for each in (awake, asleep):
        refused = each.run(CLI, "release", "pull", "--out", str(each.folder / "release"))
        assert refused.returncode == 1 and "no signature of a trusted key" in refused.stderr
        each.must(CLI, "release", "verify", str(each.folder / "release"))
