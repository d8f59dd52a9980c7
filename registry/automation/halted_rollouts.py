"""Halting a roll-out whose release fails the self-test of too many devices.

The reconciler finds it and the publisher does it: the hold that a person wrote for a share of the
devices gets the share 0, and the channel a new signed statement. Devices that have taken the
release keep it; a person decides what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from registry.automation.moving_channels import move_channels
from registry.aws_errors import Meaning, means
from registry.channels import CHANNELS
from registry.deployment import Deployment
from registry.fleet.rollout_failures import SelfTestCounts, count_self_tests, is_halted
from registry.fleet.stored_reports import FleetReports, read_reports
from registry.notices import Notice, NoticeKind, Notifier
from registry.releases.channel_moves import last_statement
from registry.releases.pointers import (
    ChannelError,
    Hold,
    hold,
    pointer_key,
    read_object,
    read_stored_hold,
)
from registry.releases.statement import ALL_DEVICES

#: The event's detail that makes the publisher look at the roll-outs.
HALT_ROLLOUTS: Mapping[str, Any] = {"HaltRollouts": True}
#: The step, in words.
HALT = "halt the roll-out"


@dataclass(frozen=True)
class StagedRollout:
    """A release that a channel gives to a share of the devices.

    Attributes:
        channel: The channel's name.
        held: The hold that says so.
        etag: Of the hold's object.
        manifest_sha256: Hex digest of the release's manifest, as the channel's statement names it.
    """

    channel: str
    held: Hold
    etag: str
    manifest_sha256: str


@dataclass(frozen=True)
class FailingRollout:
    """A roll-out that is to be halted.

    Attributes:
        rollout: Which.
        counts: Of the devices that have tested its release.
        share: The share of failed self-tests that the deployment accepts.
    """

    rollout: StagedRollout
    counts: SelfTestCounts
    share: float

    @property
    def why(self) -> str:
        """One line."""
        tested, failed = self.counts.tested, self.counts.failed
        return (
            f"halted at {self.rollout.held.rollout} % of the devices: the self-test failed on "
            f"{failed} of the {tested} devices that report one ({failed / tested:.1%}, and "
            f"{self.share:.1%} are accepted)"
        )


@dataclass(frozen=True)
class RolloutCheck:
    """What devices say of the roll-outs.

    Attributes:
        failing: The roll-outs to halt.
        reports: The reports that were read; none where no roll-out asks for them.
    """

    failing: list[FailingRollout] = field(default_factory=list)
    reports: FleetReports = field(default_factory=FleetReports)


def check_rollouts(deployment: Deployment) -> RolloutCheck:
    """Compares the devices' reports with what the deployment accepts.

    Reports are read only while a release is rolled out to a share of the devices.
    """
    if deployment.rollout_failures is None:
        return RolloutCheck()
    staged = staged_rollouts(deployment)
    if not staged:
        return RolloutCheck()
    found = read_reports(deployment.s3, deployment.release_bucket)
    reports = [each.report for each in found.stored]
    failing = []
    for rollout in staged:
        counts = count_self_tests(reports, rollout.manifest_sha256)
        if is_halted(counts, deployment.rollout_failures):
            failing.append(FailingRollout(rollout, counts, deployment.rollout_failures))
    return RolloutCheck(failing, found)


def staged_rollouts(deployment: Deployment) -> list[StagedRollout]:
    """The channels whose statement gives a held release to a share of the devices.

    A hold that the channel does not follow (yet) is none, and so is one that cannot be read.
    """
    found = []
    for channel in CHANNELS:
        try:
            held, etag = (
                read_stored_hold(deployment.s3, deployment.release_bucket, channel.name)
                if channel.may_be_held
                else (None, None)
            )
        except ChannelError:
            continue
        if held is None or etag is None or not 0 < held.rollout < ALL_DEVICES:
            continue
        key = pointer_key(channel.name)
        document, _ = read_object(deployment.s3, deployment.release_bucket, key)
        stated = last_statement(deployment, document or {}, channel.name)
        wanted = (held.pointer.release, held.rollout)
        if stated and stated.manifest_sha256 and (stated.release, stated.rollout) == wanted:
            found.append(StagedRollout(channel.name, held, etag, stated.manifest_sha256))
    return found


def halt_rollouts(deployment: Deployment, notifier: Notifier) -> str:
    """Halts what fails, and notifies people; returns what was done, for the log.

    The notice is sent first: rather two notices than none. A roll-out that is halted is none any
    more, so it is halted, and people are notified, once.
    """
    halted = []
    for each in check_rollouts(deployment).failing:
        rollout = each.rollout
        notifier.publish(_notice(notifier, each))
        stopped = replace(
            rollout.held,
            by=deployment.publisher_role_arn,
            at=deployment.now().isoformat(timespec="seconds"),
            reason=each.why,
            rollout=0,
        )
        try:
            hold(
                deployment.s3,
                deployment.release_bucket,
                stopped,
                rollout.channel,
                instead_of=rollout.etag,
            )
        except ClientError as error:
            if not means(error, Meaning.LOST_WRITE):
                raise
            halted.append(f"{rollout.channel}: somebody else has decided meanwhile")
            continue
        halted.append(f"{rollout.channel}: {each.why}")
    if halted:
        move_channels(deployment, notifier)
    return "; ".join(halted) or "no roll-out to halt"


def _notice(notifier: Notifier, failing: FailingRollout) -> Notice:
    rollout, pointer = failing.rollout, failing.rollout.held.pointer
    return Notice(
        NoticeKind.ROLLOUT_HALTED,
        pointer.name or str(pointer.release),
        pointer.package_arn or "",
        f"channel {rollout.channel}: the roll-out of {pointer.release} was {failing.why}. Devices "
        "that have taken it keep it until stable is rolled back.",
        (
            notifier.command("devices list"),
            notifier.command(f'release rollback --channel {rollout.channel} --reason "…"'),
            notifier.command(f'release rollout 10 --channel {rollout.channel} --reason "…"'),
        ),
    )
