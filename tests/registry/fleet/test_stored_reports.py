"""Reports are read newest first, up to a limit; what is none is named and keeps none back."""

from __future__ import annotations

from registry.fleet.device_report import REPORT_LIMIT
from registry.fleet.stored_reports import read_report, read_reports
from tests.registry.fleet.device_reports import device_report
from tests.registry.memory_aws import RELEASES, MemoryAws


def stored(*devices: str) -> MemoryAws:
    aws = MemoryAws()
    for device in devices:
        write(aws, f"devices/{device}/status.json", device_report(device).to_bytes())
    return aws


def write(aws: MemoryAws, key: str, body: bytes) -> None:
    aws.client("s3").put_object(Bucket=RELEASES, Key=key, Body=body)


def test_reports_are_read_by_device_with_the_time_of_s3() -> None:
    aws = stored("shop-2", "shop-1")
    found = read_reports(aws.client("s3"), RELEASES)
    assert [each.report.device for each in found.stored] == ["shop-1", "shop-2"]
    assert found.stored[1].written < found.stored[0].written
    assert (found.unreadable, found.left_out) == ({}, 0)


def test_what_is_no_report_is_named_and_the_others_are_read() -> None:
    aws = stored("shop-1")
    write(aws, "devices/shop-2/status.json", b"{")
    write(aws, "devices/shop-3/status.json", device_report("shop-1").to_bytes())
    write(aws, "devices/shop-4/status.json", b" " * (REPORT_LIMIT + 1))
    write(aws, "devices/shop-5/other.json", b"{}")
    calls = aws.calls
    found = read_reports(aws.client("s3"), RELEASES)
    assert aws.calls - calls == 1 + 3, "what is too long by the list is not asked for"
    assert [each.report.device for each in found.stored] == ["shop-1"]
    reasons = {key.split("/")[1]: why for key, why in found.unreadable.items()}
    assert reasons.pop("shop-2").startswith("is no device's report (is not JSON")
    assert reasons == {
        "shop-3": "is a report of shop-1",
        "shop-4": f"is longer than {REPORT_LIMIT} bytes",
        "shop-5": "has no device's name",
    }


def test_newest_reports_are_read_up_to_the_limit() -> None:
    aws = stored("shop-1", "shop-2", "shop-3")
    write(aws, "devices/shop-1/status.json", device_report("shop-1", serial=9).to_bytes())
    found = read_reports(aws.client("s3"), RELEASES, limit=2)
    assert [each.report.device for each in found.stored] == ["shop-1", "shop-3"]
    assert found.left_out == 1


def test_device_without_a_report_has_none() -> None:
    assert read_report(stored("shop-1").client("s3"), RELEASES, "shop-2") is None
