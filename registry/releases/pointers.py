"""A channel's pointer and its hold: small JSON objects in the release bucket.

A pointer keeps where it has pointed before, so that a person can go back. A hold is a person's
decision that the channel stays at one release. The signed statement of where it points stands in
the pointer (:mod:`registry.releases.statement`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from registry.names import CHANNELS_PREFIX, STABLE_CHANNEL, is_release_id
from registry.releases.statement import (
    ALL_DEVICES,
    STATEMENT,
    Statement,
    StatementError,
    unverified,
)
from registry.untrusted.stored_json import StoredJsonError, read_json

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_POINTER_LIMIT = 64 * 1024


class ChannelError(RuntimeError):
    """A pointer that cannot be read or moved; names the channel and the cause."""


@dataclass(frozen=True)
class Pointer:
    """Where a channel points.

    Attributes:
        release: The release's id, or None where no version qualifies.
        package_arn: The approved student version that it was made from.
        name: That version's name.
    """

    release: str | None
    package_arn: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Move:
    """One place where a channel has pointed, since when."""

    pointer: Pointer
    since: str


@dataclass(frozen=True)
class Hold:
    """A person's word that ``stable`` is to point to one release.

    Attributes:
        pointer: Where to; it counts as long as the version is approved and its release complete.
        by: ARN of who said so.
        at: When, ISO 8601.
        reason: Why.
        rollout: Percentage of devices, 0 to 100, that take the release.
    """

    pointer: Pointer
    by: str
    at: str
    reason: str
    rollout: int = ALL_DEVICES


def pointer_key(channel: str) -> str:
    """The pointer's key in the release bucket."""
    return f"{CHANNELS_PREFIX}{channel}.json"


def hold_key(channel: str) -> str:
    """Where a person's hold on a channel lies."""
    return f"{CHANNELS_PREFIX}{channel}.hold.json"


@dataclass(frozen=True)
class StoredChannel:
    """A channel's pointer object.

    Attributes:
        pointer: Where it points.
        statement: Its statement, the signature not verified; None for none or a malformed one.
    """

    pointer: Pointer
    statement: Statement | None

    def needs_statement(self, channel: str, now: datetime, rollout: int = ALL_DEVICES) -> bool:
        """Whether the publisher must sign: the statement is missing, of something else, or due."""
        stated = self.statement
        wanted = (channel, self.pointer.release, rollout)
        return (
            stated is None
            or (stated.channel, stated.release, stated.rollout) != wanted
            or stated.is_due(now)
        )


def read(
    s3: S3Client, bucket: str, channel: str = STABLE_CHANNEL
) -> tuple[Pointer | None, str | None]:
    """Reads a pointer and its ETag; (None, None) before the first release.

    Raises:
        ChannelError: The object is no pointer.
    """
    document, etag = read_object(s3, bucket, pointer_key(channel))
    if document is None:
        return None, None
    return _pointer(document, f"channel {channel}: s3://{bucket}/{pointer_key(channel)}"), etag


def read_channel(s3: S3Client, bucket: str, channel: str = STABLE_CHANNEL) -> StoredChannel | None:
    """Reads a pointer with its statement; None before the first release.

    Raises:
        ChannelError: The object is no pointer.
    """
    document, _ = read_object(s3, bucket, pointer_key(channel))
    if document is None:
        return None
    label = f"channel {channel}: s3://{bucket}/{pointer_key(channel)}"
    try:
        stated = unverified(document.get(STATEMENT), label)
    except StatementError:
        stated = None
    return StoredChannel(_pointer(document, label), stated)


def history(s3: S3Client, bucket: str, channel: str = STABLE_CHANNEL) -> list[Move]:
    """Where a channel points and has pointed, newest first; empty before the first release.

    Raises:
        ChannelError: The object is no pointer.
    """
    document, _ = read_object(s3, bucket, pointer_key(channel))
    if document is None:
        return []
    return moves_of(document, f"channel {channel}: s3://{bucket}/{pointer_key(channel)}")


def read_hold(s3: S3Client, bucket: str, channel: str = STABLE_CHANNEL) -> Hold | None:
    """The hold on a channel, or None.

    Raises:
        ChannelError: The object is no hold.
    """
    return read_stored_hold(s3, bucket, channel)[0]


def read_stored_hold(
    s3: S3Client, bucket: str, channel: str = STABLE_CHANNEL
) -> tuple[Hold | None, str | None]:
    """The hold on a channel and its object's ETag; (None, None) where there is none.

    Raises:
        ChannelError: The object is no hold.
    """
    key = hold_key(channel)
    document, etag = read_object(s3, bucket, key)
    if document is None:
        return None, None
    label = f"channel {channel}: s3://{bucket}/{key}"
    words = [document.get(key) for key in ("by", "at", "reason")]
    rollout = document.get("rollout", ALL_DEVICES)  # earlier versions wrote none
    if not all(isinstance(word, str) for word in words) or (
        type(rollout) is not int or not 0 <= rollout <= ALL_DEVICES
    ):
        raise ChannelError(f"{label} is no hold; delete it or promote again")
    by, at, reason = map(str, words)
    return Hold(_pointer(document, label), by, at, reason, rollout), etag


def hold(
    s3: S3Client,
    bucket: str,
    wanted: Hold,
    channel: str = STABLE_CHANNEL,
    *,
    instead_of: str | None = None,
) -> None:
    """Writes down that a channel is to stay at a release.

    Args:
        s3: A boto3 S3 client.
        bucket: The release bucket.
        wanted: The hold.
        channel: The channel's name.
        instead_of: ETag of the hold that it takes the place of; None replaces any.

    Raises:
        ClientError: Another hold is there than ``instead_of``, or S3 refused.
    """
    condition: dict[str, Any] = {"IfMatch": instead_of} if instead_of else {}
    fields = asdict(wanted)
    body = {**fields.pop("pointer"), **fields}
    s3.put_object(
        Bucket=bucket,
        Key=hold_key(channel),
        Body=json.dumps({"channel": channel, **body}, indent=2).encode(),
        ContentType="application/json",
        **condition,
    )


def release_hold(s3: S3Client, bucket: str, channel: str = STABLE_CHANNEL) -> None:
    """Lets a channel go where it goes by itself."""
    s3.delete_object(Bucket=bucket, Key=hold_key(channel))


def read_object(s3: S3Client, bucket: str, key: str) -> tuple[Mapping[str, Any] | None, str | None]:
    """An object and its ETag; (None, None) for none, an empty one for what is no JSON."""
    try:
        found = read_json(s3, bucket, key, _POINTER_LIMIT)
    except StoredJsonError as error:
        return {}, error.etag
    return (found.document, found.etag) if found else (None, None)


def _pointer(document: object, label: str) -> Pointer:
    if isinstance(document, Mapping):
        words = [document.get(key, 0) for key in ("release", "package_arn", "name")]
        named = words[0] is None or is_release_id(words[0])
        if named and all(word is None or isinstance(word, str) for word in words):
            return Pointer(*words)
    raise ChannelError(f"{label} is no pointer; the next move writes it again")


def moves_of(document: Mapping[str, Any], label: str) -> list[Move]:
    earlier = document.get("history", [])
    rows = [document, *(earlier if isinstance(earlier, list) else [])]
    return [
        Move(_pointer(row, label), str(row.get("since", "")) if isinstance(row, Mapping) else "")
        for row in rows
    ]
