"""Reports as devices write them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from registry.fleet.device_report import DeviceReport, SelfTestResult
from tests.registry.releases.signed_releases import NOW

DIGEST = "ab" * 32
PASSED = SelfTestResult("new", DIGEST, True)
FAILED = SelfTestResult("new", DIGEST, False, "self-test: view 3 is base1-7, stated base1-4")


def device_report(device: str = "shop-12", **changes: Any) -> DeviceReport:
    made = DeviceReport(
        device=device,
        channel="stable",
        serial=7,
        release="new",
        previous="old",
        runtime="ONNX Runtime 1.32.0",
        self_test=PASSED,
        update_error="",
        client="cards-edge 0.1.0",
        at=NOW,
    )
    return replace(made, **changes)
