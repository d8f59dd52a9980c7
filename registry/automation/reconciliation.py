"""Finds versions whose events were lost, and hands each repair to the function that makes it.

Events get lost, functions crash, people edit buckets. So every version is checked again from time
to time, by the same :func:`registry.convergence.next_step` as for an event. Lists come first
(versions, jobs, releases: a page for a hundred or a thousand); only versions that they do not show
to be settled are observed one by one. The reconciler itself writes nothing but where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from registry.automation import reconciler_state
from registry.automation.actions import MOVE_CHANNELS
from registry.automation.channel_checks import channel_faults
from registry.automation.halted_rollouts import HALT, HALT_ROLLOUTS, check_rollouts
from registry.automation.observation import ObservedChannels, VersionRef, observe
from registry.automation.reconciler_state import State
from registry.automation.unregistered_jobs import unregistered_jobs
from registry.automation.unsettled_versions import (
    Candidate,
    VersionLists,
    is_recent,
    read_lists,
    unsettled_versions,
)
from registry.compilation.compile_settings import CompileSettings
from registry.convergence import Step, next_step
from registry.deployment import Deployment
from registry.lineage.ancestry import artifact_of

#: Versions that changed within this time before the last clean pass are observed whatever the
#: lists show: a list does not say whether a release was announced.
LOOKBACK = timedelta(days=2)
#: An event counts as lost after this time.
PATIENCE = timedelta(minutes=5)
#: For how many versions one run retires releases: when retention is switched on, there may be
#: thousands.
RETIRE_LIMIT = 200
#: How often one training job is handed to registration before a person has to decide.
REGISTRATION_LIMIT = 3
REGISTER, RECORD_LINEAGE = "register the model", "record the lineage"
#: After how many observed versions a run records where it is.
_SAVE_EVERY = 100
#: The functions that make repairs.
REGISTRAR, COMPILER, PUBLISHER = "register", "compile", "publish"


@dataclass(frozen=True)
class Repair:
    """One repair for a function to make.

    Attributes:
        what: The version's name or its ARN, the training job, or ``channels``.
        step: The step to take, in words.
        function: Which of the functions does it.
        event: The detail of the event to send to it.
    """

    what: str
    step: str
    function: str
    event: Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """Something that could not be checked, or a repair that could not be forwarded.

    Attributes:
        what: The version's name or its ARN, the training job, or the channels.
        cause: The error.
    """

    what: str
    cause: str


@dataclass
class ReconciliationReport:
    """What one run did.

    Attributes:
        versions: In the group.
        looked: How many were observed one by one.
        finished: Whether the run reached the last version.
        failures: What could not be checked or forwarded; the run went on after each.
        unreadable_holds: The cause, by channel whose hold cannot be read.
        unreadable_reports: How many objects below ``devices/`` are no device's report; they are
            read while a release is rolled out to a share of the devices.
    """

    versions: int = 0
    looked: int = 0
    repairs: list[Repair] = field(default_factory=list)
    finished: bool = False
    failures: list[Failure] = field(default_factory=list)
    unreadable_holds: Mapping[str, str] = field(default_factory=dict)
    unreadable_reports: int = 0


def reconcile(
    deployment: Deployment,
    compile_settings: CompileSettings,
    act: Callable[[Repair], None],
    *,
    has_time: Callable[[], bool] = lambda: True,
    resume: bool = True,
) -> ReconciliationReport:
    """Checks every version, and forwards every repair that is needed.

    Args:
        deployment: Clients, names and settings.
        compile_settings: The deployment's compile settings.
        act: Hands a repair to the function that makes it.
        has_time: Asked before each version; when it returns False, the next run continues there.
        resume: Start where the last run stopped, and record where this one stops. Without it,
            the run counts on a clean pass just now.
    """
    moment = deployment.now()
    state = reconciler_state.read(deployment) if resume else State(clean=moment)
    if not state.below or state.started is None:
        state.started, state.repaired = moment, False
    # An outage of any length, or a repair that was lost too, makes the time longer.
    since = state.clean - LOOKBACK if state.clean else None
    run = _Run(deployment, compile_settings, act, state, moment, since)
    run.check_all(has_time, resume)
    return run.report


class _Run:
    """One run of the reconciler over the lists of one moment.

    A fault with one version, one job or one repair is recorded and does not delay others.
    """

    def __init__(
        self,
        deployment: Deployment,
        compile_settings: CompileSettings,
        act: Callable[[Repair], None],
        state: State,
        moment: datetime,
        since: datetime | None,
    ) -> None:
        self._deployment, self._compile_settings, self._act = deployment, compile_settings, act
        self._state, self._moment, self._since = state, moment, since
        self._retirements = 0
        self.report = ReconciliationReport()

    def check_all(self, has_time: Callable[[], bool], record: bool) -> None:
        """Checks the channels, the versions and the training jobs, and records where it stops."""
        state, report = self._state, self.report
        lists = read_lists(self._deployment, self._compile_settings)
        report.versions = len(lists.versions)
        report.unreadable_holds = lists.channels.unreadable_holds
        faulty = set(lists.channels.out_of_date)
        with self._recording_failures("channels"):
            faulty |= set(channel_faults(self._deployment))
        if faulty:
            out_of_date = " and ".join(sorted(faulty))
            self._forward(Repair(out_of_date, Step.MOVE_CHANNEL.value, PUBLISHER, MOVE_CHANNELS))
        with self._recording_failures("roll-outs"):
            self._check_rollouts()
        unsettled = unsettled_versions(
            lists, self._compile_settings, self._moment, self._since, state
        )
        for candidate in unsettled:
            if not has_time():
                state.below = candidate.number + 1
                break
            self._check(candidate, lists)
            if record and report.looked % _SAVE_EVERY == 0:
                state.below = candidate.number
                reconciler_state.write(self._deployment, state)
        else:
            state.below = 0
            report.finished = True
            self._register_jobs(lists)
        self._conclude(lists)
        if record:
            reconciler_state.write(self._deployment, state)

    def _check_rollouts(self) -> None:
        """Forwards what devices' reports show to be halted."""
        check = check_rollouts(self._deployment)
        self.report.unreadable_reports = len(check.reports.unreadable)
        if check.failing:
            channels = " and ".join(each.rollout.channel for each in check.failing)
            self._forward(Repair(channels, HALT, PUBLISHER, HALT_ROLLOUTS))

    def _check(self, candidate: Candidate, lists: VersionLists) -> None:
        """Observes one version, and forwards its repair; a version with one stays open."""
        self.report.looked += 1
        open_versions = self._state.open
        with self._recording_failures(candidate.label) as failures:
            version = candidate.find(self._deployment)
            if version is None:
                return
            was_open = open_versions.pop(version.arn, None) is not None
            since = None if was_open else self._since
            repair = _needed_repair(
                self._deployment,
                version,
                self._compile_settings,
                lists.channels,
                self._moment,
                since,
            )
            if repair is None:
                return
            if repair.step == Step.RETIRE.value:
                self._retirements += 1
                if self._retirements > RETIRE_LIMIT:
                    return
            open_versions[version.arn] = candidate.label
            self._forward(repair)
        if failures and candidate.arn:
            open_versions[candidate.arn] = candidate.label

    def _register_jobs(self, lists: VersionLists) -> None:
        """Forwards the training jobs that have no version."""
        since = self._since or self._moment - LOOKBACK
        counts = self._state.registrations
        known = frozenset(str(row.name) for row in lists.versions if row.name)
        with self._recording_failures("training jobs"):
            for job in unregistered_jobs(
                self._deployment, since, self._moment - PATIENCE, known, self._record_failure
            ):
                if counts.get(job, 0) < REGISTRATION_LIMIT:
                    counts[job] = counts.get(job, 0) + 1
                    self._state.repaired = True
                    self._forward(Repair(job, REGISTER, REGISTRAR, {"TrainingJobName": job}))

    def _conclude(self, lists: VersionLists) -> None:
        """Removes deleted versions from the open ones, and records a clean pass."""
        state = self._state
        there = {row.arn for row in lists.versions}
        state.open = {arn: label for arn, label in state.open.items() if arn in there}
        # What does not fit the list of open versions is found by its age.
        if len(state.open) > reconciler_state.OPEN_LIMIT:
            state.repaired = True
        if self.report.finished and not state.repaired:
            state.clean = state.started

    def _forward(self, repair: Repair) -> None:
        with self._recording_failures(repair.what):
            self._act(repair)
            self.report.repairs.append(repair)

    @contextmanager
    def _recording_failures(self, subject: str) -> Iterator[list[Exception]]:
        """Records what its body raises, and continues after it."""
        failures: list[Exception] = []
        try:
            yield failures
        except Exception as error:
            failures.append(error)
            self._record_failure(subject, error)

    def _record_failure(self, subject: str, error: Exception) -> None:
        self.report.failures.append(Failure(subject, f"{type(error).__name__}: {error}"))


def _needed_repair(
    deployment: Deployment,
    version: VersionRef,
    compile_settings: CompileSettings,
    channels: ObservedChannels,
    moment: datetime,
    since: datetime | None,
) -> Repair | None:
    state = observe(deployment, version, compile_settings, channels)
    step = next_step(state.seen)
    event = {"ModelPackageArn": version.arn}
    if state.name:
        event["ModelName"] = str(state.name)
    if step not in (Step.NOTHING, Step.WAIT):
        function = PUBLISHER if step is Step.RETIRE else COMPILER
        because = f": {state.doubt}" if step is Step.RECORD_FAILURE and state.doubt else ""
        return Repair(state.label, step.value + because, function, event)
    package = state.package
    if package is None or package.created >= moment - PATIENCE:
        return None
    if is_recent(package.created, since) and artifact_of(deployment.sagemaker, version.arn) is None:
        return Repair(state.label, RECORD_LINEAGE, COMPILER, event)
    return None
