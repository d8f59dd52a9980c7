"""A report reads back as it was written, and nothing else passes for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.fleet.device_report import (
    REASON_LIMIT,
    REPORT_LIMIT,
    DeviceReportError,
    device_of,
    is_device_id,
    parse_report,
    reason_line,
    report_key,
)
from tests.registry.fleet.device_reports import FAILED, device_report


@pytest.mark.parametrize("changes", [
    {},
    {"self_test": FAILED, "update_error": "x" * REASON_LIMIT},
    {"self_test": None, "release": None, "previous": None, "runtime": None, "serial": 0},
])  # fmt: skip
def test_report_reads_back_as_it_was_written(changes: dict[str, Any]) -> None:
    made = device_report(**changes)
    assert parse_report(made.to_bytes(), "shop-12") == made
    assert len(made.to_bytes()) <= REPORT_LIMIT


def test_report_of_another_device_is_refused() -> None:
    with pytest.raises(DeviceReportError, match="is a report of shop-12"):
        parse_report(device_report().to_bytes(), "shop-13")


def test_report_that_is_too_long_is_refused() -> None:
    body = device_report().to_bytes() + b" " * REPORT_LIMIT
    with pytest.raises(DeviceReportError, match=f"longer than {REPORT_LIMIT} bytes"):
        parse_report(body, "shop-12")


@pytest.mark.parametrize(("field", "value"), [
    ("schema", 2), ("schema", True), ("device", "a/b"), ("channel", ""), ("serial", -1),
    ("serial", True), ("release", "../x"), ("previous", 1), ("runtime", "\x1b[31m"),
    ("self_test", []), ("self_test", {}), ("update_error", None), ("client", "x" * 500),
    ("at", "2026-01-01T00:00:00"), ("at", "0001-01-01T00:00:00+23:00"),
])  # fmt: skip
def test_field_of_another_form_is_refused_by_its_name(field: str, value: object) -> None:
    document = {**json.loads(device_report().to_bytes()), field: value}
    with pytest.raises(DeviceReportError, match="is no device's report"):
        parse_report(json.dumps(document).encode(), "shop-12")


@given(st.text(max_size=140))
def test_key_names_its_device_and_no_other_key_does(name: str) -> None:
    if is_device_id(name):
        assert device_of(report_key(name)) == name and report_key(name).count("/") == 2
    else:
        assert device_of(report_key(name)) is None
    assert device_of(f"devices/{name}") is None


@given(st.text(max_size=2000))
def test_any_reason_becomes_a_line_that_a_report_takes(reason: str) -> None:
    made = device_report(update_error=reason_line(reason))
    assert parse_report(made.to_bytes(), "shop-12") == made
