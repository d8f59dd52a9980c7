"""Channels: pointers that are functions of the state, moved by compare-and-swap.

``candidate`` points to the release of the newest approved student. ``stable`` follows it, unless a
person holds it at another release (:class:`Hold`), or the deployment says that stable moves by
promotion only. No history of events is needed to compute either; each pointer keeps where it has
pointed before, so that a person can go back.

A pointer is one small JSON object. ``If-Match`` on its ETag makes moving it a compare-and-swap
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from registry.aws import error_code, is_missing
from registry.deployment import Deployment
from registry.names import (
    BY_PROMOTION,
    CANDIDATE_CHANNEL,
    CHANNELS_PREFIX,
    RELEASES_PREFIX,
    STABLE_CHANNEL,
)
from registry.releases.folders import is_complete, newest_release
from registry.versions.packages import APPROVED, describe, iterate

CHANNELS = (CANDIDATE_CHANNEL, STABLE_CHANNEL)
#: How many earlier places a pointer remembers; the bucket's own versions hold the rest.
HISTORY_LIMIT = 50
_SWAP_ATTEMPTS = 8
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
    """

    pointer: Pointer
    by: str
    at: str
    reason: str


def pointer_key(channel: str) -> str:
    """The pointer's key in the release bucket."""
    return f"{CHANNELS_PREFIX}{channel}.json"


def hold_key(channel: str) -> str:
    """Where a person's hold on a channel lies."""
    return f"{CHANNELS_PREFIX}{channel}.hold.json"


def read(s3: Any, bucket: str, channel: str = STABLE_CHANNEL) -> tuple[Pointer | None, str | None]:
    """Reads a pointer and its ETag; (None, None) before the first release.

    Raises:
        ChannelError: The object is no pointer.
    """
    document, etag = _object(s3, bucket, pointer_key(channel))
    if document is None:
        return None, None
    return _pointer(document, f"channel {channel}: s3://{bucket}/{pointer_key(channel)}"), etag


def history(s3: Any, bucket: str, channel: str = STABLE_CHANNEL) -> list[Move]:
    """Where a channel points and has pointed, newest first; empty before the first release.

    Raises:
        ChannelError: The object is no pointer.
    """
    document, _ = _object(s3, bucket, pointer_key(channel))
    if document is None:
        return []
    return _moves(document, f"channel {channel}: s3://{bucket}/{pointer_key(channel)}")


def read_hold(s3: Any, bucket: str, channel: str = STABLE_CHANNEL) -> Hold | None:
    """The hold on a channel, or None.

    Raises:
        ChannelError: The object is no hold.
    """
    key = hold_key(channel)
    document, _ = _object(s3, bucket, key)
    if document is None:
        return None
    label = f"channel {channel}: s3://{bucket}/{key}"
    words = [document.get(key) for key in ("by", "at", "reason")]
    if not all(isinstance(word, str) for word in words):
        raise ChannelError(f"{label} is no hold; delete it or promote again")
    return Hold(_pointer(document, label), *map(str, words))


def hold(s3: Any, bucket: str, wanted: Hold, channel: str = STABLE_CHANNEL) -> None:
    """Writes down that a channel is to stay at a release."""
    body = {**asdict(wanted.pointer), "by": wanted.by, "at": wanted.at, "reason": wanted.reason}
    s3.put_object(
        Bucket=bucket,
        Key=hold_key(channel),
        Body=json.dumps({"channel": channel, **body}, indent=2).encode(),
        ContentType="application/json",
    )


def release_hold(s3: Any, bucket: str, channel: str = STABLE_CHANNEL) -> None:
    """Lets a channel go where it goes by itself."""
    s3.delete_object(Bucket=bucket, Key=hold_key(channel))


def compute(
    deployment: Deployment, channel: str = STABLE_CHANNEL, candidate: Pointer | None = None
) -> Pointer:
    """Where a channel should point.

    Args:
        deployment: Clients, names and settings.
        channel: Its name.
        candidate: What :func:`newest` has said a moment ago, where the caller knows it.
    """
    if channel == STABLE_CHANNEL:
        held = read_hold(deployment.s3, deployment.release_bucket)
        if held and valid(deployment, held.pointer):
            return held.pointer
        if deployment.stable_channel == BY_PROMOTION:
            try:
                before = history(deployment.s3, deployment.release_bucket)
            except ChannelError:
                before = []
            return next(
                (each.pointer for each in before if valid(deployment, each.pointer)), Pointer(None)
            )
    return newest(deployment) if candidate is None else candidate


def newest(deployment: Deployment) -> Pointer:
    """The release of the newest approved stage-2 student that has one."""
    folders: set[str] | None = None
    for row in iterate(deployment.sagemaker, deployment.group_name, approval=APPROVED):
        if row.name is None or not row.name.releasable:
            continue
        if folders is None:
            folders = {name.partition(".")[0] for name in _folders(deployment)}
        if str(row.name) in folders:
            release = newest_release(deployment.s3, deployment.release_bucket, str(row.name))
            if release:
                return Pointer(release, row.arn, str(row.name))
    return Pointer(None)


def valid(deployment: Deployment, pointer: Pointer) -> bool:
    """Whether a channel may point there: the version is approved and the release complete."""
    if pointer.release is None or pointer.package_arn is None:
        return False
    package = describe(deployment.sagemaker, pointer.package_arn)
    return (
        package is not None
        and package.approval == APPROVED
        and pointer.release.startswith(f"{package.label}.")
        and is_complete(deployment.s3, deployment.release_bucket, pointer.release)
    )


def bound(deployment: Deployment) -> frozenset[str]:
    """The releases that channels need: where each points, should point, is held at, and was.

    Raises:
        ChannelError: A pointer cannot be read, so nobody knows.
    """
    candidate = newest(deployment)
    found = {compute(deployment, each, candidate).release for each in CHANNELS}
    held = read_hold(deployment.s3, deployment.release_bucket)
    found |= {held.pointer.release} if held else set()
    for each in CHANNELS:
        # The second is where a rollback goes.
        found |= {
            move.pointer.release
            for move in history(deployment.s3, deployment.release_bucket, each)[:2]
        }
    return frozenset(release for release in found if release)


def move(deployment: Deployment, channel: str = STABLE_CHANNEL) -> Pointer:
    """Makes the pointer equal to its definition and returns it.

    The ETag is read before the state is, so that whatever changes in between makes the swap
    fail and the computation start again. A release that went meanwhile (it was withdrawn, or let
    go) is found by one more look.

    Raises:
        ChannelError: Others kept moving the pointer at the same moments.
    """
    key = pointer_key(channel)
    for _ in range(_SWAP_ATTEMPTS):
        document, etag = _object(deployment.s3, deployment.release_bucket, key)
        try:
            before = [] if document is None else _moves(document, key)
        except ChannelError:
            # Written by nobody of ours, and what it should say is known.
            before, document = [], None
        wanted = compute(deployment, channel)
        if before and wanted == before[0].pointer:
            return wanted
        if etag is None and wanted.release is None:
            return wanted
        since = deployment.now().isoformat(timespec="milliseconds")
        body = {
            "channel": channel,
            **asdict(wanted),
            "since": since,
            "history": [{**asdict(each.pointer), "since": each.since} for each in before]
            [:HISTORY_LIMIT],
        }  # fmt: skip
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            deployment.s3.put_object(
                Bucket=deployment.release_bucket,
                Key=key,
                Body=json.dumps(body, indent=2).encode(),
                ContentType="application/json",
                **condition,
            )
            if wanted.release is None or is_complete(
                deployment.s3, deployment.release_bucket, wanted.release
            ):
                return wanted
        except ClientError as error:
            if error_code(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
    raise ChannelError(
        f"channel {channel}: moved by others {_SWAP_ATTEMPTS} times in a row; repeat it"
    )


def _folders(deployment: Deployment) -> list[str]:
    pages = deployment.s3.get_paginator("list_objects_v2").paginate(
        Bucket=deployment.release_bucket, Prefix=RELEASES_PREFIX, Delimiter="/"
    )
    return [
        entry["Prefix"].removeprefix(RELEASES_PREFIX).rstrip("/")
        for page in pages
        for entry in page.get("CommonPrefixes", [])
    ]


def _object(s3: Any, bucket: str, key: str) -> tuple[Mapping[str, Any] | None, str | None]:
    """An object and its ETag; (None, None) for none, an empty one for what is no JSON."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if is_missing(error):
            return None, None
        raise
    try:
        document = json.loads(answer["Body"].read(_POINTER_LIMIT))
    except ValueError:
        document = None
    return document if isinstance(document, Mapping) else {}, str(answer["ETag"])


def _pointer(document: object, label: str) -> Pointer:
    if isinstance(document, Mapping):
        words = [document.get(key, 0) for key in ("release", "package_arn", "name")]
        if all(word is None or isinstance(word, str) for word in words):
            return Pointer(*words)
    raise ChannelError(f"{label} is no pointer; the next move writes it again")


def _moves(document: Mapping[str, Any], label: str) -> list[Move]:
    earlier = document.get("history", [])
    rows = [document, *(earlier if isinstance(earlier, list) else [])]
    return [
        Move(_pointer(row, label), str(row.get("since", "")) if isinstance(row, Mapping) else "")
        for row in rows
    ]
