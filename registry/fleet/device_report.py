"""A device's report of itself: one small JSON object, written by the device and by no other.

It says what runs there and how the last update ended, and nothing of people, images or the network.
Whoever reads one checks each field: a device in a shop can be opened and made to say anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from registry.names import DEVICE_STATUS, DEVICES_PREFIX, is_release_id
from registry.releases.statement import SERIAL_LIMIT
from registry.untrusted.json_object import parse_object
from registry.untrusted.object_fields import moment, text, whole_number
from registry.untrusted.text import one_line, shortened

SCHEMA = 1
#: The most bytes of a report.
REPORT_LIMIT = 8 * 1024
#: The most characters of a reason, and of a name with its version.
REASON_LIMIT, NAME_LIMIT = 300, 100
#: As AWS IoT names things, so that a certificate's thing and a device are one name.
_DEVICE = re.compile(r"[A-Za-z0-9:_-]{1,128}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class DeviceReportError(ValueError):
    """Bytes that are no device's report; says why."""


@dataclass(frozen=True)
class SelfTestResult:
    """How the last self-test of a device ended.

    Attributes:
        release: The release that was tested.
        manifest_sha256: Hex digest of its manifest: an id may be published again.
        passed: Whether its answers were those that were stated.
        reason: Why not; empty where it passed.
    """

    release: str
    manifest_sha256: str
    passed: bool
    reason: str = ""


@dataclass(frozen=True)
class DeviceReport:
    """What a device says of itself.

    Attributes:
        device: Its id.
        channel: The channel that it follows.
        serial: The highest serial of that channel that it has seen; 0 for none.
        release: The release in use; None for none.
        previous: The release before; None for none.
        runtime: Name and version of what runs the release; None without one.
        self_test: The last self-test; None before the first.
        update_error: Why the last update failed; empty where it did not.
        client: Name and version of the program.
        at: The device's own clock, UTC, whole seconds.
    """

    device: str
    channel: str
    serial: int
    release: str | None
    previous: str | None
    runtime: str | None
    self_test: SelfTestResult | None
    update_error: str
    client: str
    at: datetime

    def to_bytes(self) -> bytes:
        """The object's content, at most :data:`REPORT_LIMIT` bytes."""
        at = self.at.astimezone(UTC).isoformat(timespec="seconds")
        return json.dumps({"schema": SCHEMA, **asdict(self), "at": at}, indent=2).encode()


def is_device_id(name: str) -> bool:
    """Whether a device may report under this name: 1 to 128 letters, digits and ``:_-``."""
    return _DEVICE.fullmatch(name) is not None


def report_key(device: str) -> str:
    """Where a device's report lies in the release bucket."""
    return f"{DEVICES_PREFIX}{device}/{DEVICE_STATUS}"


def device_of(key: str) -> str | None:
    """The device whose report lies at a key; None for any other key."""
    device = key.removeprefix(DEVICES_PREFIX).removesuffix(f"/{DEVICE_STATUS}")
    return device if is_device_id(device) and key == report_key(device) else None


def reason_line(reason: str) -> str:
    """A reason as a report holds it: one line of at most :data:`REASON_LIMIT` characters."""
    return shortened(one_line(reason), REASON_LIMIT)


def parse_report(body: bytes, device: str) -> DeviceReport:
    """Reads a report and checks each field.

    Args:
        body: The object's bytes.
        device: The device that the object's key names.

    Raises:
        DeviceReportError: It is too long, malformed, or of another device.
    """
    try:
        found = _report(parse_object(body, REPORT_LIMIT))
    except (ValueError, OverflowError) as error:
        raise DeviceReportError(f"is no device's report ({error})") from None
    if found.device != device:
        raise DeviceReportError(f"is a report of {found.device}")
    return found


def parse_self_test(document: object) -> SelfTestResult | None:
    """Reads the result of a self-test; None stands for none.

    Raises:
        ValueError: It is malformed.
    """
    if document is None:
        return None
    if not isinstance(document, Mapping):
        raise ValueError("self_test must be an object")
    release, digest = _release(document, "release"), document.get("manifest_sha256")
    passed = document.get("passed")
    if release is None:
        raise ValueError("self_test names no release")
    if not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
        raise ValueError("manifest_sha256 is no SHA-256 digest")
    if not isinstance(passed, bool):
        raise ValueError("passed must be true or false")
    return SelfTestResult(release, digest, passed, text(document, "reason", REASON_LIMIT, least=0))


def _report(document: Mapping[str, Any]) -> DeviceReport:
    whole_number(document, "schema", SCHEMA, SCHEMA)
    device = text(document, "device", NAME_LIMIT * 2)
    if not is_device_id(device):
        raise ValueError("device is no device's id")
    runtime = document.get("runtime")
    return DeviceReport(
        device=device,
        channel=text(document, "channel", NAME_LIMIT),
        serial=whole_number(document, "serial", 0, SERIAL_LIMIT),
        release=_release(document, "release"),
        previous=_release(document, "previous"),
        runtime=None if runtime is None else text(document, "runtime", NAME_LIMIT),
        self_test=parse_self_test(document.get("self_test")),
        update_error=text(document, "update_error", REASON_LIMIT, least=0),
        client=text(document, "client", NAME_LIMIT),
        at=moment(document, "at"),
    )


def _release(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is not None and not is_release_id(value):
        raise ValueError(f"{key} is no release's id")
    return value
