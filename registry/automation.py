"""From 'look at package X' to one step taken: observe, decide, act.

Every automation Lambda calls :func:`converge`; the decision itself is
:func:`registry.convergence.next_step`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from registry import channel, compilation, releases
from registry.approval import leads_to
from registry.compiled_versions import COMPILATION_REPORT, register_compiled
from registry.convergence import (
    Approval,
    JobState,
    Observation,
    Step,
    Verdict,
    next_step,
)
from registry.metadata import COMPILE_FAILED_JOB, COMPILE_FAILURE, plain, shortened
from registry.names import release_id
from registry.packages import Package, describe
from registry.recipe import Recipe


@dataclass(frozen=True)
class Places:
    """The clients and buckets that looking needs."""

    sagemaker: Any
    s3: Any
    group: str
    training_bucket: str
    release_bucket: str


@dataclass(frozen=True)
class Situation:
    """One look at a version: what was seen, and what acting on it needs.

    Attributes:
        package: The version; None when it is gone.
        job: Its newest compile job under the recipe.
        fidelity: The gate's report, where a completed job left one.
    """

    seen: Observation
    package: Package | None = None
    job: compilation.CompileJob | None = None
    fidelity: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What :func:`converge` did, for the log."""

    package: str
    step: Step
    result: str


Action = Callable[[Situation], str]


def observe(at: Places, package_arn: str, recipe: Recipe) -> Situation:
    """Looks at everything that the next step of one version depends on."""
    package = describe(at.sagemaker, package_arn)
    if package is None:
        return Situation(Observation(Approval.DELETED, releasable=False))
    approval = Approval(package.approval)
    if package.group != at.group or package.name is None or not package.name.releasable:
        return Situation(Observation(approval, releasable=False), package)
    job = compilation.newest_job(at.sagemaker, package.name, recipe)
    release = release_id(package.name, recipe.compiler, recipe.id)
    fidelity = None
    if job.state is JobState.COMPLETED and approval is Approval.APPROVED:
        fidelity = compilation.read_report(
            at.s3, at.training_bucket, job.name, releases.FIDELITY_REPORT
        )
    seen = Observation(
        approval=approval,
        releasable=True,
        job=job.state,
        attempts=job.attempts,
        verdict=compilation.verdict(fidelity) if fidelity is not None else Verdict.NONE,
        released=releases.is_complete(at.s3, at.release_bucket, release),
        channel_current=_channel_current(at, package, approval),
        failure_recorded=package.metadata.get(COMPILE_FAILED_JOB) == job.name != "",
    )
    return Situation(seen, package, job, fidelity)


def converge(
    at: Places, package_arn: str, recipe: Recipe, actions: Mapping[Step, Action]
) -> Outcome:
    """Looks at a version and takes the one right next step.

    Args:
        at: Clients and buckets.
        package_arn: The version that an event named.
        recipe: The deployment's recipe.
        actions: What the caller can do, by step. A step that it has no action for is left, with
            a word in the outcome, to whoever has.
    """
    situation = observe(at, package_arn, recipe)
    step = next_step(situation.seen)
    label = situation.package.label if situation.package else package_arn
    if step in (Step.NOTHING, Step.WAIT):
        return Outcome(label, step, _why_nothing(situation))
    action = actions.get(step)
    if action is None:
        return Outcome(label, step, "left to another function")
    return Outcome(label, step, action(situation))


def compile_actions(
    at: Places, recipe: Recipe, settings: compilation.CompileSettings, hand_over: Action
) -> dict[Step, Action]:
    """What the function that may run compile jobs does; the rest it hands to the publisher."""

    def start(situation: Situation) -> str:
        assert situation.package and situation.job
        return compilation.start(
            at.sagemaker, situation.package, recipe, settings, situation.job.attempts + 1
        )

    def stop(situation: Situation) -> str:
        assert situation.job
        compilation.stop(at.sagemaker, situation.job.name)
        return situation.job.name

    return {
        Step.START_COMPILATION: start,
        Step.STOP_COMPILATION: stop,
        Step.PUBLISH: hand_over,
        Step.MOVE_CHANNEL: hand_over,
        Step.RECORD_FAILURE: hand_over,
    }


def publish_actions(to: releases.Publisher, recipe: Recipe) -> dict[Step, Action]:
    """What the function that may write releases does."""

    def publish(situation: Situation) -> str:
        assert situation.package and situation.job
        release = releases.publish(to, situation.package, recipe, situation.job.name)
        move_channel(situation)
        return release

    def move_channel(_: Situation) -> str:
        pointer = channel.move(to.sagemaker, to.s3, group=to.group, bucket=to.release_bucket)
        return f"stable -> {pointer.release or 'nothing'}"

    def record_failure(situation: Situation) -> str:
        assert situation.package and situation.job
        job = situation.job
        if situation.fidelity is not None:
            reasons = [str(reason) for reason in situation.fidelity.get("reasons", [])]
            reason = "fidelity gate failed: " + ("; ".join(reasons) or "no reason given")
            report = compilation.read_report(
                to.s3, to.training_bucket, job.name, COMPILATION_REPORT
            )
            register_compiled(
                to.sagemaker,
                to.s3,
                group=to.group,
                bucket=to.training_bucket,
                source=situation.package,
                recipe=recipe,
                job_name=job.name,
                report=report,
                fidelity=situation.fidelity,
            )
        else:
            reason = f"{job.state.value} after {job.attempts} attempts: {job.reason or 'no reason'}"
        to.sagemaker.update_model_package(
            ModelPackageArn=situation.package.arn,
            CustomerMetadataProperties={
                COMPILE_FAILED_JOB: job.name,
                COMPILE_FAILURE: shortened(plain(reason)),
            },
        )
        return reason

    return {
        Step.PUBLISH: publish,
        Step.MOVE_CHANNEL: move_channel,
        Step.RECORD_FAILURE: record_failure,
    }


def _channel_current(at: Places, package: Package, approval: Approval) -> bool:
    """Whether ``stable`` is as it should be, as far as this version can change that."""
    pointer, _ = channel.read(at.s3, at.release_bucket)
    points_here = pointer is not None and pointer.package_arn == package.arn
    if approval is not Approval.APPROVED:
        return not points_here
    wanted = channel.compute(at.sagemaker, at.s3, group=at.group, bucket=at.release_bucket)
    return (pointer or channel.Pointer(None)) == wanted


def _why_nothing(situation: Situation) -> str:
    if situation.package is None:
        return "the version does not exist"
    if not situation.seen.releasable:
        return leads_to(situation.package.name)
    if situation.seen.failure_recorded and situation.seen.approval is Approval.APPROVED:
        return "its failure is recorded on the version; a new recipe or version is needed"
    return "all is as it should be"
