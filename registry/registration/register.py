"""From a finished training job to a registered version.

A job cannot register itself: SageMaker uploads its ``model.tar.gz`` only after the job's process
has ended. So the job writes ``registration.json`` into its output data, SageMaker uploads that
beside the model, and the event of the job's completion leads here. Everything that
DescribeTrainingJob knows is taken from there; the request adds what only the job could measure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws_errors import is_missing
from registry.deployment import Deployment
from registry.names import (
    CARDS_CHANNEL,
    CHANNEL_DIGEST,
    JOBS_PREFIX,
    TEACHER,
    ModelName,
)
from registry.registration.failed_runs import MODEL_LINE, failed_version, line_of
from registry.registration.job_archives import (
    MODEL_FILE,
    OUTPUT_FILE,
    read_archive,
    read_output,
    require_written_by_job,
)
from registry.registration.job_facts import channel_uri, machine_facts
from registry.registration.request import RegistrationError, RegistrationRequest
from registry.versions import model_card, model_quality, report_page
from registry.versions.metadata import (
    CARD_SET_DIGEST,
    CARD_SET_URI,
    MLFLOW_RUN,
    MODEL_ARCHIVE,
    OUTPUT_ARCHIVE,
    PARENT_ARN,
    PARENT_NAME,
    REPORT_PAGE,
    TRAINING_JOB,
    MetadataError,
    check,
    kept_metrics,
    plain,
)
from registry.versions.name_claims import claim_name
from registry.versions.packages import (
    APPROVED,
    PENDING,
    NewPackage,
    PackageSummary,
    create,
    describe,
    find,
)
from registry.versions.validation import validate
from registry.weight_origins import WeightOrigin

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

REGISTERED = "registered"
#: The outcome of registering a run that made no model.
REGISTERED_AS_FAILED = "registered as failed"
#: Environment variable of a training job that names the image to serve its model with.
INFERENCE_IMAGE = "CARDS_INFERENCE_IMAGE"
COMMIT = "CARDS_COMMIT"
#: Type, architecture and stage of a name.
Line = tuple[str, str, str]


@dataclass(frozen=True)
class Registration:
    """The result of registering a training job.

    Attributes:
        outcome: ``registered``, ``registered as failed``, ``already registered``, ``not ours`` or
            ``not completed``.
        arn: The version's ARN, where there is one.
        name: Its name, likewise.
        detail: One line for the log.
        mlflow_run_id: The tracked run that the version names, where there is one.
        summary: What the version is, in one sentence; of a new version only.
        page_uri: Its approver's page, where it has one; likewise.
    """

    outcome: str
    arn: str | None = None
    name: str | None = None
    detail: str = ""
    mlflow_run_id: str | None = None
    summary: str = ""
    page_uri: str = ""


def register_training_job(deployment: Deployment, job_name: str) -> Registration:
    """Registers what a training job made, once however often it is called.

    A job that failed, that was stopped, or that completed and left a damaged or contradictory
    request, is registered as a rejected version with the reason: a retry would give the same. A
    temporary error of AWS is raised, so that the event is tried again.

    What keeps a repeated registration from making a second version: the name's claim belongs to
    the job (:mod:`registry.versions.name_claims`), a version of that name that was created since
    the job was is looked for first, and two calls at the same moment send the same client token.

    Args:
        deployment: Clients and names; a job that does not write into its training bucket is not
            ours.
        job_name: The training job.

    Raises:
        RegistrationError: The job is ours, has no model that could be registered, and does not
            say which line of names it belongs to.
    """
    try:
        job = deployment.sagemaker.describe_training_job(TrainingJobName=job_name)
    except ClientError as error:
        if is_missing(error):
            return Registration("not ours", detail=f"training job {job_name} does not exist")
        raise
    output = job.get("OutputDataConfig", {}).get("S3OutputPath", "")
    if not output.rstrip("/").startswith(
        f"s3://{deployment.training_bucket}/{JOBS_PREFIX.rstrip('/')}"
    ):
        return Registration("not ours", detail=f"{job_name} writes to {output or 'nowhere'}")
    status = job["TrainingJobStatus"]
    if status in ("Failed", "Stopped"):
        reason = job.get("FailureReason") or f"the job was {status.lower()}"
        return _register_failure(deployment, job, reason)
    if status != "Completed":
        return Registration("not completed", detail=status)
    try:
        return _register_model(deployment, job)
    except (RegistrationError, MetadataError) as error:
        return _register_failure(deployment, job, str(error))


def _claim(deployment: Deployment, job: Mapping[str, Any], line: Line) -> ModelName:
    """The name that belongs to a job: its own from an earlier call, or the line's next."""
    return claim_name(
        deployment.s3,
        deployment.training_bucket,
        *line,
        source=job["TrainingJobArn"],
        since=job["CreationTime"],
    )


def _existing(
    deployment: Deployment, job: Mapping[str, Any], name: ModelName
) -> PackageSummary | None:
    """The version of a job's name, where it was registered before."""
    return find(
        deployment.sagemaker, deployment.group_name, name, created_after=job["CreationTime"]
    )


def _register_failure(deployment: Deployment, job: Mapping[str, Any], reason: str) -> Registration:
    line = line_of(job)
    if line is None:
        raise RegistrationError(
            f"training job {job['TrainingJobName']}: {reason}; it cannot be registered as failed, "
            f"because its environment has no {MODEL_LINE}; submit jobs with cards train"
        )
    name = _claim(deployment, job, (line.model_type, line.architecture, line.stage))
    existing = _existing(deployment, job, name)
    if existing:
        return Registration("already registered", existing.arn, str(name))
    package = failed_version(deployment.sagemaker, deployment.group_name, job, name, reason)
    arn = create(deployment.sagemaker, deployment.group_name, package)
    return Registration(REGISTERED_AS_FAILED, arn, str(name), detail=reason)


def _register_model(deployment: Deployment, job: Mapping[str, Any]) -> Registration:
    job_name = job["TrainingJobName"]
    output = read_output(deployment.s3, job)
    request = output.request
    require_written_by_job(job, OUTPUT_FILE, output.archive)
    _require_as_submitted(request, job)
    metadata = {
        **request.metadata,
        **kept_metrics(request.model_type, request.stage, request.metrics),
        **_parent_metadata(deployment.sagemaker, request, deployment.group_name, job_name),
        CARD_SET_DIGEST: request.card_set_digest,
        OUTPUT_ARCHIVE: str(output.archive.identity),
    }
    cards_uri = channel_uri(job, CARDS_CHANNEL)
    if cards_uri:
        metadata[CARD_SET_URI] = cards_uri
    if request.mlflow_run_id:
        metadata[MLFLOW_RUN] = request.mlflow_run_id
    line = (request.model_type, request.architecture, request.stage)
    return register_version(
        deployment,
        job,
        line,
        metadata,
        request.metrics,
        unchanged_since_job=True,
        weights=request.weights,
        page=output.page,
    )


def register_version(
    deployment: Deployment,
    job: Mapping[str, Any],
    line: Line,
    metadata: Mapping[str, str],
    metrics: Mapping[str, float],
    *,
    unchanged_since_job: bool = False,
    weights: Sequence[WeightOrigin] = (),
    page: bytes | None = None,
) -> Registration:
    """Registers the model of a completed job under its line's next name, once.

    The archive is read to its end, and its SHA-256 and S3 version are recorded: they are what a
    person approves, whatever is written to the same address afterwards.

    Args:
        deployment: Clients and names.
        job: DescribeTrainingJob's answer; artifact, image and machines are taken from it.
        line: Type, architecture and stage of the name.
        metadata: What is known beside that.
        metrics: Everything that was measured, for the model quality report and the card.
        weights: Published weights that the model descends from, for the card.
        page: The approver's page that the job made; None where it made none.

    Raises:
        RegistrationError: The job names no image to serve the model with.
        MetadataError: The metadata is incomplete or contradictory; no name is claimed then.
    """
    job_name, job_arn = job["TrainingJobName"], job["TrainingJobArn"]
    model_uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    environment = job.get("Environment", {})
    image = environment.get(INFERENCE_IMAGE) or job["AlgorithmSpecification"].get("TrainingImage")
    if not image:
        raise RegistrationError(
            f"{job_name}: neither {INFERENCE_IMAGE} nor a training image says how to serve it"
        )
    metadata = {**metadata, **machine_facts(job), TRAINING_JOB: job_name}
    # Before a name is claimed: what is refused here is registered as failed under its first name.
    metadata |= validate(ModelName(*line, 1), metadata).metadata()
    check(*line[::2], {key: plain(value) for key, value in metadata.items()})
    name = _claim(deployment, job, line)
    run = metadata.get(MLFLOW_RUN)
    existing = _existing(deployment, job, name)
    if existing:
        return Registration("already registered", existing.arn, str(name), mlflow_run_id=run)
    archive = read_archive(deployment.s3, job)
    if unchanged_since_job:
        require_written_by_job(job, MODEL_FILE, archive)
    metadata[MODEL_ARCHIVE] = str(archive.identity)
    page_uri = ""
    if page is not None:
        page_uri = report_page.uri_of(deployment.training_bucket, name)
        metadata[REPORT_PAGE] = str(
            report_page.put(deployment.s3, deployment.training_bucket, name, page)
        )
    teacher = name.model_type == TEACHER
    summary = summarise(metadata, metrics, metadata.get(PARENT_NAME))
    arn = create(
        deployment.sagemaker,
        deployment.group_name,
        NewPackage(
            name=name,
            approval=APPROVED if teacher else PENDING,
            summary=summary,
            model_data_url=model_uri,
            image=image,
            metadata=metadata,
            generated_by=job_arn,
            commit=environment.get(COMMIT),
            approval_reason=(
                "Teachers are approved on registration: they are distilled from, never deployed."
                if teacher
                else None
            ),
            quality_uri=model_quality.put(deployment.s3, deployment.training_bucket, name, metrics),
            card=model_card.card(
                name,
                metadata,
                metrics,
                artifact=model_uri,
                image=job["AlgorithmSpecification"].get("TrainingImage") or image,
                job_arn=job_arn,
                hyperparameters=job.get("HyperParameters"),
                weights=weights,
                page_uri=page_uri,
            ),
            page_uri=page_uri,
        ),
    )
    return Registration(
        REGISTERED,
        arn,
        str(name),
        detail=model_uri,
        mlflow_run_id=run,
        summary=summary,
        page_uri=page_uri,
    )


def _require_as_submitted(request: RegistrationRequest, job: Mapping[str, Any]) -> None:
    """Raises RegistrationError for a job that was submitted for another line or card set."""
    submitted = job.get("Environment", {}).get(f"{CHANNEL_DIGEST}{CARDS_CHANNEL.upper()}")
    if submitted and submitted != request.card_set_digest:
        raise RegistrationError(
            f"training job {job['TrainingJobName']}: was submitted with the card set "
            f"{submitted[:12]}… and says that it was trained on {request.card_set_digest[:12]}…"
        )
    line = line_of(job)
    asked = (request.model_type, request.architecture, request.stage)
    if line and asked != (line.model_type, line.architecture, line.stage):
        raise RegistrationError(
            f"training job {job['TrainingJobName']}: was submitted for {line.line} and asks to be "
            f"registered as {'-'.join(asked)}"
        )


def summarise(metadata: Mapping[str, str], metrics: Mapping[str, float], parent: str | None) -> str:
    """The sentence that follows the name in a version's description."""
    parts = [f"{metadata['Architecture']}, {int(metadata['Parameters']):,} parameters"]
    if "top1" in metrics:
        queries = f" of {metrics['queries']:.0f} unseen views" if "queries" in metrics else ""
        parts.append(f"top-1 {metrics['top1']:.3f}{queries}")
    if "top1_unseen" in metrics:
        parts.append(f"top-1 {metrics['top1_unseen']:.3f} on cards never trained on")
    if parent:
        parts.append(f"from {parent}")
    return ", ".join(parts)


def _parent_metadata(
    sagemaker: SageMakerClient, request: RegistrationRequest, group: str, job_name: str
) -> dict[str, str]:
    if request.parent_arn is None:
        return {}
    parent = describe(sagemaker, request.parent_arn)
    if parent is None or parent.group != group or parent.name is None:
        raise RegistrationError(
            f"training job {job_name}: its parent {request.parent_arn} is no named version of "
            f"{group}; train from a version that cards registry list shows"
        )
    return {PARENT_ARN: parent.arn, PARENT_NAME: str(parent.name)}
