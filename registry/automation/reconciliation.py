"""Finds versions whose events were lost, and hands each repair to the function that makes it.

Events get lost, functions crash, people edit buckets. So every version is checked again from time
to time, by the same :func:`registry.convergence.next_step` as for an event. Lists come first
(versions, jobs, releases: a page for a hundred or a thousand); only versions that they do not show
to be settled are observed one by one. The reconciler itself writes nothing but where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from registry.automation.actions import MOVE_CHANNELS
from registry.automation.channel_checks import channel_faults
from registry.automation.observation import (
    ObservedChannels,
    VersionRef,
    observe,
    observe_channels,
    protected_releases,
)
from registry.automation.unregistered_jobs import unregistered_jobs
from registry.aws import is_missing
from registry.compilation import jobs as compilation
from registry.compilation.compile_recipe import CompileRecipe
from registry.convergence import JobState, Step, next_step
from registry.deployment import Deployment
from registry.lineage.ancestry import artifact_of
from registry.names import (
    RECONCILER_PREFIX,
    RELEASES_PREFIX,
    RETIRED,
    ModelName,
    name_in_description,
    parse_compile_job,
    release_id,
)
from registry.releases.folders import Folder, folders
from registry.releases.manifest import MANIFEST, MANIFEST_LIMIT
from registry.releases.retention import is_retired, releases_to_retire
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
STATE_KEY = f"{RECONCILER_PREFIX}state.json"
_STATE_LIMIT = 1024**2
REGISTER, RECORD_LINEAGE = "register the model", "record the lineage"
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


@dataclass
class ReconciliationReport:
    """What one run did.

    Attributes:
        versions: In the group.
        looked: How many were observed one by one.
        finished: Whether the run reached the last version.
    """

    versions: int = 0
    looked: int = 0
    repairs: list[Repair] = field(default_factory=list)
    finished: bool = False


@dataclass
class _State:
    """Where an earlier run stopped.

    Attributes:
        below: Versions of the group with lower numbers are still to be checked; 0 for all.
        registrations: How often each training job was handed to registration.
        started: When the pass began that this run continues.
        repaired: Whether the pass has handed on a repair.
        clean: When the newest pass began that found nothing to repair; None before the first.
    """

    below: int = 0
    registrations: dict[str, int] = field(default_factory=dict)
    started: datetime | None = None
    repaired: bool = False
    clean: datetime | None = None


@dataclass(frozen=True)
class _Lists:
    """What lists show of all versions at once."""

    versions: list[PackageSummary]
    jobs: Mapping[ModelName, Mapping[str, Any]]
    running: Mapping[ModelName, str]
    folders: Mapping[str, list[Folder]]
    channels: ObservedChannels


def reconcile(
    deployment: Deployment,
    recipe: CompileRecipe,
    act: Callable[[Repair], None],
    *,
    has_time: Callable[[], bool] = lambda: True,
    resume: bool = True,
) -> ReconciliationReport:
    """Checks every version, and hands on every repair that is needed.

    Args:
        deployment: Clients, names and settings.
        recipe: The deployment's recipe.
        act: Hands a repair to the function that makes it.
        has_time: Asked before each version; once it says no, the next run goes on from there.
        resume: Start where the last run stopped, and record where this one stops. Without it,
            the run counts on a clean pass just now.
    """
    moment = deployment.now()
    state = _read_state(deployment) if resume else _State(clean=moment)
    if not state.below or state.started is None:
        state.started, state.repaired = moment, False
    # An outage of any length, or a repair that was lost too, makes the time longer.
    since = state.clean - LOOKBACK if state.clean else None
    report = ReconciliationReport()
    lists = _lists(deployment, recipe)
    report.versions = len(lists.versions)

    def hand_on(repair: Repair) -> None:
        report.repairs.append(repair)
        act(repair)

    faulty = {*lists.channels.out_of_date, *channel_faults(deployment)}
    out_of_date = " and ".join(sorted(faulty))
    if out_of_date:
        hand_on(Repair(out_of_date, Step.MOVE_CHANNEL.value, PUBLISHER, MOVE_CHANNELS))
    retiring = 0
    for version, number in _unsettled(deployment, lists, recipe, moment, since, state.below):
        if not has_time():
            state.below = number + 1
            break
        report.looked += 1
        repair = _look(deployment, version, recipe, lists.channels, moment, since)
        is_retirement = repair is not None and repair.step == Step.RETIRE.value
        retiring += is_retirement
        if repair and not (is_retirement and retiring > RETIRE_LIMIT):
            hand_on(repair)
    else:
        state.below = 0
        report.finished = True
    if report.finished:
        jobs_since = since or moment - LOOKBACK
        for job in unregistered_jobs(deployment, jobs_since, moment - PATIENCE, _known(lists)):
            if state.registrations.get(job, 0) < REGISTRATION_LIMIT:
                state.registrations[job] = state.registrations.get(job, 0) + 1
                hand_on(Repair(job, REGISTER, REGISTRAR, {"TrainingJobName": job}))
    state.repaired |= bool(report.repairs)
    if report.finished and not state.repaired:
        state.clean = state.started
    if resume:
        _write_state(deployment, state)
    return report


def _look(
    deployment: Deployment,
    version: VersionRef,
    recipe: CompileRecipe,
    channels: ObservedChannels,
    moment: datetime,
    since: datetime | None,
) -> Repair | None:
    state = observe(deployment, version, recipe, channels)
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


def _lists(deployment: Deployment, recipe: CompileRecipe) -> _Lists:
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
        if made_by == recipe.id and attempt > attempts.get(name, 0):
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
    deployment: Deployment,
    lists: _Lists,
    recipe: CompileRecipe,
    moment: datetime,
    since: datetime | None,
    below: int,
) -> Iterator[tuple[VersionRef, int]]:
    """The versions that the lists do not show to be settled, newest first, and their numbers."""
    known = set()
    for row in lists.versions:
        if row.name:
            known.add(row.name)
        is_left = not below or row.version < below
        if is_left and _may_be_unsettled(row, lists, recipe, moment, since):
            yield VersionRef(row.arn, row.name), row.version
    for name, arn in _deleted_versions(deployment, lists, known):
        yield VersionRef(arn, name), 0


def _may_be_unsettled(
    row: PackageSummary,
    lists: _Lists,
    recipe: CompileRecipe,
    moment: datetime,
    since: datetime | None,
) -> bool:
    recent = _is_recent(row.created, since)
    if row.name is None or not row.name.releasable:
        return recent  # Its lineage may be missing.
    if recent:
        return True
    mine = lists.folders.get(str(row.name), [])
    if row.approval != APPROVED:
        return bool(mine) or row.name in lists.running or row.arn in lists.channels.pointed
    complete = [each for each in mine if each.published]
    if releases_to_retire(mine, lists.channels.protected_releases, moment):
        return True
    job = lists.jobs.get(row.name)
    own = release_id(row.name, recipe.compiler, recipe.id)
    if not complete and is_retired(mine, own, job["CreationTime"] if job else None):
        return False
    ours = any(each.release == own for each in complete)
    if ours or (complete and lists.channels.leader not in (None, row.arn)):
        # Its release is there; was it announced?
        return any(each.published and _is_recent(each.published, since) for each in complete)
    return job is None or job["ProcessingJobStatus"] != JobState.RUNNING.value


def _is_recent(when: datetime, since: datetime | None) -> bool:
    """Whether a time is in the part of the past that lists do not settle; None: all of it."""
    return since is None or when > since


def _deleted_versions(
    deployment: Deployment, lists: _Lists, known: set[ModelName]
) -> Iterator[tuple[ModelName, str]]:
    """Versions that were deleted and left a release or a running job behind: name and ARN."""
    seen = set()
    for label, rows in lists.folders.items():
        name = name_in_description(label)
        left = [each for each in rows if each.published or (each.retired and each.heavy)]
        if name and name not in known and left:
            arn = _source_of_release(deployment, left[0])
            if arn:
                seen.add(name)
                yield name, arn
    for name, job in lists.running.items():
        if name not in known and name not in seen:
            arn = compilation.source_of(deployment.sagemaker, job)
            if arn:
                yield name, arn


def _source_of_release(deployment: Deployment, folder: Folder) -> str | None:
    file = RETIRED if folder.retired else MANIFEST
    try:
        answer = deployment.s3.get_object(
            Bucket=deployment.release_bucket, Key=f"{RELEASES_PREFIX}{folder.release}/{file}"
        )
        return str(json.loads(answer["Body"].read(MANIFEST_LIMIT))["source"]["arn"])
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    except (ValueError, KeyError, TypeError):
        return None


def _known(lists: _Lists) -> frozenset[str]:
    return frozenset(str(row.name) for row in lists.versions if row.name)


def _read_state(deployment: Deployment) -> _State:
    """Where the last run stopped; an unreadable state counts as none."""
    try:
        answer = deployment.s3.get_object(Bucket=deployment.training_bucket, Key=STATE_KEY)
        document = json.loads(answer["Body"].read(_STATE_LIMIT))
        registrations = {str(job): int(count) for job, count in document["told"].items()}
        return _State(
            int(document["below"]),
            registrations,
            _time(document.get("started")),
            bool(document.get("repaired", False)),
            _time(document.get("clean")),
        )
    except ClientError as error:
        if is_missing(error):
            return _State()
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        return _State()


def _time(text: object) -> datetime | None:
    """A recorded time; None for none.

    Raises:
        ValueError: It is no ISO 8601 time with a time zone.
    """
    if text is None:
        return None
    when = datetime.fromisoformat(str(text))
    if when.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return when


def _write_state(deployment: Deployment, state: _State) -> None:
    document = {
        "below": state.below,
        "told": dict(list(state.registrations.items())[-1000:]),
        "started": state.started and state.started.isoformat(),
        "repaired": state.repaired,
        "clean": state.clean and state.clean.isoformat(),
    }
    deployment.s3.put_object(
        Bucket=deployment.training_bucket,
        Key=STATE_KEY,
        Body=json.dumps(document),
        ContentType="application/json",
    )
