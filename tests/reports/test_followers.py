"""How many devices follow each channel: counted by hand, in words, within a bound."""

from __future__ import annotations

from datetime import timedelta

from registry.fleet.stored_reports import FleetReports, StoredReport
from reports.followers import followers
from tests.registry.fleet.device_reports import device_report
from tests.registry.releases.signed_releases import NOW

ONLY = "Devices that are not set up to report are not counted."


def stored(device: str, channel: str = "stable", hours: int = 1) -> StoredReport:
    return StoredReport(device_report(device, channel=channel), NOW - timedelta(hours=hours))


def test_devices_are_counted_by_channel_and_by_when_they_reported() -> None:
    found = FleetReports(
        [stored(f"shop-{number}") for number in range(11)]
        + [stored("late", hours=25), stored("first", "candidate", 24), stored("odd", "<b>x</b>")]
    )
    assert followers(found, NOW) == (
        "By what devices report, 1 device follows candidate (1 reported within a day), 12 devices "
        "follow stable (11 reported within a day) and 1 device follows a channel that this "
        f"deployment does not have. {ONLY}"
    )


def test_a_large_fleet_is_counted_within_a_bound_and_said_to_be() -> None:
    found = FleetReports(
        [stored(f"shop-{number}") for number in range(199)], {"devices/a": "is none"}, 1_000
    )
    assert followers(found, NOW) == (
        "More than 200 devices have reported. Of the 200 that reported last, no device follows "
        "candidate and 199 devices follow stable (199 reported within a day); 1,000 older reports "
        f"were not read. 1 report cannot be read. {ONLY}"
    )


def test_without_reports_nothing_is_claimed() -> None:
    assert followers(FleetReports(), NOW).startswith("No device has reported")
    unreadable = followers(FleetReports(unreadable={"devices/a": "is none"}), NOW)
    assert "no device follows stable. 1 report cannot be read." in unreadable
