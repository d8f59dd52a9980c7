"""The device's record: which statements it has seen, which releases it refuses, what has failed.

A damaged record is set aside: a device goes on with the statement beside its current release, so
that nobody has to log in.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from edge.state.folder import StateFolder
from registry.fleet.device_report import SelfTestResult, parse_self_test
from registry.untrusted.json_object import JsonObjectError, parse_object

_FILE, _DAMAGED = "record.json", "record.json.damaged"
_LIMIT = 256 * 1024
_SCHEMA = 1
#: Releases that are refused; the oldest are forgotten.
_REFUSED_LIMIT = 50


@dataclass
class Refusal:
    """Why a release is not tried again.

    Attributes:
        release: Its id.
        reason: One line.
        runtime: Name and version of what ran it; with another one it is tried again. Empty where
            that makes no difference.
        at: When, ISO 8601.
    """

    release: str
    reason: str
    runtime: str
    at: str


@dataclass
class Health:
    """How the current release has done since the switch.

    Attributes:
        release: Name of its folder; numbers of another one do not count.
        starts: Starts after which nothing was recognised yet.
        failures: Failed recognitions since the last good one.
        confirmed: Whether something was recognised with it.
    """

    release: str = ""
    starts: int = 0
    failures: int = 0
    confirmed: bool = False


@dataclass
class Record:
    """What a device remembers.

    Attributes:
        serials: The highest serial that was seen, by channel.
        etags: Of the channel object that was dealt with, by channel: nothing new where it is the
            same.
        refused: By SHA-256 of the manifest.
        health: Of the current release.
        checked: When the bucket has answered last, ISO 8601; empty before the first time.
        outcome: What came of the last update, one line.
        expires: When the newest statement expires, ISO 8601; empty before the first one.
        self_test: The last self-test; None before the first.
        reported: When the device has reported last, ISO 8601; empty for never.
        reported_state: What it was that was reported (:mod:`edge.update.reporting`).
    """

    serials: dict[str, int] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    checked: str = ""
    outcome: str = ""
    expires: str = ""
    self_test: SelfTestResult | None = None
    reported: str = ""
    reported_state: str = ""

    def forget_deployment(self) -> None:
        """Forgets what was seen of a deployment's channels: another one is pinned."""
        self.serials.clear()
        self.etags.clear()
        self.checked = self.expires = self.reported = ""
        self.self_test = None

    def refuse(self, manifest_sha256: str, refusal: Refusal) -> None:
        """Remembers that a release is not to be tried again."""
        self.refused.pop(manifest_sha256, None)
        self.refused[manifest_sha256] = refusal
        for oldest in list(self.refused)[:-_REFUSED_LIMIT]:
            del self.refused[oldest]


def read_record(folder: StateFolder) -> Record:
    """The record; an empty one where there is none or a damaged one."""
    try:
        with (folder.root / _FILE).open("rb") as file:
            document = parse_object(file.read(_LIMIT + 1), _LIMIT)
        return _parsed(document)
    except (OSError, JsonObjectError, ValueError, KeyError, TypeError, AttributeError):
        return Record()


@contextlib.contextmanager
def changed_record(folder: StateFolder) -> Iterator[Record]:
    """Gives the record to change, and writes it where the block ends well and has changed it.

    One process at a time changes it, and the links that go with it.

    Raises:
        OSError: The disk is full or refuses; the old record is there still.
    """
    with folder.locked("record", wait=True):
        path = folder.root / _FILE
        record = read_record(folder)
        before = _content(record)
        if record == Record() and path.exists():
            with contextlib.suppress(OSError):
                os.replace(path, folder.root / _DAMAGED)
            before = b""
        yield record
        if _content(record) != before:
            folder.write(path, _content(record))


def _content(record: Record) -> bytes:
    document = {"schema": _SCHEMA, **asdict(record)}
    return (json.dumps(document, sort_keys=True, indent=2) + "\n").encode()


def _parsed(document: dict[str, Any]) -> Record:
    if document["schema"] != _SCHEMA:
        raise ValueError(f"schema {document['schema']!r}")
    record = Record(
        serials={str(channel): _count(value) for channel, value in document["serials"].items()},
        etags={str(channel): str(etag) for channel, etag in document["etags"].items()},
        refused={
            str(digest): Refusal(**{name: str(value) for name, value in refusal.items()})
            for digest, refusal in document["refused"].items()
        },
        health=Health(**document["health"]),
        checked=str(document["checked"]),
        outcome=str(document["outcome"]),
        expires=_moment(document["expires"]),
        # Earlier versions wrote none of these.
        self_test=parse_self_test(document.get("self_test")),
        reported=_moment(document.get("reported", "")),
        reported_state=str(document.get("reported_state", "")),
    )
    _count(record.health.starts), _count(record.health.failures)
    return record


def _moment(value: object) -> str:
    text = str(value)
    if text and datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return text


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no number")
    return value
