"""Where each channel points: computed from the state, and moved by compare-and-swap.

A channel points to the release of the newest approved student. One that may be held stays at a
release that a person chose (:class:`~registry.releases.pointers.Hold`); one that is moved by
promotion stays where it is until a person promotes. No history of events is needed to compute it.

``If-Match`` on the pointer's ETag makes moving it a compare-and-swap
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from botocore.exceptions import ClientError

from registry import channels
from registry.aws import error_code
from registry.channels import Channel, declared
from registry.deployment import Deployment
from registry.names import BY_PROMOTION, RELEASES_PREFIX, STABLE_CHANNEL
from registry.releases.folders import is_complete, newest_release
from registry.releases.pointers import (
    ChannelError,
    Pointer,
    history,
    moves_of,
    pointer_key,
    read_hold,
    read_object,
)
from registry.versions.packages import APPROVED, describe, iterate

#: How many earlier targets a pointer remembers; the bucket's own versions hold the rest.
HISTORY_LIMIT = 50
_SWAP_ATTEMPTS = 8


def mover(deployment: Deployment, channel: Channel) -> str:
    """What moves a channel in a deployment: each approval, or a promotion only."""
    return str(getattr(deployment, channel.setting)) if channel.setting else channel.moved_by


def compute(
    deployment: Deployment, channel: str = STABLE_CHANNEL, latest: Pointer | None = None
) -> Pointer:
    """Where a channel should point.

    Args:
        deployment: Clients, names and settings.
        channel: Its name.
        latest: The answer of :func:`newest` a moment ago, where the caller has it.

    Raises:
        UnknownChannelError: The channel is not declared.
        ChannelError: The channel's hold cannot be read.
    """
    declaration = declared(channel)
    bucket = deployment.release_bucket
    if declaration.may_be_held:
        held = read_hold(deployment.s3, bucket, channel)
        if held and valid(deployment, held.pointer):
            return held.pointer
    if mover(deployment, declaration) == BY_PROMOTION:
        try:
            before = history(deployment.s3, bucket, channel)
        except ChannelError:
            before = []
        return next(
            (each.pointer for each in before if valid(deployment, each.pointer)), Pointer(None)
        )
    return newest(deployment) if latest is None else latest


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


def releases_in_use(deployment: Deployment) -> frozenset[str]:
    """The releases that channels need: where each points, should point, is held at, and was.

    Raises:
        ChannelError: A pointer or a hold cannot be read, so what channels need is not known.
    """
    s3, bucket = deployment.s3, deployment.release_bucket
    latest = newest(deployment)
    found: set[str | None] = set()
    for each in channels.CHANNELS:
        found.add(compute(deployment, each.name, latest).release)
        held = read_hold(s3, bucket, each.name) if each.may_be_held else None
        if held:
            found.add(held.pointer.release)
        # The second of the history is the target of a rollback.
        found |= {move.pointer.release for move in history(s3, bucket, each.name)[:2]}
    return frozenset(release for release in found if release)


def move(deployment: Deployment, channel: str = STABLE_CHANNEL) -> Pointer:
    """Makes the pointer equal to its definition and returns it.

    The ETag is read before the state is, so that whatever changes in between makes the swap
    fail and the computation start again. A release that was withdrawn or retired meanwhile is
    found by a last check, and the computation starts again.

    Raises:
        UnknownChannelError: The channel is not declared.
        ChannelError: Others kept moving the pointer at the same moments.
    """
    key = pointer_key(channel)
    for _ in range(_SWAP_ATTEMPTS):
        document, etag = read_object(deployment.s3, deployment.release_bucket, key)
        try:
            before = [] if document is None else moves_of(document, key)
        except ChannelError:
            # Not written by the automation; its right content can be computed.
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
        condition: dict[str, Any] = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
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
