"""The device's report to its deployment, where its configuration asks for one.

One object, ``devices/<device id>/status.json`` in the release bucket: what runs here and how the
last update ended. Nothing of people, images, paths, names or addresses of machines goes into it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from edge.preflight.compatibility import PreflightError
from edge.rollback import iso, runtime_in_use
from edge.selftest.child import SelfTestError, SelfTestPostponedError
from edge.state.folder import CURRENT, PREVIOUS, StateError, StateFolder, release_id
from edge.state.record import Record, changed_record, read_record
from edge.stored_release import signed_manifest
from edge.update.rollout import DEVICE_VARIABLE, device_id
from registry.aws_errors import error_code
from registry.fleet.device_report import (
    DeviceReport,
    SelfTestResult,
    is_device_id,
    reason_line,
    report_key,
)
from registry.releases.manifest import ManifestError
from registry.releases.pull.download import ReleaseSource
from registry.releases.pull.pulled_folder import DownloadError
from registry.releases.signatures.trust import TrustError
from registry.releases.statement import StatementError

#: How often a device reports that nothing has changed.
EVERY = timedelta(days=1)
#: Errors whose words are this program's own.
_OWN = (
    *(DownloadError, ManifestError, PreflightError, SelfTestError, SelfTestPostponedError),
    *(StatementError, TrustError),
)
_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z][A-Za-z0-9+.-]*:/)?/[^\s'\"();,]+")
_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}")
_LEFT_OUT = "…"


class ReportError(RuntimeError):
    """A report that could not be written; the update has ended as it has."""


@dataclass(frozen=True)
class Reporter:
    """Reports of one device.

    Attributes:
        folder: The device's folder.
        source: Gives S3, the bucket and the clock.
        channel: The channel that the device follows.
        client: Name and version of this program.
        device: The device's id, which decides on a gradual roll-out too.
    """

    folder: StateFolder
    source: ReleaseSource
    channel: str
    client: str
    device: str = field(default_factory=device_id)

    def report(self, error: Exception | None) -> bool:
        """Writes a report if one is due; says whether it did.

        Args:
            error: What the update has failed with; None where it has not.

        Raises:
            ReportError: It could not be written; the next update tries again.
        """
        if not is_device_id(self.device):
            raise ReportError(
                f"{DEVICE_VARIABLE}={self.device!r} is no name to report under: set it to 1 to 128 "
                "letters, digits and :_-, as AWS IoT names the device"
            )
        made, now = self._made(error), self.source.now()
        state = _state(made)
        if not is_due(read_record(self.folder), state, now):
            return False
        bucket, key = self.source.trusted.bucket, report_key(self.device)
        try:
            self.source.s3.put_object(
                Bucket=bucket, Key=key, Body=made.to_bytes(), ContentType="application/json"
            )
            with changed_record(self.folder) as record:
                record.reported, record.reported_state = iso(now), state
        except ClientError as refused:
            raise ReportError(
                f"s3://{bucket}/{key}: the report was not written ({error_code(refused)}); the "
                "device needs s3:PutObject for its own report"
            ) from None
        except (BotoCoreError, OSError, StateError) as fault:
            raise ReportError(
                f"s3://{bucket}/{key}: the report was not written ({fault})"
            ) from None
        return True

    def _made(self, error: Exception | None) -> DeviceReport:
        record = read_record(self.folder)
        current, previous = self.folder.linked(CURRENT), self.folder.linked(PREVIOUS)
        manifest: dict[str, Any] = {}
        if current is not None:
            try:
                manifest, _ = signed_manifest(current, self.source.trusted)
            except ManifestError as fault:
                error = error or fault
        return DeviceReport(
            device=self.device,
            channel=self.channel,
            serial=record.serials.get(self.channel, 0),
            release=manifest.get("release"),
            previous=release_id(previous) if previous and previous != current else None,
            runtime=runtime_in_use(manifest) if manifest else None,
            self_test=_shown(record.self_test),
            update_error="" if error is None else reason_line(public_reason(error)),
            client=self.client,
            at=self.source.now(),
        )


def is_due(record: Record, state: str, now: datetime) -> bool:
    """Whether a report is to be written: something has changed, or the last one is a day old.

    Args:
        record: Says what was reported when.
        state: What would be reported now.
        now: The clock; one that was set back makes a report due.
    """
    if not record.reported or record.reported_state != state:
        return True
    last = datetime.fromisoformat(record.reported)
    return not last <= now < last + EVERY


def public_reason(error: Exception) -> str:
    """What a report says of an error: this program's own words, else the kind of error alone."""
    if isinstance(error, _OWN):
        return without_places(str(error))
    if isinstance(error, ClientError):
        return error_code(error)
    return type(error).__name__


def without_places(text: str) -> str:
    """Text without paths, addresses and this machine's name.

    >>> without_places("disk of /home/ann/cards is full (see s3://b/c), ask 10.0.0.7")
    'disk of … is full (see …), ask …'
    """
    machine = re.compile(rf"\b{re.escape(os.uname().nodename or 'localhost')}\b")
    for pattern in (_PATH, _ADDRESS, machine):
        text = pattern.sub(_LEFT_OUT, text)
    return text


def _shown(test: SelfTestResult | None) -> SelfTestResult | None:
    if test is None:
        return None
    reason = reason_line(without_places(test.reason))
    return SelfTestResult(test.release, test.manifest_sha256, test.passed, reason)


def _state(report: DeviceReport) -> str:
    """What makes a report due at once where it changes."""
    test = report.self_test
    return f"{report.release} {test and test.manifest_sha256} {test and test.passed}"
