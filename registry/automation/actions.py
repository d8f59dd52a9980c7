"""From 'look at package X' to one step taken: observe, decide, act.

Every automation Lambda calls :func:`converge`; the decision itself is
:func:`registry.convergence.next_step`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry.automation import stages
from registry.automation.moving_channels import move_channels
from registry.automation.observation import VersionRef, VersionState, observe
from registry.automation.version_notices import (
    REFUSED,
    publish_release_notice,
    publish_withdrawal_notice,
    record_failed,
    record_failure,
)
from registry.compilation import jobs as compilation
from registry.compilation.compile_settings import CompileSettings
from registry.convergence import Approval, JobState, Observation, Step, Verdict, next_step
from registry.deployment import Deployment
from registry.names import leads_to
from registry.notices import Notifier
from registry.releases import publication as releases
from registry.releases import retention
from registry.releases.folders import is_complete
from registry.releases.release_owner import is_stale, owner_arn
from registry.versions.packages import APPROVED, describe

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient


@dataclass(frozen=True)
class ConvergenceResult:
    """The step that :func:`converge` took, and its result, for the log."""

    package: str
    step: Step
    result: str


Action = Callable[[VersionState], str]
#: The event's detail that makes the publisher move the channels, without naming a version.
MOVE_CHANNELS: Mapping[str, Any] = {"MoveChannels": True}
#: The event's detail key that makes the publisher sign a release again: its id is the value.
SIGN_RELEASE = "SignRelease"


def converge(
    deployment: Deployment,
    version: VersionRef,
    compile_settings: CompileSettings,
    actions: Mapping[Step, Action],
    *,
    again: bool = False,
) -> ConvergenceResult:
    """Observes a version and takes its next step.

    Args:
        deployment: Clients, names and settings.
        version: The version that an event named.
        compile_settings: The deployment's compile settings.
        actions: The caller's action for each step. A step without one is left to another
            function, and the result says so.
        again: Whether a person asked to compile again what has failed.
    """
    state = observe(deployment, version, compile_settings)
    step = next_step(without_past_failures(state.seen) if again else state.seen)
    if step in (Step.NOTHING, Step.WAIT):
        return ConvergenceResult(state.label, step, _reason_for_nothing(state))
    action = actions.get(step)
    if action is None:
        return ConvergenceResult(state.label, step, "left to another function")
    return ConvergenceResult(state.label, step, action(state))


def without_past_failures(seen: Observation) -> Observation:
    """The observation without past failures and without retirement."""
    passed = seen.job is JobState.COMPLETED and seen.verdict is Verdict.PASSED
    waiting = seen.job in (JobState.RUNNING, JobState.STOPPING)
    # A job that passed its gate and could not be published left damaged files.
    if waiting or (passed and not seen.failure_recorded and not seen.retired):
        return seen
    return replace(
        seen,
        job=JobState.NONE,
        attempts=0,
        refused=False,
        failure_recorded=False,
        retired=False,
    )


def compile_actions(
    deployment: Deployment,
    compile_settings: CompileSettings,
    settings: compilation.CompileJobSettings,
    hand_over: Action,
) -> dict[Step, Action]:
    """The actions of the function that runs compile jobs; it hands the others to the publisher."""

    def start(state: VersionState) -> str:
        assert state.package and state.jobs
        job = compilation.start(
            deployment.sagemaker,
            deployment.s3,
            state.package,
            compile_settings,
            settings,
            state.jobs.next_attempt,
        )
        # The handler of a rejection in between has found no job to stop.
        if not _is_approved(deployment.sagemaker, state):
            compilation.stop(deployment.sagemaker, job)
            return f"{job}, and stopped: the version was rejected meanwhile"
        return "; ".join([job, *state.jobs.foreign])

    def stop(state: VersionState) -> str:
        assert state.jobs
        for job in state.jobs.running:
            compilation.stop(deployment.sagemaker, job)
        return ", ".join(state.jobs.running)

    def withdraw(state: VersionState) -> str:
        stop(state)
        return hand_over(state)

    return {
        Step.START_COMPILATION: start,
        Step.STOP_COMPILATION: stop,
        Step.PUBLISH: hand_over,
        Step.MOVE_CHANNEL: hand_over,
        Step.ANNOUNCE: hand_over,
        Step.WITHDRAW: withdraw,
        Step.RECORD_FAILURE: hand_over,
        Step.WITHDRAW_STALE: hand_over,
        Step.RECORD_STAGE: hand_over,
    }


def publish_actions(
    deployment: Deployment, notifier: Notifier, compile_settings: CompileSettings
) -> dict[Step, Action]:
    """The actions of the function that may write releases."""

    def publish(state: VersionState) -> str:
        assert state.package and state.jobs
        job = state.jobs.newest.name
        try:
            release = releases.publish(deployment, state.package, compile_settings, job)
        except REFUSED as error:
            # The files do not match the job's report, and would not at the next attempt either.
            return record_failed(deployment, notifier, state, str(error))
        # The handler of a rejection in between has found no release to withdraw.
        if not _is_approved(deployment.sagemaker, state):
            releases.withdraw(deployment, release)
            return f"{release}, and withdrawn: the version was rejected meanwhile"
        move_channels(deployment, notifier)
        since = [state.jobs.first_created, state.package.modified]
        waited = (deployment.now() - max(each for each in since if each)).total_seconds()
        return f"{release}; {publish_release_notice(deployment, notifier, state, release, waited)}"

    def move(state: VersionState) -> str:
        moved = move_channels(deployment, notifier)
        release = state.releases[0]
        # An interrupted publication is announced here, since no later step would do it; a damaged
        # release was withdrawn, and is announced when it is published again.
        if state.seen.announced or not is_complete(
            deployment.s3, deployment.release_bucket, release
        ):
            return moved
        return f"{moved}; {announce(state)}"

    def announce(state: VersionState) -> str:
        return publish_release_notice(deployment, notifier, state, state.releases[0])

    def retire(state: VersionState) -> str:
        assert state.moment
        retired = [
            each
            for each in state.releases_to_retire
            if retention.retire(deployment, each, state.moment)
        ]
        return ", ".join(retired) or "a channel uses it"

    def withdraw(state: VersionState) -> str:
        try:
            moved = move_channels(deployment, notifier)
        except Exception:
            # A channel that cannot be moved must not keep the release available.
            _withdraw_releases(deployment, state)
            raise
        _withdraw_releases(deployment, state)
        publish_withdrawal_notice(deployment, notifier, state)
        return moved

    def withdraw_stale(state: VersionState) -> str:
        moved = move_channels(deployment, notifier)
        for release in state.stale_releases:
            # Its name's living version may have published meanwhile.
            owner = owner_arn(deployment.s3, deployment.release_bucket, release)
            if is_stale(deployment, owner, state.version.arn):
                releases.withdraw(deployment, release)
        return f"{', '.join(state.stale_releases)}; {moved}"

    return {
        Step.PUBLISH: publish,
        Step.MOVE_CHANNEL: move,
        Step.ANNOUNCE: announce,
        Step.WITHDRAW: withdraw,
        Step.RETIRE: retire,
        Step.RECORD_FAILURE: lambda state: record_failure(
            deployment, notifier, state, compile_settings
        ),
        Step.WITHDRAW_STALE: withdraw_stale,
        Step.RECORD_STAGE: lambda state: stages.record(deployment, [state.version.arn]),
    }


def _is_approved(sagemaker: SageMakerClient, state: VersionState) -> bool:
    package = describe(sagemaker, state.version.arn)
    return package is not None and package.approval == APPROVED


def _withdraw_releases(deployment: Deployment, state: VersionState) -> None:
    for release in state.releases:
        releases.withdraw(deployment, release)


def _reason_for_nothing(state: VersionState) -> str:
    if state.seen.approval is Approval.DELETED:
        return "the version does not exist"
    if not state.seen.releasable:
        return leads_to(state.name)
    if state.seen.retired:
        return "its release was retired; cards release retry compiles it again"
    if state.seen.failure_recorded and state.seen.approval is Approval.APPROVED:
        return "its failure is recorded on the version; cards release retry compiles it again"
    return "nothing to do"
