"""Finds versions whose events were lost, and hands each repair to the function that makes it.

Events get lost, functions crash, people edit buckets. So every version is checked again from time
to time, by the same :func:`registry.convergence.next_step` as for an event. Lists come first
(versions, jobs, releases: a page for a hundred or a thousand); only versions that they do not show
to be settled are observed one by one. The reconciler itself writes nothing but where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from registry.automation import reconciler_state
from registry.automation.actions import MOVE_CHANNELS
from registry.automation.channel_checks import channel_faults
from registry.automation.observation import (
    ObservedChannels,
    VersionRef,
    observe,
    observe_channels,
    protected_releases,
)
from registry.automation.reconciler_state import State
from registry.automation.unregistered_jobs import unregistered_jobs
from registry.compilation import jobs as compilation
from registry.compilation.compile_settings import CompileSettings
from registry.convergence import JobState, Step, next_step
from registry.deployment import Deployment
from registry.lineage.ancestry import artifact_of
from registry.names import (
    ModelName,
    name_in_description,
    parse_compile_job,
    release_id,
)
from registry.releases.folders import Folder, folders
from registry.releases.release_owner import folder_owner
from registry.releases.retention import is_retired, releases_to_retire
from registry.versions import life_cycle
from registry.versions.packages import APPROVED, PackageSummary, iterate

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
    """

    versions: int = 0
    looked: int = 0
    repairs: list[Repair] = field(default_factory=list)
    finished: bool = False
    failures: list[Failure] = field(default_factory=list)
    unreadable_holds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Lists:
    """What lists show of all versions at once."""

    versions: list[PackageSummary]
    jobs: Mapping[ModelName, Mapping[str, Any]]
    running: Mapping[ModelName, str]
    folders: Mapping[str, list[Folder]]
    channels: ObservedChannels

    @cached_property
    def older(self) -> frozenset[str]:
        """The versions that are older than the leader."""
        arns = [row.arn for row in self.versions]
        leader = self.channels.leader
        return frozenset(arns[arns.index(leader) + 1 :]) if leader in arns else frozenset()


@dataclass(frozen=True)
class _Candidate:
    """A version to observe; of one that was deleted, what names it.

    Attributes:
        label: For messages.
        number: Its number in the group; 0 for a deleted one.
        arn: Its ARN; empty for a deleted one.
        name: Its name, where it has one.
        folder: The release that a deleted version left.
        job: The running job that a deleted version left.
    """

    label: str
    number: int
    arn: str = ""
    name: ModelName | None = None
    folder: Folder | None = None
    job: str = ""

    def find(self, deployment: Deployment) -> VersionRef | None:
        """The version; None where what it left does not say which it was."""
        arn: str | None = self.arn
        if self.folder:
            arn = folder_owner(deployment.s3, deployment.release_bucket, self.folder)
        elif self.job:
            arn = compilation.source_of(deployment.sagemaker, self.job)
        return VersionRef(arn, self.name) if arn else None


def reconcile(
    deployment: Deployment,
    compile_settings: CompileSettings,
    act: Callable[[Repair], None],
    *,
    has_time: Callable[[], bool] = lambda: True,
    resume: bool = True,
) -> ReconciliationReport:
    """Checks every version, and hands on every repair that is needed.

    Args:
        deployment: Clients, names and settings.
        compile_settings: The deployment's compile settings.
        act: Hands a repair to the function that makes it.
        has_time: Asked before each version; once it says no, the next run goes on from there.
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

    A fault with one version, one job or one repair is noted and does not keep the others waiting.
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
        lists = _lists(self._deployment, self._compile_settings)
        report.versions = len(lists.versions)
        report.unreadable_holds = lists.channels.unreadable_holds
        faulty = set(lists.channels.out_of_date)
        with self._noting("channels"):
            faulty |= set(channel_faults(self._deployment))
        if faulty:
            out_of_date = " and ".join(sorted(faulty))
            self._hand_on(Repair(out_of_date, Step.MOVE_CHANNEL.value, PUBLISHER, MOVE_CHANNELS))
        unsettled = _unsettled(lists, self._compile_settings, self._moment, self._since, state)
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

    def _check(self, candidate: _Candidate, lists: _Lists) -> None:
        """Observes one version, and hands on its repair; one that has any stays open."""
        self.report.looked += 1
        open_versions = self._state.open
        with self._noting(candidate.label) as noted:
            version = candidate.find(self._deployment)
            if version is None:
                return
            was_open = open_versions.pop(version.arn, None) is not None
            since = None if was_open else self._since
            repair = _look(
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
            self._hand_on(repair)
        if noted and candidate.arn:
            open_versions[candidate.arn] = candidate.label

    def _register_jobs(self, lists: _Lists) -> None:
        """Hands on the training jobs that have no version."""
        since = self._since or self._moment - LOOKBACK
        counts = self._state.registrations
        known = frozenset(str(row.name) for row in lists.versions if row.name)
        with self._noting("training jobs"):
            for job in unregistered_jobs(
                self._deployment, since, self._moment - PATIENCE, known, self._note
            ):
                if counts.get(job, 0) < REGISTRATION_LIMIT:
                    counts[job] = counts.get(job, 0) + 1
                    self._state.repaired = True
                    self._hand_on(Repair(job, REGISTER, REGISTRAR, {"TrainingJobName": job}))

    def _conclude(self, lists: _Lists) -> None:
        """Forgets open versions that are gone, and records a clean pass."""
        state = self._state
        there = {row.arn for row in lists.versions}
        state.open = {arn: label for arn, label in state.open.items() if arn in there}
        # What does not fit the list of open versions is found by its age.
        if len(state.open) > reconciler_state.OPEN_LIMIT:
            state.repaired = True
        if self.report.finished and not state.repaired:
            state.clean = state.started

    def _hand_on(self, repair: Repair) -> None:
        with self._noting(repair.what):
            self._act(repair)
            self.report.repairs.append(repair)

    @contextmanager
    def _noting(self, what: str) -> Iterator[list[Exception]]:
        """Notes what its body raises, and goes on after it."""
        noted: list[Exception] = []
        try:
            yield noted
        except Exception as error:
            noted.append(error)
            self._note(what, error)

    def _note(self, what: str, error: Exception) -> None:
        self.report.failures.append(Failure(what, f"{type(error).__name__}: {error}"))


def _look(
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
        return Repair(state.label, step.value, function, event)
    package = state.package
    if package is None or package.created >= moment - PATIENCE:
        return None
    if (
        _is_recent(package.created, since)
        and artifact_of(deployment.sagemaker, version.arn) is None
    ):
        return Repair(state.label, RECORD_LINEAGE, COMPILER, event)
    return None


def _lists(deployment: Deployment, compile_settings: CompileSettings) -> _Lists:
    versions = list(iterate(deployment.sagemaker, deployment.group_name))
    jobs: dict[ModelName, Mapping[str, Any]] = {}
    attempts: dict[ModelName, int] = {}
    running: dict[ModelName, str] = {}
    for row in compilation.list_jobs(deployment.sagemaker):
        found = parse_compile_job(row["ProcessingJobName"])
        if found is None:
            continue
        name, made_by, attempt = found
        if row["ProcessingJobStatus"] == JobState.RUNNING.value:
            running[name] = row["ProcessingJobName"]
        if made_by == compile_settings.id and attempt > attempts.get(name, 0):
            attempts[name], jobs[name] = attempt, row
    by_name: dict[str, list[Folder]] = {}
    every = list(folders(deployment.s3, deployment.release_bucket))
    for folder in every:
        by_name.setdefault(folder.name, []).append(folder)
    channels = observe_channels(deployment)
    if deployment.keep_releases is not None:
        channels = replace(channels, protected_releases=protected_releases(deployment, every))
    return _Lists(versions, jobs, running, by_name, channels)


def _unsettled(
    lists: _Lists,
    compile_settings: CompileSettings,
    moment: datetime,
    since: datetime | None,
    state: State,
) -> Iterator[_Candidate]:
    """The versions that the lists do not show to be settled, newest first; deleted ones last."""
    known = set()
    below, still_open = state.below, frozenset(state.open)
    for row in lists.versions:
        if row.name:
            known.add(row.name)
        is_left = not below or row.version < below
        if is_left and (
            row.arn in still_open or _may_be_unsettled(row, lists, compile_settings, moment, since)
        ):
            label = str(row.name) if row.name else row.arn
            yield _Candidate(label, row.version, row.arn, row.name)
    yield from _deleted_versions(lists, known)


def _may_be_unsettled(
    row: PackageSummary,
    lists: _Lists,
    compile_settings: CompileSettings,
    moment: datetime,
    since: datetime | None,
) -> bool:
    recent = _is_recent(row.created, since)
    if row.name is None or not row.name.releasable:
        return recent  # Its lineage may be missing.
    if recent:
        return True
    mine = lists.folders.get(str(row.name), [])
    if any(each.published and each.published < row.created for each in mine):
        return True  # A deleted version of the same name has left it.
    if not _has_right_stage(row, mine, lists.channels):
        return True
    if row.approval != APPROVED:
        return bool(mine) or row.name in lists.running or row.arn in lists.channels.pointed
    complete = [each for each in mine if each.published]
    retention_known = lists.channels.needs_known
    if retention_known and releases_to_retire(mine, lists.channels.protected_releases, moment):
        return True
    job = lists.jobs.get(row.name)
    own = release_id(row.name, compile_settings.compiler, compile_settings.id)
    if not complete and is_retired(mine, own, job["CreationTime"] if job else None):
        return False
    ours = any(each.release == own for each in complete)
    leader = lists.channels.leader
    if complete and row.arn != leader and row.arn not in lists.older:
        return True  # Newer than the leader, and not the leader: its release cannot be read.
    if ours or (complete and leader not in (None, row.arn)):
        # Its release is there; was it announced?
        return any(each.published and _is_recent(each.published, since) for each in complete)
    return True


def _has_right_stage(
    row: PackageSummary, mine: Sequence[Folder], channels: ObservedChannels
) -> bool:
    """Whether the list shows the life-cycle stage that the version should have."""
    wanted = life_cycle.stage(
        channels.pointing_to(row.arn),
        row.approval,
        released=any(each.published for each in mine),
        recorded=row.life_cycle,
    )
    return wanted is None or wanted.same_stage(row.life_cycle)


def _is_recent(when: datetime, since: datetime | None) -> bool:
    """Whether a time is in the part of the past that lists do not settle; None: all of it."""
    return since is None or when > since


def _deleted_versions(lists: _Lists, known: set[ModelName]) -> Iterator[_Candidate]:
    """Versions that were deleted and left a release or a running job behind."""
    for label, rows in lists.folders.items():
        name = name_in_description(label)
        if name and name not in known:
            for each in rows:
                if each.published or (each.retired and each.heavy):
                    yield _Candidate(label, 0, name=name, folder=each)
    for name, job in lists.running.items():
        if name not in known:
            yield _Candidate(str(name), 0, name=name, job=job)
