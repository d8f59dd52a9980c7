"""A device reports what it runs: once asked to, at once after a change, else once a day."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from edge.cli.main import main
from edge.cli.update import REPORT_VARIABLE
from edge.selftest.child import SelfTestError
from edge.state.record import Record, read_record
from edge.stored_release import pinned
from edge.update.reporting import (
    EVERY,
    Reporter,
    ReportError,
    is_due,
    public_reason,
    without_places,
)
from edge.update.updating import Updater
from registry.fleet.device_report import DeviceReport, SelfTestResult, parse_report
from registry.releases.manifest import sha256
from registry.releases.pull.bounded_transfer import Transfers
from registry.releases.pull.download import ReleaseSource
from registry.releases.pull.pulled_folder import DownloadError
from tests.edge.device import Device
from tests.registry.releases.signed_releases import NOW, fits

KEY = "devices/shop-12/status.json"


def reporter(device: Device, name: str = "shop-12") -> Reporter:
    source = ReleaseSource(
        device.bucket, pinned(device.folder), fits, Transfers(), lambda: device.now  # type: ignore[arg-type]
    )  # fmt: skip
    return Reporter(device.folder, source, "stable", "cards-edge 0.1.0", name)


def written(device: Device) -> DeviceReport:
    return parse_report(device.bucket.objects[KEY], "shop-12")


def test_report_says_what_runs_and_how_the_update_ended(device: Device) -> None:
    device.updater().run()
    assert reporter(device).report(None)
    found = written(device)
    digest = sha256(device.bucket.objects["releases/new/manifest.json"])
    assert found.self_test == SelfTestResult("new", digest, passed=True)
    assert found.runtime is not None and found.runtime.startswith("ONNX Runtime ")
    assert (found.release, found.previous, found.serial) == ("new", "old", 2)
    assert (found.update_error, found.channel, found.at) == ("", "stable", NOW)
    assert set(json.loads(device.bucket.objects[KEY])) == {
        "schema", "device", "channel", "serial", "release", "previous", "runtime", "self_test",
        "update_error", "client", "at",
    }  # fmt: skip


def test_unchanged_device_reports_once_a_day(device: Device) -> None:
    device.updater().run()
    assert reporter(device).report(None)
    device.now += EVERY - timedelta(seconds=1)
    assert not reporter(device).report(None)
    device.now += timedelta(seconds=1)
    assert reporter(device).report(None)
    assert device.bucket.written == [KEY, KEY]


def test_failed_self_test_is_reported_at_once_with_its_reason(device: Device) -> None:
    reporter(device).report(None)

    def fails(release: Path) -> int:
        raise SelfTestError(f"self-test: ended with code 1 (in {release}/model.int8.onnx)")

    device.test = fails
    with pytest.raises(SelfTestError) as error:
        device.updater().run()
    assert reporter(device).report(error.value)
    found = written(device)
    assert found.self_test is not None and not found.self_test.passed
    assert found.self_test.reason == "self-test: ended with code 1 (in …)"
    assert (found.release, found.self_test.release) == ("old", "new")
    assert "not tried again" in found.update_error and str(device.folder.root) not in (
        device.bucket.objects[KEY].decode()
    )


@pytest.mark.parametrize("error", [
    ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "PutObject"),
    EndpointConnectionError(endpoint_url="https://s3"),
    OSError(28, "No space left on device"),
])  # fmt: skip
def test_report_that_cannot_be_written_is_tried_again_and_stops_nothing(
    device: Device, error: Exception, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fails(**ignored: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(device.bucket, "put_object", fails)
        with pytest.raises(ReportError, match="the report was not written"):
            reporter(device).report(None)
        use_device(patch, device)
        patch.setenv(REPORT_VARIABLE, "1")
        assert main(["update", "--state", str(device.folder.root)]) == 0
    shown = capsys.readouterr()
    assert "updated to new" in shown.out and shown.err.count("the report was not written") == 1
    assert reporter(device).report(None)


@pytest.mark.parametrize(("variable", "flags", "reports"), [
    ("", [], 0), ("0", [], 0), ("1", [], 1), ("", ["--report"], 1), ("1", ["--no-report"], 0),
])  # fmt: skip
def test_device_reports_only_when_it_was_asked_to(
    device: Device, monkeypatch: pytest.MonkeyPatch, variable: str, flags: list[str], reports: int
) -> None:
    monkeypatch.setenv(REPORT_VARIABLE, variable)
    use_device(monkeypatch, device)
    assert main(["update", "--state", str(device.folder.root), *flags]) == 0
    assert device.bucket.written == [KEY] * reports
    assert bool(read_record(device.folder).reported) is bool(reports)


def test_update_that_is_refused_is_reported_and_keeps_its_error(
    device: Device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_device(monkeypatch, device)
    device.bucket.objects["releases/new/metadata.json"] = b"{}"
    assert main(["update", "--report", "--state", str(device.folder.root)]) == 1
    assert "is not the file that was signed" in capsys.readouterr().err
    assert written(device).update_error.startswith("releases/new/metadata.json: is not the file")


def use_device(patch: pytest.MonkeyPatch, device: Device) -> None:
    """Lets the command work with a device's bucket, self-test, clock and name."""
    made = Updater.__init__

    def init(self: Updater, *given: Any, **more: Any) -> None:
        given[1].now = lambda: NOW
        made(self, *given, **{**more, "test": lambda release: 8})

    patch.setattr("edge.update.updating.Updater.__init__", init)
    patch.setattr("edge.update.s3_client.s3_client", lambda region: device.bucket)
    patch.setenv("CARDS_EDGE_DEVICE", "shop-12")


def test_device_with_a_name_that_is_no_key_s_part_says_so(
    device: Device,
) -> None:
    with pytest.raises(ReportError, match=r"CARDS_EDGE_DEVICE='shop/\.\./12'"):
        reporter(device, "shop/../12").report(None)
    assert not device.bucket.written


@pytest.mark.parametrize(("error", "said"), [
    (DownloadError("r: needs 5 MiB, free on the disk of /home/ann/cards; make room"),
     "r: needs 5 MiB, free on the disk of …; make room"),
    (OSError(13, "Permission denied", "/home/ann"), "PermissionError"),
    (ValueError("ann@shop.example"), "ValueError"),
])  # fmt: skip
def test_reason_names_no_place_and_no_stranger_s_words(error: Exception, said: str) -> None:
    assert public_reason(error) == said


def test_place_is_left_out_in_every_form() -> None:
    places = ["/etc/x", "s3://b/k", "https://h.example:8/x?y=1", "10.1.2.3", "fe80::1:2:3:4",
              os.uname().nodename]  # fmt: skip
    for place in places:
        assert without_places(f"at {place}, then") == "at …, then", place
    kept = "releases/x/model.int8.onnx: HailoRT 4.20.0, driver 4.19.0, 3/4 of 12:30"
    assert without_places(kept) == kept


@given(st.timedeltas(timedelta(days=-9), timedelta(days=9)))
def test_report_is_due_after_a_day_and_with_a_clock_that_was_set_back(passed: timedelta) -> None:
    record = Record(reported=NOW.isoformat(), reported_state="a")
    assert is_due(record, "a", NOW + passed) is not (timedelta(0) <= passed < EVERY)
    assert is_due(record, "b", NOW + passed) and is_due(Record(), "a", NOW + passed)
