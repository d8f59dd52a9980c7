"""How many devices follow each channel, in words, from what devices report of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from registry.channels import CHANNELS

if TYPE_CHECKING:
    from registry.fleet.stored_reports import FleetReports, StoredReport

#: A device that reports does so once a day at least.
RECENT = timedelta(days=1)
NO_REPORTS_KEPT = (
    "How many devices follow a channel is not known: this deployment keeps no device reports "
    "(cards.devices is false)."
)


def of_a_job(label: str) -> str:
    """What the page of a training job says, which may not read what devices report."""
    return (
        "How many devices follow each channel is not on this page, because a training job may not "
        f"read what devices report: cards report {label} shows it."
    )


def followers(found: FleetReports, now: datetime) -> str:
    """How many devices follow each channel, and how many of them reported within a day.

    Args:
        found: The newest reports.
        now: With its time zone.
    """
    read = len(found.stored) + len(found.unreadable)
    if not read:
        return "No device has reported, so how many devices follow a channel is not known."
    declared = [channel.name for channel in CHANNELS]
    said = [_of_channel(name, _following(found.stored, name), now) for name in declared]
    others = sum(each.report.channel not in declared for each in found.stored)
    if others:
        said.append(f"{_devices(others)} a channel that this deployment does not have")
    counted = f"{', '.join(said[:-1])} and {said[-1]}"
    text = f"By what devices report, {counted}."
    if found.left_out:
        text = (
            f"More than {read:,} devices have reported. Of the {read:,} that reported last, "
            f"{counted}; {found.left_out:,} older reports were not read."
        )
    if found.unreadable:
        count = len(found.unreadable)
        text += f" {count:,} {'report' if count == 1 else 'reports'} cannot be read."
    return f"{text} Devices that are not set up to report are not counted."


def _following(stored: Sequence[StoredReport], channel: str) -> list[StoredReport]:
    return [each for each in stored if each.report.channel == channel]


def _of_channel(channel: str, stored: Sequence[StoredReport], now: datetime) -> str:
    if not stored:
        return f"no device follows {channel}"
    recent = sum(now - each.written <= RECENT for each in stored)
    return f"{_devices(len(stored))} {channel} ({recent:,} reported within a day)"


def _devices(count: int) -> str:
    return "1 device follows" if count == 1 else f"{count:,} devices follow"
