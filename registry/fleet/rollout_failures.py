"""Whether a roll-out is halted: by the share of devices whose self-test of its release failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from registry.fleet.device_report import DeviceReport

#: Fewer devices say nothing about a release.
LEAST_DEVICES = 3


@dataclass(frozen=True)
class SelfTestCounts:
    """How many devices have tested a release.

    Attributes:
        tested: Devices whose last self-test was of it.
        failed: Those of them where it failed.
    """

    tested: int
    failed: int


def count_self_tests(reports: Iterable[DeviceReport], manifest_sha256: str) -> SelfTestCounts:
    """Counts the devices whose last self-test was of a release.

    Args:
        reports: One of each device.
        manifest_sha256: Hex digest of the release's manifest.
    """
    results = [
        report.self_test.passed
        for report in reports
        if report.self_test and report.self_test.manifest_sha256 == manifest_sha256
    ]
    return SelfTestCounts(len(results), results.count(False))


def is_halted(counts: SelfTestCounts, share: float) -> bool:
    """Whether a roll-out is halted: more than a share of at least three devices have failed.

    Args:
        counts: Of the roll-out's release.
        share: The largest share of failed devices that is accepted, 0 to 1.
    """
    # As it is written: 29 of 100 is not more than a share of 0.29.
    return counts.tested >= LEAST_DEVICES and counts.failed > Fraction(str(share)) * counts.tested
