"""Training jobs that have ended and are no version of the group: their event was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from registry.aws import OLDEST_FIRST, objects_below
from registry.deployment import Deployment
from registry.names import JOBS_PREFIX, NAMES_PREFIX
from registry.registration.failed_runs import line_of
from registry.untrusted.stored_json import StoredJsonError, read_json

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_CLAIM_LIMIT = 4096
_ENDED = frozenset({"Completed", "Failed", "Stopped"})


def unregistered_jobs(
    deployment: Deployment,
    since: datetime,
    until: datetime,
    registered: frozenset[str],
    note: Callable[[str, Exception], None],
) -> Iterator[str]:
    """Names of this product's training jobs that ended in a time and have no version.

    Args:
        deployment: Clients, names and settings.
        since: Jobs that were created before are not looked at.
        until: Jobs that ended later may still be on their way.
        registered: The names of all versions.
        note: Called with a job that could not be checked and the error; the others follow.
    """
    claimed: dict[str, str] | None = None
    pages = deployment.sagemaker.get_paginator("list_training_jobs").paginate(
        CreationTimeAfter=since, **OLDEST_FIRST
    )
    for page in pages:
        for row in page["TrainingJobSummaries"]:
            ended = row.get("TrainingEndTime") or row["LastModifiedTime"]
            if row["TrainingJobStatus"] not in _ENDED or ended > until:
                continue
            try:
                if not _is_ours(deployment, row["TrainingJobName"]):
                    continue
            except Exception as error:
                note(row["TrainingJobName"], error)
                continue
            if claimed is None:
                claimed = _claims(deployment, since)
            if claimed.get(row["TrainingJobArn"]) not in registered:
                yield str(row["TrainingJobName"])


def _is_ours(deployment: Deployment, job_name: str) -> bool:
    """Whether a job writes into this deployment's bucket and says which line of names it is of."""
    job = deployment.sagemaker.describe_training_job(TrainingJobName=job_name)
    where = f"s3://{deployment.training_bucket}/{JOBS_PREFIX}"
    output = job.get("OutputDataConfig", {}).get("S3OutputPath", "")
    return output.startswith(where) and line_of(job) is not None


def _claims(deployment: Deployment, since: datetime) -> dict[str, str]:
    """The name that each job has claimed, of claims not older than ``since``."""
    found = {}
    for entry in objects_below(deployment.s3, deployment.training_bucket, NAMES_PREFIX):
        if entry["LastModified"] >= since.replace(microsecond=0):
            claim = _claim(deployment.s3, deployment.training_bucket, entry["Key"])
            if claim:
                found[claim[0]] = claim[1]
    return found


def _claim(s3: S3Client, bucket: str, key: str) -> tuple[str, str] | None:
    try:
        found = read_json(s3, bucket, key, _CLAIM_LIMIT)
    except StoredJsonError:
        return None
    document = found.document if found else {}
    source, name = document.get("source"), document.get("name")
    return (source, name) if isinstance(source, str) and isinstance(name, str) else None
