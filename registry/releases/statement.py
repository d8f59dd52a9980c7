"""The channel statement: where a channel points, signed, numbered and with an end.

It stands as a DSSE envelope in the channel's pointer object, so that pointer, history and statement
change in one write. A device that keeps the highest serial it has seen detects a channel that was
set back; one that looks at ``expires`` detects a channel that was frozen.

>>> from datetime import datetime, timedelta, timezone
>>> made = Statement(
...     channel="stable", deployment="dev/123456789012/us-east-2", serial=7,
...     release="student-efficientnet-lite0-stage2-v1.onnx-int8.0a1b2c3d",
...     manifest_sha256="0" * 64, issued=datetime(2026, 1, 1, tzinfo=timezone.utc),
...     expires=datetime(2026, 1, 31, tzinfo=timezone.utc))
>>> parse(made.payload(), "example") == made
True
>>> made.is_due(datetime(2026, 1, 20, tzinfo=timezone.utc))
False
>>> made.is_due(datetime(2026, 1, 22, tzinfo=timezone.utc))
True
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.names import is_release_id
from registry.releases.signatures.envelope import (
    Envelope,
    EnvelopeError,
    Sign,
    Verify,
    open_payload,
    seal,
)
from registry.releases.signatures.envelope import read as read_envelope
from registry.untrusted.json_object import parse_object
from registry.untrusted.object_fields import moment, text, whole_number

PAYLOAD_TYPE = "application/vnd.cards.channel-statement+json"
SCHEMA = 1
#: The field of the pointer object that holds the envelope.
STATEMENT = "statement"
#: All devices of a channel.
ALL_DEVICES = 100
#: JSON readers elsewhere hold integers exactly up to here.
SERIAL_LIMIT = 2**53
_PAYLOAD_LIMIT = 8 * 1024
_TEXT_LIMIT = 256
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class StatementError(ValueError):
    """A channel statement that must not be followed; names the channel and the cause."""


@dataclass(frozen=True)
class Statement:
    """Where a channel of one deployment points.

    Attributes:
        channel: The channel's name.
        deployment: Whose: ``<environment>/<account>/<region>``.
        serial: Higher than in every earlier statement of the channel.
        release: The release's id; None where the channel points to nothing.
        manifest_sha256: Hex digest of the release's manifest; None with ``release``.
        issued: When it was signed, UTC, whole seconds.
        expires: When a newer one must have followed, UTC, whole seconds.
        rollout: Percentage of devices, 0 to 100, that take the release.
    """

    channel: str
    deployment: str
    serial: int
    release: str | None
    manifest_sha256: str | None
    issued: datetime
    expires: datetime
    rollout: int = ALL_DEVICES

    def payload(self) -> bytes:
        """The bytes that are signed: canonical JSON."""
        document = {
            "schema": SCHEMA,
            "channel": self.channel,
            "deployment": self.deployment,
            "serial": self.serial,
            "release": self.release,
            "manifest_sha256": self.manifest_sha256,
            "issued": self.issued.astimezone(UTC).isoformat(timespec="seconds"),
            "expires": self.expires.astimezone(UTC).isoformat(timespec="seconds"),
            "rollout": self.rollout,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    def is_due(self, now: datetime) -> bool:
        """Whether a new statement should be signed: a third of its time, or less, is left."""
        return self.expires - now <= (self.expires - self.issued) / 3

    def has_expired(self, now: datetime) -> bool:
        """Whether a newer statement should have followed; the release itself stays usable."""
        return now >= self.expires


def issue(
    channel: str,
    deployment: str,
    release: str | None,
    manifest_sha256: str | None,
    *,
    after: int,
    now: datetime,
    lifetime: timedelta,
    rollout: int = ALL_DEVICES,
) -> Statement:
    """The next statement of a channel.

    Its serial is the number of seconds since 1970, or one more than the last serial where that is
    higher. So it grows even when the pointer object was deleted or set back, and no state besides
    the clock is needed.

    Args:
        channel: The channel's name.
        deployment: ``<environment>/<account>/<region>``.
        release: The release's id, or None.
        manifest_sha256: Hex digest of its manifest, or None.
        after: The serial of the last statement that was verified; 0 for none.
        now: With its time zone.
        lifetime: From now to ``expires``.
        rollout: Percentage of devices, 0 to 100, that take the release.
    """
    issued = now.astimezone(UTC).replace(microsecond=0)
    serial = max(after + 1, int(issued.timestamp()))
    return Statement(
        channel, deployment, serial, release, manifest_sha256, issued, issued + lifetime, rollout
    )


def sign(statement: Statement, sign: Sign, key_id: str) -> Envelope:
    """The statement in its envelope."""
    return seal(PAYLOAD_TYPE, statement.payload(), sign, key_id)


def verified(
    document: object, verify: Verify, *, channel: str, deployment: str, label: str
) -> Statement:
    """The statement of an envelope from outside, after its signature and its target were checked.

    Expiry and serial are the caller's to compare: what follows from them depends on what it knows.

    Args:
        document: The pointer object's ``statement``.
        verify: Checks a signature by the keys that the caller trusts.
        channel: The channel that was asked for.
        deployment: The deployment that was asked, ``<environment>/<account>/<region>``.
        label: Names the object in errors.

    Raises:
        StatementError: It is malformed, not signed by a trusted key, or of another channel or
            deployment.
    """
    try:
        envelope = read_envelope(document, label)
        payload = open_payload(envelope, PAYLOAD_TYPE, verify, label)
    except EnvelopeError as error:
        raise StatementError(str(error)) from None
    statement = parse(payload, label)
    if statement.channel != channel:
        raise StatementError(f"{label}: speaks of channel {statement.channel!r}, not {channel!r}")
    if statement.deployment != deployment:
        raise StatementError(
            f"{label}: is of deployment {statement.deployment!r}, not {deployment!r}"
        )
    return statement


def unverified(document: object, label: str) -> Statement:
    """The statement of an envelope without a look at its signature: to see when it is due.

    Raises:
        StatementError: It is malformed.
    """
    try:
        envelope = read_envelope(document, label)
    except EnvelopeError as error:
        raise StatementError(str(error)) from None
    return parse(envelope.payload, label)


def parse(payload: bytes, label: str) -> Statement:
    """Reads a statement's payload and checks each field.

    Args:
        payload: Of a verified envelope.
        label: Names it in errors.

    Raises:
        StatementError: A field is missing, of another type or out of its range.
    """
    try:
        return _statement(parse_object(payload, _PAYLOAD_LIMIT))
    except (ValueError, OverflowError) as error:
        raise StatementError(f"{label}: is no channel statement ({error})") from None


def _statement(document: Mapping[str, Any]) -> Statement:
    schema = document.get("schema")
    if schema != SCHEMA or isinstance(schema, bool):
        raise ValueError(f"schema {str(schema)[:20]!r}, this code follows {SCHEMA}")
    release, digest = document.get("release"), document.get("manifest_sha256")
    if (release is None) != (digest is None):
        raise ValueError("release and manifest_sha256 must be given together")
    if release is not None and not is_release_id(release):
        raise ValueError("release is no release's id")
    if digest is not None and not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
        raise ValueError("manifest_sha256 is no SHA-256 digest")
    issued, expires = moment(document, "issued"), moment(document, "expires")
    if expires <= issued:
        raise ValueError("expires is not after issued")
    return Statement(
        channel=text(document, "channel", _TEXT_LIMIT),
        deployment=text(document, "deployment", _TEXT_LIMIT),
        serial=whole_number(document, "serial", 1, SERIAL_LIMIT),
        release=release,
        manifest_sha256=digest,
        issued=issued,
        expires=expires,
        rollout=whole_number(document, "rollout", 0, ALL_DEVICES),
    )
