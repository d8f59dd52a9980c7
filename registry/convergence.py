"""The heart: what is so, and the one right next step.

An event only says 'look at package X'. :func:`next_step` looks at what is so, never at what the
event said, so duplicate, late, reordered and lost events need no code of their own. It is pure;
:mod:`registry.observation` looks and :mod:`registry.automation` acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

#: How often a compilation is started for one version and recipe before a person has to look.
ATTEMPT_LIMIT = 3


class Approval(Enum):
    """A version's approval, or that the version is gone."""

    PENDING = "PendingManualApproval"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    DELETED = "Deleted"


class JobState(Enum):
    """The newest compile job of this version and recipe."""

    NONE = "None"
    RUNNING = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    FAILED = "Failed"
    COMPLETED = "Completed"


class Verdict(Enum):
    """What the fidelity gate of a completed job said."""

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
    MOVE_CHANNEL = "move the channel"
    RECORD_FAILURE = "record the failure"


@dataclass(frozen=True)
class Observation:
    """What is so for one version under the deployment's recipe.

    Attributes:
        approval: The version's approval.
        releasable: Whether it is a stage-2 student by its name.
        job: State of its newest compile job.
        attempts: How many compile jobs it has had.
        verdict: The gate's word, once the job is completed.
        released: Whether its release is complete (its manifest exists).
        channel_current: Whether the channel points to what it should, as far as this
            version can change it.
        failure_recorded: Whether the newest job's failure, or its gate's, stands on the version.
    """

    approval: Approval
    releasable: bool
    job: JobState = JobState.NONE
    attempts: int = 0
    verdict: Verdict = Verdict.NONE
    released: bool = False
    channel_current: bool = True
    failure_recorded: bool = False


def next_step(seen: Observation) -> Step:
    """Names the next step; every observation has exactly one."""
    if not seen.releasable:
        return Step.NOTHING
    if seen.approval is not Approval.APPROVED:
        if seen.job is JobState.RUNNING:
            return Step.STOP_COMPILATION
        return Step.NOTHING if seen.channel_current else Step.MOVE_CHANNEL
    if seen.released:
        return Step.NOTHING if seen.channel_current else Step.MOVE_CHANNEL
    if seen.job in (JobState.RUNNING, JobState.STOPPING):
        return Step.WAIT
    if seen.job is JobState.COMPLETED and seen.verdict is Verdict.PASSED:
        return Step.PUBLISH
    if seen.job in (JobState.COMPLETED, JobState.FAILED):
        # A model that fails its gate, or cannot be compiled, does so again: people are told.
        return Step.NOTHING if seen.failure_recorded else Step.RECORD_FAILURE
    if seen.attempts >= ATTEMPT_LIMIT:
        return Step.NOTHING if seen.failure_recorded else Step.RECORD_FAILURE
    return Step.START_COMPILATION
