"""A device with a release that really recognises: self-test, answers, watchdog, damage."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.cli.main import main
from edge.guarded_recogniser import GuardedRecogniser
from edge.selftest.child import SelfTestError, self_test
from edge.selftest.reference_run import run
from edge.state.folder import CURRENT, StateError
from edge.state.record import read_record
from edge.watchdog import FAILURES, STARTS, Watchdog
from recognition.onnx_model import OnnxModelError
from recognition.recogniser import Recogniser
from recognition.reference_views import read_reference_views, write_reference_views
from registry.telemetry import enabled_reports
from tests.edge.device import Device, DeviceBucket, working_files
from tests.registry.releases.signed_releases import NOW


@pytest.fixture(scope="module")
def files() -> tuple[dict[str, bytes], dict[str, bytes]]:
    return working_files(), working_files(tint=1)


@pytest.fixture
def device(tmp_path: Path, files: tuple[dict[str, bytes], dict[str, bytes]]) -> Device:
    """Runs ``second``; ``first`` is before it."""
    bucket = DeviceBucket()
    made = Device.set_up(tmp_path, bucket)
    made.test = lambda release: _tested(release)
    for serial, (release, content) in enumerate(zip(("first", "second"), files, strict=True), 1):
        bucket.publish(release, content, acceptance_threshold=0.9)
        bucket.point(release, serial)
        assert made.updater().run().updated
    return made


def _tested(release: Path) -> int:
    result = run(release)
    if result["faults"]:
        raise SelfTestError(f"self-test: {'; '.join(result['faults'])}")
    return int(result["views"])


def images(device: Device) -> np.ndarray:
    current = device.folder.linked(CURRENT)
    assert current is not None
    return read_reference_views(current / "reference_views.npz").views


@pytest.mark.processes
def test_self_test_in_a_process_of_its_own_passes(device: Device) -> None:
    current = device.folder.linked(CURRENT)
    assert current is not None
    assert self_test(current) == 6


@pytest.mark.processes
def test_self_test_that_hangs_or_crashes_says_so(device: Device) -> None:
    current = device.folder.linked(CURRENT)
    assert current is not None
    with pytest.raises(SelfTestError, match=r"did not end within 0\.01 s"):
        self_test(current, seconds=0.01)
    (device.folder.root / "manifest.json").write_text("[]")
    with pytest.raises(SelfTestError, match=r"ended with code 1 \(registry\.releases\.manifest"):
        self_test(device.folder.root)


def test_release_whose_model_answers_differently_is_refused_with_the_difference(
    device: Device, files: tuple[dict[str, bytes], dict[str, bytes]], tmp_path: Path
) -> None:
    """As a runtime does that takes the channels in another order."""
    path = tmp_path / "reference_views.npz"
    path.write_bytes(files[1]["reference_views.npz"])
    stated = read_reference_views(path)
    swapped = replace(stated, views=np.ascontiguousarray(stated.views[..., ::-1]))
    write_reference_views(path, swapped)
    mixed = {**files[1], "reference_views.npz": path.read_bytes()}
    device.bucket.publish("mixed", mixed, acceptance_threshold=0.9)
    device.bucket.point("mixed", 3)
    with pytest.raises(SelfTestError, match=r"mean cosine .* is required; .*view \d"):
        device.updater().run()
    assert device.in_use() == "second"


def test_known_card_is_named_and_unknown_one_is_not(device: Device) -> None:
    recogniser = GuardedRecogniser(device.folder)
    found = [recogniser.recognise(image).card_id for image in images(device)]
    assert found == ["base1-0", "base1-3", "base1-6", "base1-9", None, None]
    health = read_record(device.folder).health
    assert health.confirmed and health.release.startswith("second-")


def test_device_without_a_release_says_what_to_do(tmp_path: Path) -> None:
    device = Device.set_up(tmp_path, DeviceBucket())
    with pytest.raises(StateError, match="no release yet: cards-edge update"):
        GuardedRecogniser(device.folder)


def test_model_that_keeps_failing_is_left_for_the_release_before(device: Device) -> None:
    recogniser = GuardedRecogniser(device.folder, load=_failing("second", OnnxModelError("broken")))
    image = images(device)[0]
    for _ in range(FAILURES - 1):
        with pytest.raises(OnnxModelError):
            recogniser.recognise(image)
    assert device.in_use() == "second"
    recogniser.recognise(image)
    assert device.in_use() == "first" and recogniser.release == "first"
    assert recogniser.notes == [
        f"went back to first: {FAILURES} failures in a row, the last: broken"
    ]
    (refusal,) = read_record(device.folder).refused.values()
    assert refusal.release == "second" and "broken" in refusal.reason


def test_answer_between_failures_keeps_the_release(device: Device) -> None:
    watchdog = Watchdog(device.folder)
    for _ in range(3 * FAILURES):
        assert watchdog.failed("once") is None
        watchdog.answered()
    assert device.in_use() == "second"


def test_starts_without_an_answer_lead_back(device: Device) -> None:
    watchdog = Watchdog(device.folder)
    for _ in range(STARTS):
        assert watchdog.started() is None
    assert watchdog.started() == f"went back to first: {STARTS} starts without an answer"
    assert device.in_use() == "first"
    # There is nothing further back: it keeps trying.
    for _ in range(3 * STARTS):
        assert watchdog.started() is None


def test_confirmed_release_may_be_started_as_often_as_one_likes(device: Device) -> None:
    watchdog = Watchdog(device.folder)
    watchdog.answered()
    before = (device.folder.root / "record.json").stat().st_mtime_ns
    for _ in range(3 * STARTS):
        assert watchdog.started() is None
        watchdog.answered()
    assert (device.folder.root / "record.json").stat().st_mtime_ns == before, "written again"


def test_damaged_release_is_left_and_brought_again(device: Device) -> None:
    current = device.folder.linked(CURRENT)
    assert current is not None
    (current / "embeddings.npy").write_bytes(b"\0" * 100)
    recogniser = GuardedRecogniser(device.folder)
    assert recogniser.release == "first" and "went back to first" in recogniser.notes[0]
    assert not read_record(device.folder).refused
    assert device.updater().run().updated
    assert device.in_use() == "second" and recogniser.refresh() and recogniser.release == "second"


def test_manifest_that_was_changed_on_the_disk_is_not_used(device: Device) -> None:
    current = device.folder.linked(CURRENT)
    assert current is not None
    manifest = json.loads((current / "manifest.json").read_text())
    manifest["acceptance_threshold"] = 0.0
    (current / "manifest.json").write_text(json.dumps(manifest))
    assert GuardedRecogniser(device.folder).release == "first"


def test_disk_that_cannot_be_written_keeps_nobody_from_recognising(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*ignored: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("edge.state.folder.StateFolder.write", read_only)
    assert GuardedRecogniser(device.folder).recognise(images(device)[0]).card_id == "base1-0"
    monkeypatch.setattr("os.open", read_only)
    assert Watchdog(device.folder).failed("x") is None


def test_device_recognises_without_network_home_or_right_clock(
    device: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is asked and nothing is reported: every connection is an error here."""

    def refused(*ignored: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refused)
    monkeypatch.setattr("socket.getaddrinfo", refused)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setattr("edge.cli.status.utc_now", lambda: NOW - timedelta(days=20_000))
    Image.fromarray(images(device)[0]).save(tmp_path / "card.png")
    state = ["--state", str(device.folder.root)]
    assert main(["recognise", *state, str(tmp_path / "card.png")]) == 0
    assert "base1-0" in capsys.readouterr().out
    assert main(["status", *state]) == 0
    assert enabled_reports(os.environ) == []


def test_command_recognises_files_folders_and_standard_input(
    device: Device,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(images(device)[:2]):
        Image.fromarray(image).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image either")
    state = ["--state", str(device.folder.root)]
    assert main(["recognise", "--json", *state, str(folder)]) == 1
    shown = capsys.readouterr()
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert [row["card_id"] for row in rows] == ["base1-0", "base1-3"]
    assert {row["release"] for row in rows} == {"second"}
    assert "broken.png: not a PNG" in shown.err and "notes" not in shown.err
    content = io.BytesIO((folder / "1.png").read_bytes())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
    assert main(["recognise", *state, "-"]) == 0
    assert capsys.readouterr().out.startswith("-: base1-3 (1.0")


def test_status_and_rollback_tell_what_runs(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ["--state", str(device.folder.root)]
    assert main(["status", "--json", *state]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["release"] == "second" and document["previous"] == "first"
    assert document["runtime"].startswith("ONNX Runtime 1.")
    assert document["state"] == "self-test passed, not used yet"
    assert main(["rollback", "--reason", "blurred", *state]) == 0
    assert capsys.readouterr().out == "in use: first\n"
    assert main(["status", *state]) == 0
    shown = capsys.readouterr().out
    assert "release     first" in shown and "refused     second: blurred" in shown
    assert main(["rollback", *state]) == 1
    assert "no release before the one in use" in capsys.readouterr().err


def _failing(release: str, error: Exception) -> Callable[..., Recogniser]:
    """Loads what is there; the model of one release fails to run."""
    from edge.guarded_recogniser import load_current

    class Failing:
        def embed(self, squares: np.ndarray) -> np.ndarray:
            raise error

    def load(folder: object) -> Recogniser:
        found = load_current(folder)  # type: ignore[arg-type]
        if found.release == release:
            found._embedder = Failing()
        return found

    return load
