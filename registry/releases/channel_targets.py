"""Where each channel should point: computed from the state.

A channel points to the release of the newest approved student. One that may be held stays at a
release that a person chose (:class:`~registry.releases.pointers.Hold`); one that is moved by
promotion stays where it is until a person promotes. No history of events is needed to compute it.
"""

from __future__ import annotations

from registry import channels
from registry.channels import Channel, declared
from registry.deployment import Deployment
from registry.names import BY_PROMOTION, RELEASES_PREFIX, STABLE_CHANNEL, in_group_of
from registry.releases.folders import is_complete, releases_of
from registry.releases.pointers import (
    ChannelError,
    Hold,
    Pointer,
    history,
    read_hold,
)
from registry.releases.release_owner import owner_arn
from registry.releases.statement import ALL_DEVICES
from registry.versions.packages import APPROVED, describe, iterate


def mover(deployment: Deployment, channel: Channel) -> str:
    """What moves a channel in a deployment: each approval, or a promotion only."""
    return str(getattr(deployment, channel.setting)) if channel.setting else channel.moved_by


def compute(
    deployment: Deployment, channel: str = STABLE_CHANNEL, latest: Pointer | None = None
) -> Pointer:
    """Where a channel should point. A hold that cannot be read counts as none.

    Args:
        deployment: Clients, names and settings.
        channel: Its name.
        latest: The answer of :func:`newest` a moment ago, where the caller has it.

    Raises:
        UnknownChannelError: The channel is not declared.
    """
    declaration = declared(channel)
    bucket = deployment.release_bucket
    latest = newest(deployment) if latest is None else latest
    held = _readable_hold(deployment, declaration)
    if held and valid(deployment, held.pointer, latest):
        return held.pointer
    if mover(deployment, declaration) == BY_PROMOTION:
        try:
            before = history(deployment.s3, bucket, channel)
        except ChannelError:
            before = []
        return next(
            (each.pointer for each in before if valid(deployment, each.pointer, latest)),
            Pointer(None),
        )
    return latest


def rollout(deployment: Deployment, channel: str, target: Pointer) -> int:
    """The percentage of devices that a channel's target is for, by the hold that names it."""
    held = _readable_hold(deployment, declared(channel))
    return held.rollout if held and held.pointer == target else ALL_DEVICES


def _readable_hold(deployment: Deployment, channel: Channel) -> Hold | None:
    try:
        return (
            read_hold(deployment.s3, deployment.release_bucket, channel.name)
            if channel.may_be_held
            else None
        )
    except ChannelError:
        return None


def unreadable_holds(deployment: Deployment) -> dict[str, str]:
    """The channels whose hold cannot be read, and therefore counts as none; with the cause."""
    found = {}
    for channel in channels.CHANNELS:
        try:
            if channel.may_be_held:
                read_hold(deployment.s3, deployment.release_bucket, channel.name)
        except ChannelError as error:
            found[channel.name] = str(error)
    return found


def newest(deployment: Deployment) -> Pointer:
    """The release of the newest approved stage-2 student that has one.

    A release whose manifest names another version, or cannot be read, counts as none.
    """
    folders: set[str] | None = None
    for row in iterate(deployment.sagemaker, deployment.group_name, approval=APPROVED):
        if row.name is None or not row.name.releasable:
            continue
        if folders is None:
            folders = {name.partition(".")[0] for name in _folders(deployment)}
        if str(row.name) in folders:
            for release in releases_of(deployment.s3, deployment.release_bucket, str(row.name)):
                if owner_arn(deployment.s3, deployment.release_bucket, release) == row.arn:
                    return Pointer(release, row.arn, str(row.name))
    return Pointer(None)


def valid(deployment: Deployment, pointer: Pointer, latest: Pointer | None = None) -> bool:
    """Whether a channel may point there: the version is approved and the release complete.

    Args:
        deployment: Clients, names and settings.
        pointer: Where to; from an object that somebody else may have written.
        latest: The answer of :func:`newest` a moment ago, where the caller has it: where no version
            qualifies, this one does not either, and a version of another group or account is not
            asked for.
    """
    if pointer.release is None or pointer.package_arn is None:
        return False
    latest = newest(deployment) if latest is None else latest
    if latest.package_arn is None or not in_group_of(pointer.package_arn, latest.package_arn):
        return False
    package = describe(deployment.sagemaker, pointer.package_arn)
    return (
        package is not None
        and package.approval == APPROVED
        and pointer.release.startswith(f"{package.label}.")
        and is_complete(deployment.s3, deployment.release_bucket, pointer.release)
        and owner_arn(deployment.s3, deployment.release_bucket, pointer.release) == package.arn
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


def _folders(deployment: Deployment) -> list[str]:
    pages = deployment.s3.get_paginator("list_objects_v2").paginate(
        Bucket=deployment.release_bucket, Prefix=RELEASES_PREFIX, Delimiter="/"
    )
    return [
        entry["Prefix"].removeprefix(RELEASES_PREFIX).rstrip("/")
        for page in pages
        for entry in page.get("CommonPrefixes", [])
    ]
