"""An update takes what is signed, stated, fits and answers; else the old release stays."""

# Over 400 lines: each test is one fault of the same update.

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.preflight.compatibility import PreflightError
from edge.preflight.hailo_versions import HailoVersions
from edge.rollback import roll_back
from edge.selftest.child import SelfTestError, SelfTestPostponedError
from edge.state.folder import CURRENT, StateError
from edge.state.record import read_record
from edge.stored_release import pinned
from edge.update import updating
from registry.releases.manifest import ManifestError
from registry.releases.pull.pulled_folder import DownloadError
from registry.releases.signatures.trust import TrustError, fingerprint, rotation_key
from registry.releases.statement import StatementError
from tests.edge.device import NEW, OLD, SHARED, Device, DeviceBucket
from tests.registry.releases.signatures.p256 import Key
from tests.registry.releases.signed_releases import NOW, pem


def test_new_release_is_tested_then_used_and_the_old_one_kept(device: Device) -> None:
    result = device.updater().run()
    assert result.updated and result.release == "new"
    assert (device.in_use(), device.before) == ("new", "old")
    assert len(device.tested) == 1 and device.tested[0].startswith("new-")
    assert read_record(device.folder).outcome == result.text


def test_files_that_did_not_change_are_not_fetched_again(device: Device) -> None:
    result = device.updater().run()
    changed = [name for name in NEW if NEW[name] != OLD[name]]
    assert result.fetched == sum(len(NEW[name]) for name in changed)
    for name in SHARED:
        assert device.bucket.asked[f"releases/new/{name}"] == 0


def test_unchanged_channel_is_asked_once_and_sends_nothing(device: Device) -> None:
    device.updater().run()
    device.bucket.asked.clear()
    device.bucket.sent.clear()
    result = device.updater().run()
    assert not result.updated and result.text == "nothing new"
    assert dict(device.bucket.asked) == {"channels/stable.json": 1}
    assert not device.bucket.sent


def test_files_that_only_people_read_stay_behind(device: Device, tmp_path: Path) -> None:
    device.bucket.publish("big", {**NEW, "model.onnx": b"float" * 9000, "fidelity.html": b"page"})
    device.bucket.point("big", 3)
    device.updater().run()
    current = device.folder.linked(CURRENT)
    assert current is not None and not (current / "model.onnx").exists()
    assert device.bucket.asked["releases/big/fidelity.html"] == 0


def test_interrupted_file_goes_on_where_it_ended(device: Device) -> None:
    key = "releases/new/model.int8.onnx"
    device.bucket.cut[key] = 20_000
    with pytest.raises(ConnectionError):
        device.updater().run()
    assert device.in_use() == "old"
    device.bucket.cut.clear()
    device.bucket.sent.clear()
    assert device.updater().run().updated
    assert 0 < device.bucket.sent[key] <= len(NEW["model.int8.onnx"]) - 16_384


def test_file_that_was_replaced_meanwhile_is_fetched_from_its_start(device: Device) -> None:
    key = "releases/new/model.int8.onnx"
    good = device.bucket.objects[key]
    device.bucket.objects[key] = good[::-1]
    device.bucket.cut[key] = 20_000
    with pytest.raises(ConnectionError):
        device.updater().run()
    device.bucket.cut.clear()
    device.bucket.objects[key] = good
    device.bucket.sent.clear()
    assert device.updater().run().updated
    assert device.bucket.sent[key] == len(good)


def test_server_without_ranges_sends_the_whole_file(device: Device) -> None:
    key = "releases/new/model.int8.onnx"
    device.bucket.cut[key] = 20_000
    with pytest.raises(ConnectionError):
        device.updater().run()
    device.bucket.cut.clear()
    device.bucket.ranges = False
    assert device.updater().run().updated
    assert device.in_use() == "new"


def test_part_that_the_disk_has_spoiled_is_fetched_anew(device: Device) -> None:
    key = "releases/new/model.int8.onnx"
    device.bucket.cut[key] = 20_000
    with pytest.raises(ConnectionError):
        device.updater().run()
    device.bucket.cut.clear()
    (part,) = [path for path in device.folder.incoming.iterdir() if not path.suffix]
    part.write_bytes(b"\0" * part.stat().st_size)
    assert device.updater().run().updated
    assert device.in_use() == "new"


@pytest.mark.parametrize("name", sorted(NEW))
@pytest.mark.parametrize("how", ["changed", "longer", "shorter", "missing"])
def test_tampered_file_is_refused_by_name_and_the_old_release_stays(
    device: Device, name: str, how: str
) -> None:
    key = f"releases/new/{name}"
    content = device.bucket.objects[key]
    changed = {
        "changed": content[:-1] + bytes([content[-1] ^ 1]),
        "longer": content + b"x",
        "shorter": content[:-1],
    }
    # A file that did not change is taken from the disk, and never asked for.
    for path in device.folder.blobs.iterdir():
        path.unlink()
    if how == "missing":
        del device.bucket.objects[key]
    else:
        device.bucket.objects[key] = changed[how]
    with pytest.raises(ManifestError, match=name):
        device.updater().run()
    assert device.in_use() == "old" and not device.tested
    assert name in read_record(device.folder).outcome
    device.bucket.objects[key] = content
    assert device.updater().run().updated


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig"])
def test_tampered_manifest_is_refused(device: Device, name: str) -> None:
    key = f"releases/new/{name}"
    device.bucket.objects[key] = device.bucket.objects[key][:-1]
    if name == "manifest.sig":
        # The statement names the manifest by its SHA-256, so its own signature is not needed.
        assert device.updater().run().updated
        return
    with pytest.raises(ManifestError, match="not the one under the channel's signature"):
        device.updater().run()
    assert device.in_use() == "old"


def test_old_serial_is_refused_also_when_the_record_was_lost(device: Device) -> None:
    stale = device.bucket.objects["channels/stable.json"]
    device.bucket.point("old", 9)
    device.updater().run()
    device.bucket.objects["channels/stable.json"] = stale
    with pytest.raises(DownloadError, match="serial 2, and 9 was seen"):
        device.updater().run()
    assert device.in_use() == "old"
    # The statement beside a release keeps its serial, too.
    device.bucket.point("new", 10)
    device.updater().run()
    (device.folder.root / "record.json").unlink()
    device.bucket.objects["channels/stable.json"] = stale
    with pytest.raises(DownloadError, match="serial 2, and 10 was seen"):
        device.updater().run()
    assert device.in_use() == "new"


def test_expired_statement_is_refused_and_later_renewed_one_is_taken(device: Device) -> None:
    device.bucket.point("new", 3, lifetime=timedelta(hours=12))
    with pytest.raises(StatementError, match="expired on 2026-01-09"):
        device.updater().run()
    assert device.in_use() == "old"
    device.bucket.point("new", 4)
    assert device.updater().run().updated


def test_clock_from_before_the_statement_compares_serials_alone(device: Device) -> None:
    device.now = NOW - timedelta(days=20_000)
    device.bucket.point("new", 3, lifetime=timedelta(hours=12))
    assert device.updater().run().updated


def test_clock_far_ahead_keeps_the_release_and_the_right_clock_takes_the_new_one(
    device: Device,
) -> None:
    device.now = NOW + timedelta(days=20_000)
    with pytest.raises(StatementError, match="or this clock is wrong; the release in use stays"):
        device.updater().run()
    assert device.in_use() == "old"
    device.now = NOW
    assert device.updater().run().updated
    assert device.in_use() == "new"


@pytest.mark.parametrize("days", [-20_000, 20_000])
def test_lower_serial_is_refused_whatever_the_clock_says(device: Device, days: int) -> None:
    device.updater().run()
    device.bucket.point("old", 1)
    device.now = NOW + timedelta(days=days)
    with pytest.raises(DownloadError, match="serial 1, and"):
        device.updater().run()
    assert device.in_use() == "new"


def test_frozen_channel_is_reported_while_nothing_changes(device: Device) -> None:
    device.updater().run()
    device.now = NOW + timedelta(days=60)
    result = device.updater().run()
    assert not result.updated and "statement expired on 2026-02-08" in result.text
    assert device.in_use() == "new"


@pytest.mark.parametrize(
    ("channel", "deployment", "reason"),
    [
        ("stable", "prod/123456789012/us-east-2", "is of deployment 'prod/"),
        ("candidate", None, "speaks of channel 'candidate'"),
    ],
)
def test_statement_of_another_deployment_or_channel_is_refused(
    device: Device, channel: str, deployment: str | None, reason: str
) -> None:
    given: dict[str, Any] = {"deployment": deployment} if deployment else {}
    device.bucket.point("new", 5, channel=channel, **given)
    device.bucket.objects["channels/stable.json"] = device.bucket.objects[
        f"channels/{channel}.json"
    ]
    with pytest.raises(StatementError, match=reason):
        device.updater().run()
    assert device.in_use() == "old"


def test_statement_of_a_foreign_key_is_refused(device: Device) -> None:
    device.bucket.key = Key()
    device.bucket.publish("new", NEW)
    device.bucket.point("new", 5)
    with pytest.raises(StatementError, match="no signature of a trusted key"):
        device.updater().run()
    assert device.in_use() == "old"


def test_rotated_key_is_followed_and_pinned(device: Device) -> None:
    device.bucket.rotate()
    device.bucket.publish("new", NEW)
    device.bucket.point("new", 5)
    assert device.updater().run().updated
    assert pinned(device.folder).keys[-1] == pem(device.bucket.key)
    # From now on the old key's statements are refused.
    assert len(pinned(device.folder).keys) == 2


def test_rotation_that_the_old_key_did_not_sign_is_refused(device: Device) -> None:
    old = device.bucket.rotate()
    key = rotation_key(fingerprint(pem(old)))
    document = json.loads(device.bucket.objects[key])
    document["signatures"][0]["sig"] = "AAAA"
    device.bucket.objects[key] = json.dumps(document).encode()
    device.bucket.publish("new", NEW)
    device.bucket.point("new", 5)
    with pytest.raises(TrustError, match="no change of keys to follow"):
        device.updater().run()
    assert device.in_use() == "old"


@pytest.mark.parametrize(
    ("hailo", "reason"),
    [
        (HailoVersions(), "HailoRT is not installed: sudo apt install hailo-all"),
        (
            HailoVersions("hailo8l", "", "4.20.0", "4.19.0", "4.20.0", "4.20.0"),
            "library is 4.20.0, its driver 4.19.0: sudo apt update && "
            "sudo apt install --reinstall hailo-dkms",
        ),
        (
            HailoVersions("hailo10h", "", "4.20.0", "4.20.0", "4.20.0", "4.20.0"),
            "the chip is a hailo10h, releases are compiled for hailo8l",
        ),
    ],
    ids=["no HailoRT", "driver differs", "another chip"],
)
def test_release_that_cannot_run_here_is_refused_before_a_file_is_fetched(
    device: Device, hailo: HailoVersions, reason: str
) -> None:
    files = {"model.hef": b"\x01HEF" * 100, **{k: v for k, v in NEW.items() if "onnx" not in k}}
    device.bucket.publish("chip", files)
    device.bucket.point("chip", 5)
    device.hailo = hailo
    device.bucket.sent.clear()
    with pytest.raises(PreflightError, match=reason):
        device.updater().run()
    assert not any(name in key for key in device.bucket.sent for name in files)
    assert device.in_use() == "old"


def test_release_of_another_contract_is_refused(device: Device) -> None:
    contract = json.loads(device.bucket.objects["releases/new/manifest.json"])["contract"]
    device.bucket.publish("bgr", NEW, contract={**contract, "channels": "BGR"})
    device.bucket.point("bgr", 5)
    with pytest.raises(ManifestError, match="channels is 'BGR'"):
        device.updater().run()
    assert device.in_use() == "old"


def test_release_without_reference_views_is_refused(device: Device) -> None:
    device.bucket.publish("bare", {k: v for k, v in NEW.items() if k != "reference_views.npz"})
    device.bucket.point("bare", 5)
    with pytest.raises(ManifestError, match=r"has no reference_views\.npz"):
        device.updater().run()


def test_release_that_fails_its_self_test_is_not_tried_again(device: Device) -> None:
    def fails(release: Path) -> int:
        raise SelfTestError("self-test: view 0: answers base1-2, stated is base1-1")

    device.test = fails
    with pytest.raises(SelfTestError, match="the release in use stays, and this one is not tried"):
        device.updater().run()
    assert device.in_use() == "old"
    (refusal,) = read_record(device.folder).refused.values()
    assert refusal.release == "new" and "view 0" in refusal.reason
    device.test, device.tested = (lambda release: 8), []
    assert device.updater().run().text == "nothing new"
    # A renewed statement of the same release does not change it either.
    device.bucket.point("new", 3)
    assert "stays refused" in device.updater().run().text
    assert not device.tested and len(list(device.folder.releases.iterdir())) == 1


def test_refused_release_is_tried_again_when_it_changes_or_is_asked_for(device: Device) -> None:
    def fails(release: Path) -> int:
        raise SelfTestError("self-test: differs")

    device.test = fails
    with pytest.raises(SelfTestError):
        device.updater().run()
    device.test = lambda release: 8
    assert device.updater(retry=True).run().updated
    assert not read_record(device.folder).refused


def test_refused_release_is_tried_again_with_another_runtime(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(release: Path) -> int:
        raise SelfTestError("self-test: differs")

    device.test = fails
    with pytest.raises(SelfTestError):
        device.updater().run()
    device.test = lambda release: 8
    assert not device.updater().run().updated
    monkeypatch.setattr(updating, "runtime_version", lambda name: f"{name} 99.0")
    assert device.updater().run().updated


def test_postponed_self_test_is_tried_with_the_next_update(device: Device) -> None:
    def busy(release: Path) -> int:
        raise SelfTestPostponedError("self-test: another program uses the chip")

    device.test = busy
    with pytest.raises(SelfTestPostponedError):
        device.updater().run()
    assert device.in_use() == "old" and not read_record(device.folder).refused
    device.test = lambda release: 8
    device.bucket.sent.clear()
    assert device.updater().run().updated
    assert not any("model" in key for key in device.bucket.sent), "fetched again"


def test_ordered_rollback_needs_no_download(device: Device) -> None:
    device.updater().run()
    device.bucket.point("old", 3)
    device.bucket.asked.clear()
    result = device.updater().run()
    assert result.updated and result.fetched == 0
    assert (device.in_use(), device.before) == ("old", "new")
    assert dict(device.bucket.asked) == {"channels/stable.json": 1}


def test_rolled_back_release_is_not_taken_again(device: Device) -> None:
    device.updater().run()
    assert roll_back(device.folder, device.trusted, "blurred", NOW, by_hand=True) == "old"
    assert (device.in_use(), device.before) == ("old", None)
    device.bucket.point("new", 3)
    assert "stays refused (blurred)" in device.updater().run().text
    with pytest.raises(DownloadError, match="no release before"):
        roll_back(device.folder, device.trusted, "again", NOW)


def test_release_that_was_damaged_on_the_disk_is_brought_again(device: Device) -> None:
    device.updater().run()
    current = device.folder.linked(CURRENT)
    assert current is not None
    damaged = current / "model.int8.onnx"
    damaged.chmod(0o644)
    damaged.write_bytes(b"\0" * damaged.stat().st_size)
    assert device.updater().run().updated
    assert device.in_use() == "new"


def test_only_a_share_of_devices_takes_part_in_a_gradual_rollout(device: Device) -> None:
    device.bucket.state("new", 3, rollout=0)
    assert "rolled out to 0 %" in device.updater().run().text
    assert device.in_use() == "old"
    device.bucket.state("new", 4, rollout=100)
    assert device.updater().run().updated


def test_device_without_a_release_does_not_wait_for_its_share(
    device: Device, tmp_path: Path
) -> None:
    fresh = Device.set_up(tmp_path / "fresh", device.bucket)
    device.bucket.state("new", 3, rollout=0)
    assert fresh.updater().run().updated
    assert fresh.in_use() == "new"


def test_full_disk_is_told_before_anything_is_fetched(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    statvfs = os.statvfs

    def full(path: Path) -> os.statvfs_result:
        values = list(statvfs(path))
        values[4] = 1000  # f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", full)
    device.bucket.sent.clear()
    with pytest.raises(DownloadError, match=r"are free on the disk .* Nothing was fetched"):
        device.updater().run()
    assert not any("model" in key for key in device.bucket.sent)
    assert device.in_use() == "old"


def test_two_updates_at_once_are_refused(device: Device) -> None:
    with (
        device.folder.locked("update", wait=False),
        pytest.raises(StateError, match="another update is running"),
    ):
        device.updater().run()


def test_damaged_record_is_set_aside(device: Device) -> None:
    (device.folder.root / "record.json").write_bytes(b"\0\0\0")
    assert device.updater().run().updated
    assert (device.folder.root / "record.json.damaged").exists()
    assert read_record(device.folder).serials == {"stable": 2}


def test_nothing_is_left_of_what_is_not_needed(device: Device, bucket: DeviceBucket) -> None:
    for serial, release in enumerate(("new", "third", "fourth"), 2):
        bucket.publish(release, {**NEW, "metadata.json": release.encode()})
        bucket.point(release, serial)
        device.updater().run()
    assert (device.in_use(), device.before) == ("fourth", "third")
    assert len(list(device.folder.releases.iterdir())) == 2
    assert len(list(device.folder.blobs.iterdir())) == len(NEW) + 1
    assert not list(device.folder.incoming.iterdir())
