"""From a finished training job to a registered version.

A job cannot register itself: SageMaker uploads its ``model.tar.gz`` only after the job's process
has ended. So the job writes ``registration.json`` into its output data, SageMaker uploads that
beside the model, and the event of the job's completion leads here. Everything that
DescribeTrainingJob knows is taken from there; the request adds what only the job could measure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from registry.archives import ArchiveError, read_member
from registry.aws import is_missing, split_s3_uri
from registry.contract import Contract, ContractError
from registry.metadata import (
    CARD_SET_DIGEST,
    CARD_SET_URI,
    MLFLOW_RUN,
    PARENT_ARN,
    PARENT_NAME,
    RESERVED,
    TRAINING_JOB,
    metric_key,
    metric_value,
)
from registry.name_claims import claim_name
from registry.names import GROUP, JOBS_PREFIX, STUDENT, TEACHER, check_line
from registry.packages import APPROVED, PENDING, NewPackage, create, describe, find

REQUEST_FILE = "registration.json"
REQUEST_LIMIT = 256 * 1024
CARDS_CHANNEL = "cards"
#: Environment variable of a training job that names the image to serve its model with.
INFERENCE_IMAGE = "CARDS_INFERENCE_IMAGE"
COMMIT = "CARDS_COMMIT"


class RegistrationError(ValueError):
    """A model that may not be registered; names the job and the cause."""


@dataclass(frozen=True)
class RegistrationRequest:
    """What a training job says about the model that it made (``registration.json``)."""

    model_type: str
    architecture: str
    stage: str
    parent_arn: str | None
    metadata: Mapping[str, str]
    metrics: Mapping[str, float]
    contract: Contract
    card_set_digest: str
    mlflow_run_id: str | None

    @classmethod
    def from_json(cls, body: bytes, label: str) -> RegistrationRequest:
        """Reads and checks a request; ``label`` is what an error calls it.

        Raises:
            RegistrationError: Not JSON, or a field is missing or of the wrong type.
        """
        try:
            document = json.loads(body)
            request = cls(
                model_type=document["model_type"],
                architecture=document["architecture"],
                stage=document["stage"],
                parent_arn=document.get("parent_model_package_arn"),
                metadata=dict(document["metadata"]),
                metrics={str(k): float(v) for k, v in document["metrics"].items()},
                contract=Contract.from_dict(document["contract"]),
                card_set_digest=str(document["card_set"]["digest"]),
                mlflow_run_id=document.get("mlflow_run_id"),
            )
            check_line(request.model_type, request.architecture, request.stage)
        except KeyError as error:
            raise RegistrationError(f"{label}: {error.args[0]} is missing") from None
        except (TypeError, AttributeError, ValueError, ContractError) as error:
            raise RegistrationError(f"{label}: {error}") from None
        infinite = [name for name, value in request.metrics.items() if not math.isfinite(value)]
        reserved = sorted(RESERVED & set(request.metadata))
        if infinite or reserved:
            raise RegistrationError(
                f"{label}: "
                + "; ".join(
                    [f"metric {name} is not a finite number" for name in infinite]
                    + [f"metadata key {key} is written by the registry alone" for key in reserved]
                )
            )
        if request.model_type == STUDENT and not request.parent_arn:
            raise RegistrationError(f"{label}: a student must name the model that it was made from")
        return request


@dataclass(frozen=True)
class Registration:
    """What came of looking at a training job.

    Attributes:
        outcome: ``registered``, ``already registered``, ``not ours`` or ``not completed``.
        arn: The version's ARN, where there is one.
        name: Its name, likewise.
        detail: One line for the log.
    """

    outcome: str
    arn: str | None = None
    name: str | None = None
    detail: str = ""


def register_training_job(
    sagemaker: Any, s3: Any, *, bucket: str, job_name: str, group: str = GROUP
) -> Registration:
    """Registers the model of a completed training job, once however often it is called.

    Args:
        sagemaker: A boto3 SageMaker client.
        s3: A boto3 S3 client.
        bucket: The training bucket; a job that writes elsewhere is not ours.
        job_name: The training job.
        group: The model package group.

    Raises:
        RegistrationError: The job is ours and completed, and its request is damaged or
            contradicts what SageMaker and the registry know.
        MetadataError: Its metadata is incomplete.
    """
    try:
        job = sagemaker.describe_training_job(TrainingJobName=job_name)
    except ClientError as error:
        if is_missing(error):
            return Registration("not ours", detail=f"training job {job_name} does not exist")
        raise
    output = job.get("OutputDataConfig", {}).get("S3OutputPath", "")
    if not output.rstrip("/").startswith(f"s3://{bucket}/{JOBS_PREFIX.rstrip('/')}"):
        return Registration("not ours", detail=f"{job_name} writes to {output or 'nowhere'}")
    if job["TrainingJobStatus"] != "Completed":
        reason = job.get("FailureReason", "no reason given")
        return Registration("not completed", detail=f"{job['TrainingJobStatus']}: {reason}")
    model_uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    request = _read_request(s3, model_uri, job_name)
    parent = _parent_metadata(sagemaker, request, group, job_name)
    claimed = claim_name(
        s3,
        bucket,
        request.model_type,
        request.architecture,
        request.stage,
        source=job["TrainingJobArn"],
        since=job["CreationTime"],
    )
    existing = find(sagemaker, group, claimed, created_after=job["CreationTime"])
    if existing:
        return Registration("already registered", existing.arn, str(claimed))
    environment = job.get("Environment", {})
    image = environment.get(INFERENCE_IMAGE) or job["AlgorithmSpecification"].get("TrainingImage")
    if not image:
        raise RegistrationError(
            f"{job_name}: neither {INFERENCE_IMAGE} nor a training image tells how to serve it"
        )
    metadata = {
        **request.metadata,
        **{metric_key(name): metric_value(value) for name, value in request.metrics.items()},
        **parent,
        TRAINING_JOB: job_name,
        CARD_SET_DIGEST: request.card_set_digest,
    }
    cards_uri = _channel_uri(job, CARDS_CHANNEL)
    if cards_uri:
        metadata[CARD_SET_URI] = cards_uri
    if request.mlflow_run_id:
        metadata[MLFLOW_RUN] = request.mlflow_run_id
    arn = create(
        sagemaker,
        group,
        NewPackage(
            name=claimed,
            approval=APPROVED if request.model_type == TEACHER else PENDING,
            summary=summarise(metadata, request.metrics, parent.get(PARENT_NAME)),
            model_data_url=model_uri,
            image=image,
            metadata=metadata,
            generated_by=job["TrainingJobArn"],
            commit=environment.get(COMMIT),
            approval_reason=(
                "Teachers are approved on registration: they are distilled from, never deployed."
                if request.model_type == TEACHER
                else None
            ),
        ),
    )
    return Registration("registered", arn, str(claimed), detail=model_uri)


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


def _read_request(s3: Any, model_uri: str, job_name: str) -> RegistrationRequest:
    bucket, key = split_s3_uri(model_uri)
    output_key = f"{key.rpartition('/')[0]}/output.tar.gz"
    label = f"training job {job_name}: {REQUEST_FILE}"
    try:
        stream = s3.get_object(Bucket=bucket, Key=output_key)["Body"]
    except ClientError as error:
        if is_missing(error):
            raise RegistrationError(
                f"{label}: s3://{bucket}/{output_key} does not exist; the job wrote no output data"
            ) from None
        raise
    try:
        body = read_member(stream, REQUEST_FILE, REQUEST_LIMIT, label=output_key)
    except ArchiveError as error:
        raise RegistrationError(f"training job {job_name}: {error}") from error
    return RegistrationRequest.from_json(body, label)


def _parent_metadata(
    sagemaker: Any, request: RegistrationRequest, group: str, job_name: str
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


def _channel_uri(job: Mapping[str, Any], channel: str) -> str | None:
    for entry in job.get("InputDataConfig", []):
        if entry.get("ChannelName") == channel:
            uri = entry.get("DataSource", {}).get("S3DataSource", {}).get("S3Uri")
            return str(uri) if uri else None
    return None
