"""Moving all channels to their targets, and notifying people of what is damaged."""

from __future__ import annotations

from botocore.exceptions import ClientError

from registry import channels
from registry.automation import stages
from registry.channels import Channel
from registry.deployment import Deployment
from registry.notices import Notice, NoticeKind, Notifier
from registry.releases import channel_moves, channel_targets
from registry.releases.pointers import ChannelError, Pointer, read, read_hold


def move_channels(deployment: Deployment, notifier: Notifier) -> str:
    """Moves every channel to its target; returns where each points, for the log.

    A channel that cannot be moved does not keep the others from it. Versions that a channel has
    left, or come to, get their life-cycle stage; where this is interrupted, the reconciler finds
    them by the list of versions.
    """
    moved, digests, errors = [], dict[str, str](), list[Exception]()
    before = stages.pointers(deployment)

    def report_damaged(pointer: Pointer, fault: str) -> None:
        _notify_damage(notifier, pointer, fault)

    for channel in channels.CHANNELS:
        try:
            _report_unreadable_hold(deployment, notifier, channel)
            pointer = channel_moves.move(
                deployment, channel.name, digests=digests, report_damaged=report_damaged
            )
            moved.append(f"{channel.name} -> {pointer.release or 'nothing'}")
        except (ChannelError, ClientError) as error:
            errors.append(error)
    after = stages.pointers(deployment)
    if before != after:
        stages.record(deployment, sorted({*before.values(), *after.values()} - {""}))
    if errors:
        raise errors[0]
    return ", ".join(moved)


def _notify_damage(notifier: Notifier, pointer: Pointer, fault: str) -> None:
    name = pointer.name or str(pointer.release)
    notifier.publish(
        Notice(
            NoticeKind.DAMAGED,
            name,
            pointer.package_arn or "",
            f"{fault}. The release was withdrawn, the channels point to another, and it is "
            "published again from its compile job; find out who changed the release bucket.",
            (notifier.command("release list"), notifier.command(f"trace {name}")),
        )
    )


def _report_unreadable_hold(deployment: Deployment, notifier: Notifier, channel: Channel) -> None:
    """Notifies people where a channel leaves its place because its hold cannot be read."""
    try:
        if channel.may_be_held:
            read_hold(deployment.s3, deployment.release_bucket, channel.name)
        return
    except ChannelError as error:
        fault = str(error)
    try:
        now, _ = read(deployment.s3, deployment.release_bucket, channel.name)
    except ChannelError:
        now = None
    now = now or Pointer(None)
    if now == channel_targets.compute(deployment, channel.name):
        return
    notifier.publish(
        Notice(
            NoticeKind.HOLD_UNREADABLE,
            f"channel {channel.name}",
            now.package_arn or "",
            f"{fault}. It counts as none, so the channel moves from {now.release or 'nothing'}; "
            "find out who changed the release bucket, and hold the channel again.",
            (
                notifier.command("release list"),
                notifier.command(f"release promote --channel {channel.name}"),
            ),
        )
    )
