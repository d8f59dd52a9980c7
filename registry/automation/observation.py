"""Reads everything that the next step of one version depends on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from registry import channels
from registry.compilation import approved_model, job_identity
from registry.compilation import jobs as compilation
from registry.compilation.compile_settings import CompileSettings
from registry.compilation.jobs import CompilationError
from registry.compilation.reports import FIDELITY_REPORT
from registry.convergence import Approval, JobState, Observation, Verdict
from registry.deployment import Deployment
from registry.names import ModelName, compile_job_name, is_version_arn, release_id
from registry.releases import channel_targets, retention
from registry.releases import folders as release_folders
from registry.releases.pointers import ChannelError, Pointer, read_channel
from registry.releases.release_owner import folder_owner, is_stale, owner_arn
from registry.untrusted.text import shortened
from registry.versions import four_eyes, life_cycle
from registry.versions.metadata import (
    CARD_SET_URI,
    COMPILE_FAILED_JOB,
    PROMOTED_FROM,
    RELEASE,
    plain,
)
from registry.versions.name_claims import owner_of
from registry.versions.packages import Package, describe, find

#: What a failure is recorded under where the approval does not count.
FOUR_EYES = "four-eyes"
#: States of the newest job in which another one may be started.
_BEFORE_A_START = (JobState.NONE, JobState.STOPPED, JobState.FAILED)


@dataclass(frozen=True)
class ObservedChannels:
    """All channels at one moment.

    Attributes:
        leader: The newest approved version that has a release; None where none has.
        pointers: Where each points; None for an object that is no pointer.
        wanted: Where each should point.
        protected_releases: The releases that retention keeps; None where they were not computed.
        statements_due: The channels whose statement the publisher must sign.
        unreadable_holds: The cause, by channel whose hold cannot be read.
    """

    leader: str | None
    pointers: Mapping[str, Pointer | None]
    wanted: Mapping[str, Pointer]
    protected_releases: frozenset[str] | None = None
    statements_due: frozenset[str] = frozenset()
    unreadable_holds: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_known(self) -> bool:
        """Whether it is known which releases the channels need; without that none is retired."""
        return not self.unreadable_holds and None not in self.pointers.values()

    @property
    def out_of_date(self) -> tuple[str, ...]:
        """The channels that do not point to what they should, or not by a valid statement."""
        return tuple(
            each
            for each in self.wanted
            if self.pointers[each] != self.wanted[each] or each in self.statements_due
        )

    @property
    def pointed(self) -> frozenset[str]:
        """The versions that some channel points to."""
        arns = (each.package_arn for each in self.pointers.values() if each)
        return frozenset(arn for arn in arns if arn)

    def pointing_to(self, arn: str) -> tuple[str, ...]:
        """The channels that point to a version."""
        found = self.pointers.items()
        return tuple(name for name, each in found if each and each.package_arn == arn)


@dataclass(frozen=True)
class VersionRef:
    """The version to observe.

    Attributes:
        arn: Its ARN.
        name: Its name, where the caller knows it: the jobs and releases of a deleted version are
            found by nothing else.
    """

    arn: str
    name: ModelName | None = None


@dataclass(frozen=True)
class VersionState:
    """The observed state of a version, and what an action on it needs.

    Attributes:
        version: The version that was asked about.
        package: The version; None when it is gone.
        name: Its name, also of one that is gone, where it is known.
        jobs: Its compile jobs.
        fidelity: The gate's report, where a completed job left one.
        releases: Its complete releases, newest first: those whose manifests name its ARN.
        channels: The channels that point to it.
        releases_to_retire: Those that retention marks, or whose files it deletes.
        moment: When this was observed.
        stale_releases: Complete releases of its name that were made from a version that was
            deleted, or whose manifests cannot be read.
        mark: What its failure is recorded under: the job's name, or that of a job that could not
            be started.
        doubt: Why its approval does not count by the rule of four eyes; empty where it does.
    """

    seen: Observation
    version: VersionRef
    package: Package | None = None
    name: ModelName | None = None
    jobs: compilation.CompileJobs | None = None
    fidelity: Mapping[str, Any] | None = None
    releases: tuple[str, ...] = ()
    releases_to_retire: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    mark: str = ""
    moment: datetime | None = None
    stale_releases: tuple[str, ...] = ()
    doubt: str = ""

    @property
    def label(self) -> str:
        """The version's name, or its ARN: for messages."""
        return str(self.name) if self.name else self.version.arn


def observe(
    deployment: Deployment,
    version: VersionRef,
    compile_settings: CompileSettings,
    channels: ObservedChannels | None = None,
) -> VersionState:
    """Observes everything that the next step of one version depends on.

    Args:
        deployment: Clients, names and settings.
        version: The version.
        compile_settings: The deployment's compile settings.
        channels: As observed a moment ago, for a caller that observes many versions.
    """
    package = describe(deployment.sagemaker, version.arn)
    approval = Approval(package.approval) if package else Approval.DELETED
    name = package.name if package else version.name
    foreign = package is not None and package.group != deployment.group_name
    if name is None or foreign or not name.releasable:
        return VersionState(Observation(approval, releasable=False), version, package, name)
    if package and not _has_own_name(deployment, package, name):
        return _under_foreign_name(version, package, name, compile_settings)
    folders = list(release_folders.folders(deployment.s3, deployment.release_bucket, str(name)))
    if package is None:
        folders = _folders_of_deleted(deployment, version.arn, folders)
    releases, stale_releases = _releases(deployment, version.arn, folders)
    own_release = release_id(name, compile_settings.compiler, compile_settings.id)
    approved = approval is Approval.APPROVED
    unpublished = approved and own_release not in releases
    # Only what a publication would use is compared with the records of what was started.
    fault_of = partial(_foreign_fault, deployment) if unpublished else lambda job: ""
    jobs = compilation.jobs_of(
        deployment.sagemaker,
        version.arn,
        name,
        compile_settings,
        fault_of,
        package.created if package else None,
    )
    is_ghost = package is None and bool(folders or jobs.running)
    if is_ghost and _has_living_version(deployment, name):
        # The version that has the name now decides about what is left of this one.
        return VersionState(Observation(approval, releasable=False), version, package, name)
    newest = jobs.newest
    fidelity, fault = None, ""
    if unpublished and package and newest.state in _BEFORE_A_START and package.model_data_url:
        fault = approved_model.fault(deployment.s3, package)
    doubt, approver = "", None
    if deployment.four_eyes and unpublished and package:
        approver = four_eyes.approver(package, deployment.publisher_role_arn)
        authors = four_eyes.authors(deployment.sagemaker, package)
        doubt = four_eyes.fault(package.label, authors, approver)
    fault = doubt or fault
    archive_intact = not fault
    if newest.state is JobState.COMPLETED and unpublished and not doubt:
        try:
            fidelity = compilation.read_report(
                deployment.s3, deployment.training_bucket, newest.name, FIDELITY_REPORT
            )
        except CompilationError as error:
            fault = str(error)
    metadata = package.metadata if package else {}
    channels = channels or observe_channels(deployment)
    leads, current = channel_status(channels, version.arn, approved)
    moment = deployment.now()
    protected = None
    has_files = any(each.published or (each.retired and each.heavy) for each in folders)
    if deployment.keep_releases is not None and approved and has_files:
        protected = channels.protected_releases or protected_releases(
            deployment, release_folders.folders(deployment.s3, deployment.release_bucket)
        )
    releases_to_retire = (
        ()
        if deployment.keep_releases is None or not channels.needs_known
        else retention.releases_to_retire(folders, protected, moment)
    )
    announced = metadata.get(RELEASE)
    mark = newest.name or compile_job_name(name, compile_settings.id, 1)
    if doubt:
        # Another person's approval is another matter, whatever became of the job.
        mark = shortened(plain(f"{FOUR_EYES} {approver or 'nobody known'}"))
    pointing = channels.pointing_to(version.arn)
    recorded = package.life_cycle if package else None
    wanted = life_cycle.stage(pointing, approval.value, released=bool(releases), recorded=recorded)
    seen = Observation(
        approval=approval,
        releasable=True,
        compilable=package is not None
        and archive_intact
        and bool(package.model_data_url and metadata.get(CARD_SET_URI)),
        job=JobState.RUNNING if jobs.running and not approved else newest.state,
        attempts=jobs.attempts,
        refused=newest.refused,
        verdict=compilation.gate_verdict(fidelity) if fidelity is not None else Verdict.NONE,
        released=own_release in releases,
        released_otherwise=any(each != own_release for each in releases),
        leads=leads,
        channel_current=current,
        announced=announced is not None and (not approved or announced in releases[:1]),
        superseded=bool(releases_to_retire),
        retired=not releases and retention.is_retired(folders, own_release, newest.created),
        failure_recorded=metadata.get(COMPILE_FAILED_JOB) == mark,
        stale=bool(stale_releases),
        stage_recorded=package is None or wanted is None or wanted.same_stage(recorded),
    )
    return VersionState(
        seen,
        version,
        package,
        name,
        jobs.with_reason(fault),
        fidelity,
        releases,
        releases_to_retire,
        pointing,
        mark,
        moment,
        stale_releases,
        doubt,
    )


def _has_own_name(deployment: Deployment, package: Package, name: ModelName) -> bool:
    """Whether a version's name was given to it: to the job that made it, or to the version of
    another deployment that it is a copy of. A name that nobody has claimed is its own."""
    owner = owner_of(deployment.s3, deployment.training_bucket, name)
    copied_from = package.metadata.get(PROMOTED_FROM, "")
    sources = {package.generated_by, copied_from if is_version_arn(copied_from) else ""}
    return not owner or owner in sources


def _under_foreign_name(
    version: VersionRef, package: Package, name: ModelName, compile_settings: CompileSettings
) -> VersionState:
    """A version whose name was given to another one: nothing is done under that name, and where
    people approved it, the cause is recorded."""
    approval = Approval(package.approval)
    mark = compile_job_name(name, compile_settings.id, 1)
    seen = Observation(
        approval,
        releasable=approval is Approval.APPROVED,
        compilable=False,
        leads=False,
        failure_recorded=package.metadata.get(COMPILE_FAILED_JOB) == mark,
    )
    why = "its name was given to another version; register it from its own training job"
    jobs = compilation.CompileJobs(compilation.CompileJob(reason=why))
    return VersionState(seen, version, package, name, jobs, mark=mark)


def _foreign_fault(deployment: Deployment, job: Mapping[str, Any]) -> str:
    """Why a compile job is not one that this deployment started; empty where it is."""
    try:
        job_identity.require_started_here(deployment.s3, deployment.training_bucket, job)
    except job_identity.ForeignJobError as error:
        return str(error)
    return ""


def _folders_of_deleted(
    deployment: Deployment, arn: str, folders: Iterable[release_folders.Folder]
) -> list[release_folders.Folder]:
    """Of the folders of a name, those whose manifests say that a version that is gone made them.

    The name came with an event, which may name any version; the manifest was written by the
    publisher.
    """
    return [
        each
        for each in folders
        if folder_owner(deployment.s3, deployment.release_bucket, each) == arn
    ]


def _has_living_version(deployment: Deployment, name: ModelName) -> bool:
    return find(deployment.sagemaker, deployment.group_name, name) is not None


def _releases(
    deployment: Deployment, arn: str, folders: Iterable[release_folders.Folder]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A version's own complete releases, and stale ones of its name; newest first."""
    own, stale = [], []
    for release in release_folders.complete(folders):
        owner = owner_arn(deployment.s3, deployment.release_bucket, release)
        if owner == arn:
            own.append(release)
        elif is_stale(deployment, owner, arn):
            stale.append(release)
    return tuple(own), tuple(stale)


def observe_channels(deployment: Deployment) -> ObservedChannels:
    """Reads where the channels point, and computes where they should."""
    pointers: dict[str, Pointer | None] = {}
    names = [each.name for each in channels.CHANNELS]
    due, moment = set(), deployment.now()
    for each in names:
        try:
            found = read_channel(deployment.s3, deployment.release_bucket, each)
            pointers[each] = found.pointer if found else Pointer(None)
            if found and found.needs_statement(
                each, moment, channel_targets.rollout(deployment, each, found.pointer)
            ):
                due.add(each)
        except ChannelError:
            pointers[each] = None
    leader = channel_targets.newest(deployment)
    wanted = {each: channel_targets.compute(deployment, each, leader) for each in names}
    return ObservedChannels(
        leader.package_arn,
        pointers,
        wanted,
        statements_due=frozenset(due),
        unreadable_holds=channel_targets.unreadable_holds(deployment),
    )


def protected_releases(
    deployment: Deployment, every: Iterable[release_folders.Folder]
) -> frozenset[str]:
    """The releases that retention keeps; all of them where a channel cannot be read.

    Args:
        deployment: Clients, names and settings.
        every: All folders of the release bucket.
    """
    rows = list(every)
    try:
        in_use = channel_targets.releases_in_use(deployment)
    except ChannelError:
        in_use = frozenset(each.release for each in rows)
    return retention.protected_releases(rows, in_use, deployment.keep_releases or len(rows))


def channel_status(channels: ObservedChannels, arn: str, approved: bool) -> tuple[bool, bool]:
    """Whether the version leads, and whether the channels are right as far as it can change them.

    A version without approval only must not be pointed to; other repairs of the channels are not
    its step.
    """
    if not approved:
        return False, arn not in channels.pointed
    return channels.leader in (None, arn), not channels.out_of_date
