"""The next step of a version, decided from its observed state alone.

An event only says 'look at package X'. :func:`next_step` reads the observed state, never the
event's content, so duplicate, late, reordered and lost events need no code of their own. It is
pure; :mod:`registry.automation.observation` reads the state and
:mod:`registry.automation.actions` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

#: How many compile jobs are started for one version and compile settings, before a person has to
#: decide.
ATTEMPT_LIMIT = 3


class Approval(Enum):
    """A version's approval, or that the version is gone."""

    PENDING = "PendingManualApproval"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    DELETED = "Deleted"


class JobState(Enum):
    """The newest compile job of this version and compile settings."""

    NONE = "None"
    RUNNING = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    FAILED = "Failed"
    COMPLETED = "Completed"


class Verdict(Enum):
    """The result of a completed job's fidelity gate; NONE also where its report is damaged."""

    NONE = "none"
    PASSED = "passed"
    FAILED = "failed"


class Step(Enum):
    """The next step for one version."""

    NOTHING = "nothing to do"
    WAIT = "wait for the job"
    START_COMPILATION = "start the compilation"
    STOP_COMPILATION = "stop the compilation"
    PUBLISH = "publish the release"
    MOVE_CHANNEL = "move the channels"
    ANNOUNCE = "announce the release"
    WITHDRAW = "withdraw the release"
    RETIRE = "retire old releases"
    RECORD_FAILURE = "record the failure"
    WITHDRAW_STALE = "withdraw a release of a deleted version"
    RECORD_STAGE = "record the life-cycle stage"


@dataclass(frozen=True)
class Observation:
    """The observed state of one version under the deployment's compile settings.

    Attributes:
        approval: The version's approval.
        releasable: Whether it is a stage-2 student by its name.
        compilable: Whether its model artifact and its card set are recorded.
        job: State of its newest compile job.
        attempts: How many compile jobs it has had.
        refused: Whether the newest job failed because of its input, and not because of its machine.
        verdict: The gate's result, once the job is completed.
        released: Whether its release with these compile settings is complete (its manifest exists).
        released_otherwise: Whether a release of it with other compile settings is complete.
        leads: Whether no newer approved version takes its place in the channels.
        channel_current: Whether the channels point to what they should, as far as this version
            can change it.
        announced: Whether the version names its release, which is written after the notice is sent.
        superseded: Whether retention has releases of it to retire, or files of them to delete.
        retired: Whether its release was retired, and no job was started since.
        failure_recorded: Whether the newest job's failure, or its gate's, is on the version.
        stale: Whether a release of its name was made from a version that was deleted, or cannot be
            read.
        stage_recorded: Whether the version's life-cycle stage is what it should be.
    """

    approval: Approval
    releasable: bool
    compilable: bool = True
    job: JobState = JobState.NONE
    attempts: int = 0
    refused: bool = False
    verdict: Verdict = Verdict.NONE
    released: bool = False
    released_otherwise: bool = False
    leads: bool = True
    channel_current: bool = True
    announced: bool = False
    superseded: bool = False
    retired: bool = False
    failure_recorded: bool = False
    stale: bool = False
    stage_recorded: bool = True


def next_step(seen: Observation) -> Step:
    """Returns the next step; every observation has exactly one.

    >>> next_step(Observation(Approval.APPROVED, releasable=True))
    <Step.START_COMPILATION: 'start the compilation'>
    """
    if not seen.releasable:
        return Step.NOTHING
    approved = seen.approval is Approval.APPROVED
    step = _step_with_approval(seen) if approved else _step_without_approval(seen)
    if step is Step.NOTHING and seen.stale:
        return Step.WITHDRAW_STALE
    # The stage mirrors what was done: it is written once nothing else is left to do.
    return Step.RECORD_STAGE if step is Step.NOTHING and not seen.stage_recorded else step


def _step_with_approval(seen: Observation) -> Step:
    """The step that brings an approved version to its release."""
    if (seen.released or seen.released_otherwise) and not seen.channel_current:
        return Step.MOVE_CHANNEL
    if seen.superseded:
        return Step.RETIRE
    # Newer compile settings compile again what devices get, and leave what is history.
    if seen.released or (seen.released_otherwise and not seen.leads):
        return Step.NOTHING if seen.announced else Step.ANNOUNCE
    if seen.retired:
        return Step.NOTHING
    if seen.job in (JobState.RUNNING, JobState.STOPPING):
        return Step.WAIT
    if _may_compile(seen):
        return Step.START_COMPILATION
    if seen.failure_recorded:
        return Step.NOTHING
    passed = seen.job is JobState.COMPLETED and seen.verdict is Verdict.PASSED
    return Step.PUBLISH if passed else Step.RECORD_FAILURE


def _step_without_approval(seen: Observation) -> Step:
    """The step that leaves a version without approval with no job and no release."""
    visible = seen.released or seen.released_otherwise or seen.announced
    if visible or not seen.channel_current:
        return Step.WITHDRAW
    if seen.superseded:
        return Step.RETIRE
    return Step.STOP_COMPILATION if seen.job is JobState.RUNNING else Step.NOTHING


def _may_compile(seen: Observation) -> bool:
    """Whether to start a job: there is none, it was stopped, or its machine failed.

    A model that fails its gate, or that the compiler refuses, would do so again: that failure is
    recorded and a notice is sent instead.
    """
    if not seen.compilable or seen.attempts >= ATTEMPT_LIMIT:
        return False
    if seen.job is JobState.FAILED:
        return not seen.refused
    return seen.job in (JobState.NONE, JobState.STOPPED)
