"""The history of one version: from its training job to the channels, with times.

Collected from where the state is kept anyway: the version, its jobs, its releases and the
channels' histories. Nothing is written for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry import channels
from registry.aws_errors import is_missing
from registry.compilation.jobs import list_jobs
from registry.deployment import Deployment
from registry.names import COMPILE_JOB_PREFIX, parse_compile_job
from registry.releases import pointers
from registry.releases.folders import folders
from registry.versions.metadata import COMPILE_FAILURE
from registry.versions.packages import APPROVED, PENDING, Package

if TYPE_CHECKING:
    from mypy_boto3_logs.client import CloudWatchLogsClient

_DECIDED = re.compile(r" on (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ): ")


@dataclass(frozen=True)
class Entry:
    """One thing that happened.

    Attributes:
        when: With its time zone.
        what: In a few words.
        detail: The thing itself: a job, a release, a reason.
    """

    when: datetime
    what: str
    detail: str = ""


def trace(deployment: Deployment, package: Package) -> list[Entry]:
    """Everything that is known to have happened to a version, oldest first."""
    compiled = list(_compiled(deployment, package))
    entries = [
        *_made(deployment, package),
        *_decided(package, min((each.when for each in compiled), default=None)),
        *compiled,
        *_released(deployment, package),
    ]
    return sorted(entries, key=lambda each: each.when)


def _made(deployment: Deployment, package: Package) -> Iterator[Entry]:
    kind, name = package.own_job or ("", "")
    times: tuple[datetime | None, datetime | None] = (None, None)
    job: Mapping[str, Any]
    try:
        if kind == "training-job":
            job = deployment.sagemaker.describe_training_job(TrainingJobName=name)
            times = (job.get("TrainingStartTime"), job.get("TrainingEndTime"))
        elif kind == "processing-job":
            job = deployment.sagemaker.describe_processing_job(ProcessingJobName=name)
            times = (job.get("ProcessingStartTime"), job.get("ProcessingEndTime"))
    except ClientError as error:
        if not is_missing(error):
            raise
    words = ("started", "ended")
    for when, word in zip(times, words, strict=True):
        if when:
            yield Entry(when, f"its job {word}", name)
    yield Entry(package.created, "registered", package.description.partition(": ")[2])


def _decided(package: Package, compiled: datetime | None) -> Iterator[Entry]:
    """The decision that stands: when, by its own words, or at the latest when.

    The console and the AWS CLI write down no time, and a later edit of the metadata moves the
    version's own; a compile job that was started shows that it was approved before.
    """
    if package.approval == PENDING:
        return
    said = _DECIDED.search(package.approval_description)
    if said:
        when = datetime.strptime(said[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        yield Entry(when, package.approval.lower(), package.approval_description)
        return
    bounds = [package.modified, compiled if package.approval == APPROVED else None]
    known = [each for each in bounds if each]
    if known:
        reason = package.approval_description or "no reason given"
        yield Entry(min(known), f"{package.approval.lower()} by then", reason)


def _compiled(deployment: Deployment, package: Package) -> Iterator[Entry]:
    if package.name is None:
        return
    contains = f"{COMPILE_JOB_PREFIX}{package.name}-"
    for row in list_jobs(deployment.sagemaker, contains, version_created=package.created):
        found = parse_compile_job(row["ProcessingJobName"])
        if found is None or found[0] != package.name:
            continue
        name = row["ProcessingJobName"]
        yield Entry(row["CreationTime"], "compile job started", name)
        if row.get("ProcessingEndTime"):
            said = row.get("ExitMessage") or row.get("FailureReason") or ""
            status = str(row["ProcessingJobStatus"]).lower()
            yield Entry(row["ProcessingEndTime"], f"compile job {status}", said or name)
    failure = package.metadata.get(COMPILE_FAILURE)
    if failure and package.modified:
        yield Entry(package.modified, "failure recorded", failure)


def _released(deployment: Deployment, package: Package) -> Iterator[Entry]:
    if package.name is None:
        return
    for folder in folders(deployment.s3, deployment.release_bucket, str(package.name)):
        if folder.published:
            yield Entry(folder.published, "released", folder.release)
        elif folder.retired:
            yield Entry(folder.retired, "release was retired", folder.release)
        else:
            yield Entry(folder.touched, "release is incomplete or withdrawn", folder.release)
    for each in channels.CHANNELS:
        yield from _moves(deployment, package, each.name)


def _moves(deployment: Deployment, package: Package, name: str) -> Iterator[Entry]:
    """When a channel came to point to the version, and when it ceased to."""
    try:
        moves = list(reversed(pointers.history(deployment.s3, deployment.release_bucket, name)))
    except pointers.ChannelError:
        return
    is_own = False
    for move in moves:
        when = _time(move.since)
        if when is None:
            continue
        if move.pointer.package_arn == package.arn:
            yield Entry(when, f"{name} points to it", move.pointer.release or "")
            is_own = True
        elif is_own:
            yield Entry(when, f"{name} leaves it", f"for {move.pointer.release or 'nothing'}")
            is_own = False


def _time(text: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else None


def log_lines(
    logs: CloudWatchLogsClient, groups: list[str], label: str, since: datetime
) -> Iterator[Entry]:
    """What the functions logged about a version, oldest first within each function.

    Args:
        logs: A boto3 CloudWatch Logs client.
        groups: The functions' log groups.
        label: The version's name.
        since: Earlier lines are not read.
    """
    for group in groups:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group,
            startTime=round(since.timestamp() * 1000),
            filterPattern=f'"{label}"',
        )
        for page in pages:
            for event in page["events"]:
                when = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                if label in event["message"]:
                    yield Entry(when, group.rpartition("/")[2], event["message"].strip())
