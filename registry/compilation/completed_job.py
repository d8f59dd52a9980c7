"""What must hold of a completed compile job before anything that it made is registered or signed.

This deployment started the job, for this version and compile settings; and the digests agree:
those that were registered, those that the job was given, and those that it says it read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.aws import objects_below
from registry.compilation import approved_model
from registry.compilation.compile_settings import CompileSettings
from registry.compilation.job_identity import ForeignJobError, argument, require_started_here
from registry.compilation.jobs import MODEL_DIGEST_ARGUMENT, SOURCE_ARN, CompilationError
from registry.deployment import Deployment
from registry.names import COMPILATIONS_PREFIX
from registry.object_identity import CLOCK_DIFFERENCE
from registry.untrusted.text import printable
from registry.versions.metadata import CARD_SET_DIGEST
from registry.versions.packages import Package


def own_job(
    deployment: Deployment, source: Package, compile_settings: CompileSettings, job_name: str
) -> Mapping[str, Any]:
    """DescribeProcessingJob's answer, where this deployment started the job for this version.

    Raises:
        CompilationError: It did not, or for another version or in another image.
    """
    job: Mapping[str, Any] = deployment.sagemaker.describe_processing_job(
        ProcessingJobName=job_name
    )
    try:
        require_started_here(deployment.s3, deployment.training_bucket, job)
    except ForeignJobError as error:
        raise CompilationError(str(error)) from None
    image, version = job["AppSpecification"]["ImageUri"], job["Environment"].get(SOURCE_ARN)
    if version != source.arn or image != compile_settings.image:
        raise CompilationError(
            f"{job_name}: was started for {version} in {image}, not for {source.arn} in "
            f"{compile_settings.image}; compile again with cards release retry"
        )
    return job


def model_digest(job: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the model archive that a job was given."""
    return argument(job, MODEL_DIGEST_ARGUMENT) or ""


def require_registered_inputs(
    source: Package, job: Mapping[str, Any], report: Mapping[str, Any]
) -> None:
    """Refuses a job that compiled other bytes than those that were registered.

    Args:
        source: The version.
        job: From :func:`own_job`.
        report: The job's ``compilation.json``.

    Raises:
        CompilationError: The digests of the model archive, or of the card set, differ.
    """
    name, given = job["ProcessingJobName"], model_digest(job)
    try:
        registered = approved_model.recorded(source)
    except approved_model.ApprovedModelError as error:
        raise CompilationError(str(error)) from None
    # Of a version from before digests were recorded, what the first compilation pinned counts.
    expected = registered.sha256 if registered else given
    read = report.get("model_archive_sha256")
    if not given or not expected == given == read:
        raise CompilationError(
            f"{name}: the registered model archive has the digest {_short(expected)}, the job was "
            f"given {_short(given)} and read {_short(read)}; nothing is published"
        )
    cards, card_set = source.metadata.get(CARD_SET_DIGEST), report.get("card_set")
    compiled_with = card_set.get("digest") if isinstance(card_set, Mapping) else None
    if cards and compiled_with != cards:
        raise CompilationError(
            f"{name}: the version was trained on the card set {_short(cards)} and compiled with "
            f"{_short(compiled_with)}; nothing is published"
        )


def require_unchanged_outputs(deployment: Deployment, job: Mapping[str, Any]) -> None:
    """Refuses outputs that somebody wrote after the job had ended.

    SageMaker uploads them before it sets the job's end. Called once the reports are read, so that
    what they say was there in time.

    Args:
        deployment: Clients and names.
        job: From :func:`own_job`.

    Raises:
        CompilationError: An object below the job's output is newer than the job.
    """
    name, latest = job["ProcessingJobName"], job["ProcessingEndTime"] + CLOCK_DIFFERENCE
    prefix = f"{COMPILATIONS_PREFIX}{name}/"
    for entry in objects_below(deployment.s3, deployment.training_bucket, prefix):
        if entry["LastModified"] > latest:
            raise CompilationError(
                f"{name}: {printable(entry['Key'])} was written at "
                f"{entry['LastModified']:%Y-%m-%d %H:%M:%S} UTC, after the job had ended; "
                "nothing is published, compile again with cards release retry"
            )


def _short(digest: object) -> str:
    return f"{digest[:12]}…" if isinstance(digest, str) and digest else "none"
