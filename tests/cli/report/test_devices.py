"""The page says which channels move, and how many devices follow them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry.aws import objects_below
from registry.fleet import stored_reports
from registry.fleet.device_report import report_key
from registry.names import parameter_name
from registry.releases import channel_targets
from registry.releases.pointers import Hold, Pointer, hold, hold_key
from tests.cli.command import cards
from tests.cli.report.registered import LIVE, NEW, RELEASES, denied, register
from tests.registry.fleet.device_reports import device_report
from tests.reports import examples
from tests.reports.test_page import Read
from tests.running_cloud import Client


@contextmanager
def reporting(client: Client, *devices: str) -> Iterator[None]:
    """The deployment takes device reports, and these devices have written one."""
    ssm, s3 = client("ssm"), client("s3")
    parameter = parameter_name("dev", "rollout-failures")
    ssm.put_parameter(Name=parameter, Value="0.05", Type="String", Overwrite=True)
    for device in devices:
        body = device_report(device).to_bytes()
        s3.put_object(Bucket=RELEASES, Key=report_key(device), Body=body)
    try:
        yield
    finally:
        ssm.delete_parameter(Name=parameter)
        for entry in objects_below(s3, RELEASES, "devices/"):
            s3.delete_object(Bucket=RELEASES, Key=entry["Key"])


def test_page_says_how_many_devices_follow_each_channel(client: Client, tmp_path: Path) -> None:
    file, asked = tmp_path / "page.html", ("report", NEW, "--output", str(tmp_path / "page.html"))
    said = cards(*asked, "--json").json
    assert "this deployment keeps no device reports" in said["devices"]
    assert said["devices"] in Read(file.read_text()).text
    with reporting(client):
        assert cards(*asked, "--json").json["devices"].startswith("No device has reported")
    with reporting(client, "shop-1", "shop-2"):
        body = device_report("shop-3", channel="candidate").to_bytes()
        client("s3").put_object(Bucket=RELEASES, Key=report_key("shop-3"), Body=body)
        said = cards(*asked, "--json").json["devices"]
    assert (
        "1 device follows candidate (1 reported within a day) and 2 devices follow stable" in said
    )
    assert Read(file.read_text()).text.count(said) == 1, "a rejection changes nothing for devices"


def test_page_names_the_release_that_the_stable_channel_is_held_at(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3, key = client("s3"), hold_key("stable")
    held = f"{LIVE}.onnx-int8.0a1b2c3d"
    hold(s3, RELEASES, Hold(Pointer(held, "arn", LIVE), "ann", "2026-01-02T03:04:05", "tried"))
    file = tmp_path / "page.html"
    try:
        # Its release is not there, so the channel would move.
        assert cards("report", NEW, "--output", str(file)).code == 0
        assert "to the channels candidate and stable" in Read(file.read_text()).text
        monkeypatch.setattr(channel_targets, "valid", lambda deployment, pointer: True)
        assert cards("report", NEW, "--output", str(file)).code == 0
        assert f"a person holds stable at {held}" in Read(file.read_text()).text
        s3.put_object(Bucket=RELEASES, Key=key, Body=b"{")
        assert cards("report", NEW, "--output", str(file)).code == 0
        assert "to the channels candidate and stable" in Read(file.read_text()).text
    finally:
        s3.delete_object(Bucket=RELEASES, Key=key)


def test_page_of_somebody_who_may_not_read_reports_says_so(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_reports, "read_reports", denied)
    with reporting(client, "shop-1"):
        said = cards("report", NEW, "--output", str(tmp_path / "page.html"), "--json").json
    assert "may not read what devices report" in said["devices"]


def test_approval_does_not_depend_on_how_many_devices_report(
    client: Client, tmp_path: Path
) -> None:
    name, file = "student-j-stage2-v1", tmp_path / "page.html"
    register(client, name, examples.evidence())
    with reporting(client, "shop-1"):
        assert cards("report", name, "--output", str(file)).code == 0
        done = cards(
            "registry", "approve", name, "--override", "--reason", "good", "--page", str(file)
        )
    assert "1 device follows stable" in Read(file.read_text()).text
    assert done.code == 0 and "is not what the page" not in done.err, done.err
