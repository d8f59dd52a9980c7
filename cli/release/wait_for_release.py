"""Following an approved version to its release: the automation's steps, seen from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cli.automation_functions import last_error
from cli.aws import AwsSession
from cli.errors import CliError

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_sagemaker.client import SageMakerClient

    from registry.versions.packages import Package
    from training.submission.watch import JobUpdate

#: Seconds within which the automation's next step must begin.
PATIENCE = 120.0


def wait_for_release(
    aws: AwsSession,
    package: Package,
    progress: Callable[[JobUpdate], None],
    patience: float = PATIENCE,
) -> str:
    """Waits until the release of an approved version is there, and stable unless a newer one is.

    Args:
        aws: The clients.
        package: The version, approved a moment ago.
        progress: Told about each look, with the compile job's log.
        patience: Seconds within which a step that nothing runs in between must begin.

    Returns:
        The release's id.

    Raises:
        CliError: The automation stood still, or recorded why there is no release.
        JobFailed: The compile job failed.
    """
    from registry.releases.pointers import read
    from training.submission.watch import JobUpdate, Watcher

    sagemaker, s3 = aws.client("sagemaker"), aws.client("s3")
    interval = 0.5 if aws.is_local else 10.0
    assert package.name
    stem = f"compile-{package.name}-"
    until = time.monotonic() + patience
    while not (job := _newest_job(sagemaker, stem, package.created)):
        progress(JobUpdate(stem.rstrip("-"), "Pending", "waiting for the compile job"))
        _check(aws, package, until, "CompileApproved", f"no job {stem}… was started")
        time.sleep(interval)
    Watcher(sagemaker, aws.client("logs"), interval=max(interval, 1.0)).wait_for_processing(
        job, progress
    )
    until = time.monotonic() + patience
    while True:
        pointer, _ = read(s3, aws.deployment.release_bucket)
        if pointer and pointer.release and pointer.package_arn == package.arn:
            return pointer.release
        if pointer and pointer.release and (own := _beside_a_newer(aws, package)):
            return own
        progress(JobUpdate(job, "Completed", "publishing the release"))
        _check(aws, package, until, "PublishRelease", f"{job} completed and no release appeared")
        time.sleep(interval)


def _beside_a_newer(aws: AwsSession, package: Package) -> str | None:
    """The release of a version that the channel passes over, because a newer one is approved."""
    from registry.releases.channel_targets import compute
    from registry.releases.folders import newest_release

    own = newest_release(aws.client("s3"), aws.deployment.release_bucket, package.label)
    if not own:
        return None
    return own if compute(aws.deployment).package_arn != package.arn else None


def _newest_job(sagemaker: SageMakerClient, stem: str, version_created: datetime) -> str | None:
    from registry.compilation.jobs import list_jobs

    rows = list_jobs(sagemaker, stem, version_created=version_created)
    names = (str(row["ProcessingJobName"]) for row in rows)
    return next((name for name in names if name.startswith(stem)), None)


def _check(aws: AwsSession, package: Package, until: float, function: str, late: str) -> None:
    from registry.versions.metadata import COMPILE_FAILURE
    from registry.versions.packages import describe

    seen = describe(aws.client("sagemaker"), package.arn)
    if seen and COMPILE_FAILURE in seen.metadata:
        raise CliError(f"{package.label}: {seen.metadata[COMPILE_FAILURE]}")
    if time.monotonic() < until:
        return
    raise CliError(f"{late} within {PATIENCE:.0f} s; {last_error(aws, function)}")
