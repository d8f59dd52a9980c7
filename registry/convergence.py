"""The heart: what is so, and the one right next step.

An event only says 'look at package X'. :func:`next_step` looks at what is so, never at what the
event said, so duplicate, late, reordered and lost events need no code of their own. It is pure;
:mod:`registry.automation.observation` looks and :mod:`registry.automation.actions` acts.
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
    """What the fidelity gate of a completed job said; NONE also where its report is damaged."""

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


@dataclass(frozen=True)
class Observation:
    """What is so for one version under the deployment's recipe.

    Attributes:
        approval: The version's approval.
        releasable: Whether it is a stage-2 student by its name.
        compilable: Whether it says where its model and its cards are.
        job: State of its newest compile job.
        attempts: How many compile jobs it has had.
        refused: Whether the newest job failed for what it was given, and not for its machine.
        verdict: The gate's word, once the job is completed.
        released: Whether its release by this recipe is complete (its manifest exists).
        released_otherwise: Whether a release of it by another recipe is complete.
        leads: Whether no newer approved version takes its place in the channels.
        channel_current: Whether the channels point to what they should, as far as this version
            can change it.
        announced: Whether the version names its release, which is done once people are told.
        superseded: Whether retention has releases of it to let go, or files of them to delete.
        retired: Whether its release was let go, and no job was started since.
        failure_recorded: Whether the newest job's failure, or its gate's, stands on the version.
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


def next_step(seen: Observation) -> Step:
    """Names the next step; every observation has exactly one."""
    if not seen.releasable:
        return Step.NOTHING
    if seen.approval is not Approval.APPROVED:
        return _leave(seen)
    if (seen.released or seen.released_otherwise) and not seen.channel_current:
        return Step.MOVE_CHANNEL
    if seen.superseded:
        return Step.RETIRE
    # A newer recipe compiles again what devices get, and leaves what is history.
    if seen.released or (seen.released_otherwise and not seen.leads):
        return Step.NOTHING if seen.announced else Step.ANNOUNCE
    if seen.retired:
        return Step.NOTHING
    if seen.job in (JobState.RUNNING, JobState.STOPPING):
        return Step.WAIT
    if _can_try(seen):
        return Step.START_COMPILATION
    if seen.failure_recorded:
        return Step.NOTHING
    passed = seen.job is JobState.COMPLETED and seen.verdict is Verdict.PASSED
    return Step.PUBLISH if passed else Step.RECORD_FAILURE


def _leave(seen: Observation) -> Step:
    """Of a version that is not approved nothing runs, and nothing is to be had."""
    visible = seen.released or seen.released_otherwise or seen.announced
    if visible or not seen.channel_current:
        return Step.WITHDRAW
    if seen.superseded:
        return Step.RETIRE
    return Step.STOP_COMPILATION if seen.job is JobState.RUNNING else Step.NOTHING


def _can_try(seen: Observation) -> bool:
    """A job that has not been, was stopped, or failed for its machine's sake.

    A model that fails its gate, or that the compiler refuses, does so again: people are told.
    """
    if not seen.compilable or seen.attempts >= ATTEMPT_LIMIT:
        return False
    if seen.job is JobState.FAILED:
        return not seen.refused
    return seen.job in (JobState.NONE, JobState.STOPPED)
