"""``cards release promote`` and ``rollback``: a person moves a channel.

Who may do it is IAM's decision: the Releaser policy of the access stack.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from cli.automation_functions import invoke
from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.errors import CliError
from cli.options import AsJson

if TYPE_CHECKING:
    from registry.channels import Channel as DeclaredChannel
    from registry.releases.pointers import Pointer

Rollout = Annotated[
    int, typer.Option(min=0, max=100, help="Percentage of the devices that take the release.")
]
Reason = Annotated[str, typer.Option(help="Why, in one line; it is kept with who and when.")]
Channel = Annotated[str, typer.Option(help="The channel that is meant.")]
STABLE = "stable"
#: As :data:`registry.releases.statement.ALL_DEVICES`, which is imported late.
ALL_DEVICES = 100
#: Seconds within which the channel must have moved.
_TIMEOUT = 60.0


def promote(
    reason: Reason,
    release: Annotated[
        str | None, typer.Argument(help="A release's id; by default the candidate's.")
    ] = None,
    channel: Channel = STABLE,
    rollout: Rollout = 100,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Makes a release the stable one, and keeps it there until somebody promotes another.

    With --rollout only some devices take it, each by a hash of its own id and the release; later
    they are more: cards release rollout 50. The others keep what they have.

    Without an id it is the candidate's: the release of the newest approved version. Where the
    channel follows approvals by itself, promoting the candidate lets it do so again. A release
    whose version is rejected leaves the channel whatever was promoted.
    """
    from registry.names import BY_APPROVAL, CANDIDATE_CHANNEL
    from registry.releases.channel_targets import mover

    declaration = _held_channel(channel)
    aws = AwsSession(environment)
    candidate = _pointer(aws, CANDIDATE_CHANNEL)
    target = candidate if release is None else _of_release(aws, release)
    if target.release is None:
        raise CliError("channel candidate: points to no release yet; approve a stage-2 student")
    follows = mover(aws.deployment, declaration) == BY_APPROVAL and target == candidate
    held = not follows or rollout < ALL_DEVICES
    _hold_and_move(aws, channel, target, reason, held=held, rollout=rollout)
    _report(channel, target, held=held, rollout=rollout, as_json=as_json)


def rollout(
    percent: Annotated[
        int, typer.Argument(min=0, max=100, help="Percentage of the devices, 0 to 100.")
    ],
    reason: Reason,
    channel: Channel = STABLE,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Changes how many devices take the release that a channel points to.

    A device that took it keeps it when the percentage is lowered; cards release rollback returns
    every device to the release before. The channel stays at this release until somebody promotes.
    """
    _held_channel(channel)
    aws = AwsSession(environment)
    target = _pointer(aws, channel)
    if target.release is None:
        raise CliError(f"channel {channel}: points to no release yet; approve a stage-2 student")
    _hold_and_move(aws, channel, target, reason, held=True, rollout=percent)
    _report(channel, target, held=True, rollout=percent, as_json=as_json)


def rollback(
    reason: Reason,
    release: Annotated[
        str | None,
        typer.Option("--to", help="A release's id; by default the one that was stable before."),
    ] = None,
    channel: Channel = STABLE,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Puts stable back to the release that it pointed to before, and keeps it there.

    Only to what may still be released: its version approved, its files complete. New approvals
    do not move stable until somebody promotes.
    """
    from registry.releases.channel_targets import valid
    from registry.releases.pointers import history

    _held_channel(channel)
    aws = AwsSession(environment)
    now = _pointer(aws, channel)
    deployment = aws.deployment
    if release is not None:
        target = _of_release(aws, release)
    else:
        moves = history(deployment.s3, deployment.release_bucket, channel)
        before = [move.pointer for move in moves]
        target = next((each for each in before if each != now and valid(deployment, each)), now)
        if target == now:
            raise CliError(
                f"channel {channel}: no earlier release may take its place (none was there, or "
                "none is of an approved version any more); cards release list shows what there is"
            )
    _hold_and_move(aws, channel, target, reason, held=True)
    _report(channel, target, held=True, rollout=ALL_DEVICES, as_json=as_json)


def _held_channel(name: str) -> DeclaredChannel:
    """The declaration of a channel that a person may hold at a release.

    Raises:
        UnknownChannelError: No channel has this name.
        CliError: It follows approvals alone.
    """
    from registry.channels import CHANNELS, declared

    found = declared(name)
    if not found.may_be_held:
        others = ", ".join(each.name for each in CHANNELS if each.may_be_held)
        raise CliError(
            f"--channel {name}: follows approvals and cannot be held; choose one of: {others}"
        )
    return found


def _pointer(aws: AwsSession, channel: str) -> Pointer:
    from registry.releases.pointers import Pointer, read

    pointer, _ = read(aws.client("s3"), aws.deployment.release_bucket, channel)
    return pointer or Pointer(None)


def _of_release(aws: AwsSession, release: str) -> Pointer:
    """The pointer to a release that may be in a channel.

    Raises:
        CliError: It may not, and why.
    """
    from cli.release.verified_manifest import manifest_of
    from registry.releases.channel_targets import valid
    from registry.releases.pointers import Pointer

    source = manifest_of(aws, release).get("source", {})
    pointer = Pointer(release, source.get("arn"), source.get("name"))
    if not valid(aws.deployment, pointer):
        raise CliError(
            f"{release}: its version {pointer.name} is not approved (any more), so no channel may "
            "point to it; approve it, or choose another: cards release list"
        )
    return pointer


def _hold_and_move(
    aws: AwsSession,
    channel: str,
    target: Pointer,
    reason: str,
    *,
    held: bool,
    rollout: int = ALL_DEVICES,
) -> None:
    """Writes or removes the hold, and waits until the channel and its statement say so."""
    from datetime import UTC, datetime

    from registry.automation.actions import MOVE_CHANNELS
    from registry.releases.pointers import Hold, hold, release_hold

    if not reason.strip() or not reason.isprintable():
        raise CliError("--reason: is empty or not one line of text; say why")
    s3, bucket = aws.client("s3"), aws.deployment.release_bucket
    if held:
        who = str(aws.client("sts").get_caller_identity()["Arn"])
        timestamp = datetime.now(UTC).isoformat(timespec="seconds")
        hold(s3, bucket, Hold(target, who, timestamp, reason, rollout), channel)
    else:
        release_hold(s3, bucket, channel)
    invoke(aws, aws.names.publish_function, dict(MOVE_CHANNELS))
    until = time.monotonic() + _TIMEOUT
    while not _says(aws, channel, target, rollout):
        if time.monotonic() > until:
            raise CliError(
                f"channel {channel}: does not point to {target.release} after {_TIMEOUT:.0f} s; "
                "somebody else has decided meanwhile: cards release list"
            )
        time.sleep(0.5)


def _says(aws: AwsSession, channel: str, target: Pointer, rollout: int) -> bool:
    """Whether a channel points to a release, and its statement gives it to so many devices."""
    from registry.releases.pointers import read_channel

    found = read_channel(aws.client("s3"), aws.deployment.release_bucket, channel)
    stated = found.statement if found and found.pointer == target else None
    return stated is not None and (stated.release, stated.rollout) == (target.release, rollout)


def _report(channel: str, pointer: Pointer, *, held: bool, rollout: int, as_json: bool) -> None:
    from cli.console import print_json, print_line

    if as_json:
        print_json(
            {"channel": channel, "release": pointer.release, "held": held, "rollout": rollout}
        )
        return
    share = "" if rollout == ALL_DEVICES else f", for {rollout} % of the devices"
    print_line(f"{channel} -> {pointer.release}{share}")
    if held:
        print_line(
            "  it stays there, whatever is approved, until: cards release promote --reason …"
        )
