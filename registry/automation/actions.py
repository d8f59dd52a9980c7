"""From 'look at package X' to one step taken: observe, decide, act.

Every automation Lambda calls :func:`converge`; the decision itself is
:func:`registry.convergence.next_step`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from registry import channels
from registry.automation.observation import Situation, Subject, observe
from registry.compilation import jobs as compilation
from registry.compilation.compile_recipe import CompileRecipe
from registry.compilation.compiled_versions import COMPILATION_REPORT, register_compiled
from registry.convergence import Approval, JobState, Observation, Step, Verdict, next_step
from registry.deployment import Deployment
from registry.notices import Notice, NoticeKind, Notifier
from registry.releases import channel_targets, retention
from registry.releases import publication as releases
from registry.releases.manifest import ManifestError
from registry.versions.approval import leads_to
from registry.versions.metadata import (
    COMPILE_FAILED_JOB,
    COMPILE_FAILURE,
    RELEASE,
    plain,
    shortened,
)
from registry.versions.packages import APPROVED, describe


@dataclass(frozen=True)
class Outcome:
    """What :func:`converge` did, for the log."""

    package: str
    step: Step
    result: str


Action = Callable[[Situation], str]
#: The event's detail that makes the publisher look at the channels, whatever version is meant.
MOVE_CHANNELS: Mapping[str, Any] = {"MoveChannels": True}


def converge(
    deployment: Deployment,
    subject: Subject,
    recipe: CompileRecipe,
    actions: Mapping[Step, Action],
    *,
    again: bool = False,
) -> Outcome:
    """Looks at a version and takes the one right next step.

    Args:
        deployment: Clients, names and settings.
        subject: The version that an event named.
        recipe: The deployment's recipe.
        actions: What the caller can do, by step. A step that it has no action for is left, with
            a word in the outcome, to whoever has.
        again: A person's word to compile again what has failed.
    """
    situation = observe(deployment, subject, recipe)
    step = next_step(forgiven(situation.seen) if again else situation.seen)
    if step in (Step.NOTHING, Step.WAIT):
        return Outcome(situation.label, step, _why_nothing(situation))
    action = actions.get(step)
    if action is None:
        return Outcome(situation.label, step, "left to another function")
    return Outcome(situation.label, step, action(situation))


def forgiven(seen: Observation) -> Observation:
    """The same version as if what failed, or was let go, had never been tried."""
    passed = seen.job is JobState.COMPLETED and seen.verdict is Verdict.PASSED
    waiting = seen.job in (JobState.RUNNING, JobState.STOPPING)
    # A job that passed and all the same failed to be published left damaged files.
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
    recipe: CompileRecipe,
    settings: compilation.CompileSettings,
    hand_over: Action,
) -> dict[Step, Action]:
    """What the function that may run compile jobs does; the rest it hands to the publisher."""

    def start(situation: Situation) -> str:
        assert situation.package and situation.jobs
        job = compilation.start(
            deployment.sagemaker,
            situation.package,
            recipe,
            settings,
            situation.jobs.newest.attempt + 1,
        )
        # Whoever was told of a rejection in between has found no job to stop.
        if not _is_approved(deployment.sagemaker, situation):
            compilation.stop(deployment.sagemaker, job)
            return f"{job}, and stopped: the version was rejected meanwhile"
        return job

    def stop(situation: Situation) -> str:
        assert situation.jobs
        for job in situation.jobs.running:
            compilation.stop(deployment.sagemaker, job)
        return ", ".join(situation.jobs.running)

    def withdraw(situation: Situation) -> str:
        stop(situation)
        return hand_over(situation)

    return {
        Step.START_COMPILATION: start,
        Step.STOP_COMPILATION: stop,
        Step.PUBLISH: hand_over,
        Step.MOVE_CHANNEL: hand_over,
        Step.ANNOUNCE: hand_over,
        Step.WITHDRAW: withdraw,
        Step.RECORD_FAILURE: hand_over,
    }


def publish_actions(
    deployment: Deployment, notifier: Notifier, recipe: CompileRecipe
) -> dict[Step, Action]:
    """What the function that may write releases does."""

    def publish(situation: Situation) -> str:
        assert situation.package and situation.jobs
        job = situation.jobs.newest.name
        try:
            release = releases.publish(deployment, situation.package, recipe, job)
        except (compilation.CompilationError, ManifestError) as error:
            # What the job left is not what its report says, and will not be next time either.
            return _fail(deployment, notifier, situation, str(error))
        # Whoever was told of a rejection in between has found no release to withdraw.
        if not _is_approved(deployment.sagemaker, situation):
            releases.withdraw(deployment, release)
            return f"{release}, and withdrawn: the version was rejected meanwhile"
        move_channels(deployment)
        since = [situation.jobs.first_created, situation.package.modified]
        waited = (deployment.now() - max(each for each in since if each)).total_seconds()
        return f"{release}; {_announce(deployment, notifier, situation, release, waited)}"

    def move(situation: Situation) -> str:
        moved = move_channels(deployment)
        # A publication that ended here has nobody else to announce it.
        return moved if situation.seen.announced else f"{moved}; {announce(situation)}"

    def announce(situation: Situation) -> str:
        return _announce(deployment, notifier, situation, situation.releases[0])

    def retire(situation: Situation) -> str:
        assert situation.moment
        gone = [
            each for each in situation.going if retention.retire(deployment, each, situation.moment)
        ]
        return ", ".join(gone) or "a channel needs it"

    def withdraw(situation: Situation) -> str:
        moved = move_channels(deployment)
        for release in situation.releases:
            releases.withdraw(deployment, release)
        _retract(deployment, notifier, situation)
        return moved

    def record_failure(situation: Situation) -> str:
        return _record_failure(deployment, notifier, situation, recipe)

    return {
        Step.PUBLISH: publish,
        Step.MOVE_CHANNEL: move,
        Step.ANNOUNCE: announce,
        Step.WITHDRAW: withdraw,
        Step.RETIRE: retire,
        Step.RECORD_FAILURE: record_failure,
    }


def _is_approved(sagemaker: Any, situation: Situation) -> bool:
    package = describe(sagemaker, situation.subject.arn)
    return package is not None and package.approval == APPROVED


def move_channels(deployment: Deployment) -> str:
    """Makes every channel point to what it should; says where they point."""
    moved = [(each.name, channel_targets.move(deployment, each.name)) for each in channels.CHANNELS]
    return ", ".join(f"{each} -> {pointer.release or 'nothing'}" for each, pointer in moved)


def _announce(
    deployment: Deployment,
    notifier: Notifier,
    situation: Situation,
    release: str,
    waited: float | None = None,
) -> str:
    """Tells people, and only then writes it down: rather twice than never.

    Args:
        deployment: Clients, names and settings.
        notifier: Publishes the notice.
        situation: The version's.
        release: Its release.
        waited: Seconds since the approval, where it is this publication that they waited for.
    """
    assert situation.package
    notifier.publish(
        Notice(
            NoticeKind.RELEASED,
            situation.label,
            situation.subject.arn,
            f"Release {release} is complete, signed, and in the channels.",
            (
                notifier.command(f"release show {release}"),
                notifier.command("release pull --out release"),
                notifier.command(f"trace {situation.label}"),
            ),
            waited,
        )
    )
    cured = [
        key for key in (COMPILE_FAILED_JOB, COMPILE_FAILURE) if key in situation.package.metadata
    ]
    deployment.sagemaker.update_model_package(
        ModelPackageArn=situation.package.arn,
        CustomerMetadataProperties={RELEASE: release},
        **({"CustomerMetadataPropertiesToRemove": cured} if cured else {}),
    )
    return "announced"


def _retract(deployment: Deployment, notifier: Notifier, situation: Situation) -> None:
    package = situation.package
    if not situation.releases and (package is None or RELEASE not in package.metadata):
        return
    if situation.seen.retired:
        _forget(deployment, situation)  # There is nothing any more that people could miss.
        return
    status = package.approval if package else "deleted"
    reason = package.approval_description if package else ""
    notifier.publish(
        Notice(
            NoticeKind.WITHDRAWN,
            situation.label,
            situation.subject.arn,
            f"The version is {status}{f' ({reason})' if reason else ''}; its release is in no "
            "channel any more. Devices that have it keep it until they pull again.",
            (
                notifier.command("release list"),
                notifier.command(f"trace {situation.label}"),
            ),
        )
    )
    _forget(deployment, situation)


def _forget(deployment: Deployment, situation: Situation) -> None:
    """The version names no release any more."""
    package = situation.package
    if package and RELEASE in package.metadata:
        deployment.sagemaker.update_model_package(
            ModelPackageArn=package.arn, CustomerMetadataPropertiesToRemove=[RELEASE]
        )


def _record_failure(
    deployment: Deployment, notifier: Notifier, situation: Situation, recipe: CompileRecipe
) -> str:
    assert situation.package and situation.jobs
    job = situation.jobs.newest
    if situation.fidelity is not None:
        reasons = [str(reason) for reason in situation.fidelity.get("reasons", [])]
        try:
            register_compiled(
                deployment,
                source=situation.package,
                recipe=recipe,
                job_name=job.name,
                report=compilation.read_report(
                    deployment.s3, deployment.training_bucket, job.name, COMPILATION_REPORT
                ),
                fidelity=situation.fidelity,
            )
        except compilation.CompilationError as error:
            reasons.append(str(error))
        why = "fidelity gate failed: " + ("; ".join(reasons) or "no reason given")
        return _fail(deployment, notifier, situation, why, NoticeKind.GATE_FAILED)
    if not situation.seen.compilable and not job.name:
        return _fail(
            deployment,
            notifier,
            situation,
            "its model artifact or its card set is not recorded, so it cannot be compiled; "
            "register it from its training job",
        )
    attempts = f"{job.attempt} attempt{'s' if job.attempt != 1 else ''}"
    return _fail(
        deployment,
        notifier,
        situation,
        f"{job.state.value} after {attempts}: {job.reason or 'no reason'}",
    )


def _fail(
    deployment: Deployment,
    notifier: Notifier,
    situation: Situation,
    why: str,
    kind: NoticeKind = NoticeKind.NOT_COMPILED,
) -> str:
    """Tells people, and writes the failure on the version."""
    notifier.publish(
        Notice(
            kind,
            situation.label,
            situation.subject.arn,
            why,
            (
                notifier.command(f"trace {situation.label}"),
                notifier.command(f"release retry {situation.label}"),
                notifier.command(f"registry reject {situation.label} --reason …"),
            ),
        )
    )
    deployment.sagemaker.update_model_package(
        ModelPackageArn=situation.subject.arn,
        CustomerMetadataProperties={
            COMPILE_FAILED_JOB: situation.mark,
            COMPILE_FAILURE: shortened(plain(why)),
        },
    )
    return why


def _why_nothing(situation: Situation) -> str:
    if situation.seen.approval is Approval.DELETED:
        return "the version does not exist"
    if not situation.seen.releasable:
        return leads_to(situation.name)
    if situation.seen.retired:
        return "its release was let go by retention; cards release retry compiles it again"
    if situation.seen.failure_recorded and situation.seen.approval is Approval.APPROVED:
        return "its failure is recorded on the version; cards release retry compiles it again"
    return "all is as it should be"
