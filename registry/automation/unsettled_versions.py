"""Which versions have to be observed one by one: those that lists do not show to be settled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from registry.automation.observation import (
    ObservedChannels,
    VersionRef,
    observe_channels,
    protected_releases,
)
from registry.automation.reconciler_state import State
from registry.compilation import jobs as compilation
from registry.compilation.compile_settings import CompileSettings
from registry.convergence import JobState
from registry.deployment import Deployment
from registry.names import ModelName, name_in_description, parse_compile_job, release_id
from registry.releases.folders import Folder, folders
from registry.releases.release_owner import folder_owner
from registry.releases.retention import is_retired, releases_to_retire
from registry.versions import life_cycle
from registry.versions.packages import APPROVED, PackageSummary, iterate


@dataclass(frozen=True)
class VersionLists:
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
class Candidate:
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


def read_lists(deployment: Deployment, compile_settings: CompileSettings) -> VersionLists:
    """Reads the lists: a page for a hundred or a thousand versions, jobs and releases."""
    versions = list(iterate(deployment.sagemaker, deployment.group_name))
    jobs: dict[ModelName, Mapping[str, Any]] = {}
    attempts: dict[ModelName, int] = {}
    running: dict[ModelName, str] = {}
    oldest = min((each.created for each in versions), default=None)
    for row in compilation.list_jobs(deployment.sagemaker, version_created=oldest):
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
    return VersionLists(versions, jobs, running, by_name, channels)


def unsettled_versions(
    lists: VersionLists,
    compile_settings: CompileSettings,
    moment: datetime,
    since: datetime | None,
    state: State,
) -> Iterator[Candidate]:
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
            yield Candidate(label, row.version, row.arn, row.name)
    yield from _deleted_versions(lists, known)


def _may_be_unsettled(
    row: PackageSummary,
    lists: VersionLists,
    compile_settings: CompileSettings,
    moment: datetime,
    since: datetime | None,
) -> bool:
    recent = is_recent(row.created, since)
    if row.name is None or not row.name.releasable:
        return recent  # Its lineage may be missing.
    if recent:
        return True
    version_folders = lists.folders.get(str(row.name), [])
    if any(each.published and each.published < row.created for each in version_folders):
        return True  # A deleted version of the same name has left it.
    if not _has_right_stage(row, version_folders, lists.channels):
        return True
    if row.approval != APPROVED:
        return (
            bool(version_folders) or row.name in lists.running or row.arn in lists.channels.pointed
        )
    complete = [each for each in version_folders if each.published]
    retention_known = lists.channels.needs_known
    if retention_known and releases_to_retire(
        version_folders, lists.channels.protected_releases, moment
    ):
        return True
    job = lists.jobs.get(row.name)
    own = release_id(row.name, compile_settings.compiler, compile_settings.id)
    if not complete and is_retired(version_folders, own, job["CreationTime"] if job else None):
        return False
    has_own = any(each.release == own for each in complete)
    leader = lists.channels.leader
    if complete and row.arn != leader and row.arn not in lists.older:
        return True  # Newer than the leader, and not the leader: its release cannot be read.
    if has_own or (complete and leader not in (None, row.arn)):
        # Its release is there; was it announced?
        return any(each.published and is_recent(each.published, since) for each in complete)
    return True


def _has_right_stage(
    row: PackageSummary, version_folders: Sequence[Folder], channels: ObservedChannels
) -> bool:
    """Whether the list shows the life-cycle stage that the version should have."""
    wanted = life_cycle.stage(
        channels.pointing_to(row.arn),
        row.approval,
        released=any(each.published for each in version_folders),
        recorded=row.life_cycle,
    )
    return wanted is None or wanted.same_stage(row.life_cycle)


def is_recent(when: datetime, since: datetime | None) -> bool:
    """Whether a time is in the part of the past that lists do not settle; None: all of it."""
    return since is None or when > since


def _deleted_versions(lists: VersionLists, known: set[ModelName]) -> Iterator[Candidate]:
    """Versions that were deleted and left a release or a running job behind."""
    for label, rows in lists.folders.items():
        name = name_in_description(label)
        if name and name not in known:
            for each in rows:
                if each.published or (each.retired and each.heavy):
                    yield Candidate(label, 0, name=name, folder=each)
    for name, job in lists.running.items():
        if name not in known:
            yield Candidate(str(name), 0, name=name, job=job)
