"""Registering a model after the fact, from the name of the training job that made it.

For jobs that wrote no request: trained before there was a registry, or elsewhere. What the job's
record and the artifact say is taken from there; what neither says is asked for, all at once, and
recorded as stated by whoever stated it. Nothing is invented.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.job_facts import channel_uri, machine_facts
from registry.metadata import CARD_SET_URI, PARENT_ARN, PARENT_NAME, TRAINING_JOB, kept_metrics
from registry.metadata_schema import SCHEMAS
from registry.names import STUDENT, TEACHER, ModelName
from registry.packages import Package
from registry.registration import Place, Registration, RegistrationError, register_version

#: What training code calls these metrics -> what we call them.
METRIC_NAMES = {
    "top1": "top1", "top1_acc": "top1", "val_top1": "top1", "top1_accuracy": "top1",
    "top5": "top5", "top5_acc": "top5", "val_top5": "top5", "top5_accuracy": "top5",
    "queries": "queries", "auroc": "auroc",
    "similarity": "similarity", "cosine_similarity": "similarity", "best_similarity": "similarity",
}  # fmt: skip
#: Hyper-parameters that say what a key of the metadata says.
_SETTINGS = {
    "Architecture": ("backbone", "model_name", "architecture", "student_model", "teacher_model"),
    "EmbeddingDim": ("embedding_dim", "embed_dim"),
    "NumClasses": ("num_classes",),
    "Recipe": ("recipe",),
    "Seed": ("seed",),
    "InputSize": ("image_size", "img_size", "input_size"),
}
#: What follows from the kind alone.
_KIND = {
    TEACHER: {
        "ModelType": TEACHER,
        "Purpose": "knowledge_distillation_source",
        "InferenceTarget": "cloud-gpu",
    },
    STUDENT: {
        "ModelType": STUDENT,
        "Purpose": "edge_deployment_hailo8l",
        "InferenceTarget": "raspberry-pi-hailo8l",
    },
}
_STATED, _STATED_BY = "Stated", "StatedBy"


class UnknownFactsError(RegistrationError):
    """What neither the job nor the artifact says.

    Attributes:
        missing: The metadata keys, in the schema's order.
    """

    def __init__(self, message: str, missing: tuple[str, ...]) -> None:
        super().__init__(message)
        self.missing = missing


@dataclass(frozen=True)
class Facts:
    """What is known of a finished job's model.

    Attributes:
        metadata: By key, from the job and the artifact.
        metrics: By our names; rates from 0 to 1.
        sources: For each key, where its value comes from.
    """

    metadata: dict[str, str]
    metrics: dict[str, float]
    sources: dict[str, str] = field(default_factory=dict)


def facts_of(job: Mapping[str, Any], model_type: str, counted: Mapping[str, str]) -> Facts:
    """Collects what a job's record and its artifact say.

    Args:
        job: DescribeTrainingJob's answer of a completed job.
        model_type: ``teacher`` or ``student``.
        counted: Metadata that was counted in the artifact, for example ``Parameters``.

    Raises:
        RegistrationError: The two contradict each other, or a metric is no rate.
    """
    metadata = dict(_KIND[model_type])
    sources = dict.fromkeys(metadata, "the kind of model")
    settings = {
        key.replace("-", "_"): _decoded(value)
        for key, value in (job.get("HyperParameters") or {}).items()
    }
    for key, names in _SETTINGS.items():
        found = next((name for name in names if settings.get(name)), None)
        if found:
            metadata[key], sources[key] = settings[found], f"hyper-parameter {found}"
    for key, value in counted.items():
        if key in metadata and sources[key].startswith("hyper") and metadata[key] != value:
            raise RegistrationError(
                f"training job {job['TrainingJobName']}: {key} is {metadata[key]} by "
                f"{sources[key]} and {value} in the artifact; find out which is right first"
            )
        metadata[key], sources[key] = value, "the artifact"
    for key, value in machine_facts(job).items():
        metadata[key], sources[key] = value, "the job"
    cards = channel_uri(job, "cards")
    if cards:
        metadata[CARD_SET_URI], sources[CARD_SET_URI] = cards, "the job's channel cards"
    return Facts(metadata, _metrics(job), sources)


def register(
    sagemaker: Any,
    s3: Any,
    *,
    group: str,
    bucket: str,
    job: Mapping[str, Any],
    line: ModelName,
    facts: Facts,
    stated: Mapping[str, str],
    by: str,
    parent: Package | None = None,
) -> Registration:
    """Registers a finished job's model; repeated, it finds the version that it made.

    Args:
        sagemaker: A boto3 SageMaker client.
        s3: A boto3 S3 client.
        group: The model package group.
        bucket: The training bucket, where names are claimed.
        job: DescribeTrainingJob's answer.
        line: A name of the line that the model belongs to; its version does not matter.
        facts: From :func:`facts_of`.
        stated: Metadata that a person states, by key.
        by: Who states it: an ARN.
        parent: The version that it was made from; a student has one.

    Raises:
        UnknownFactsError: Required keys that nobody knows; every one is named.
        RegistrationError: The job is not completed, a statement contradicts what was found, or a
            student has no parent.
        MetadataError: A value is of the wrong form.
    """
    name = job["TrainingJobName"]
    if job["TrainingJobStatus"] != "Completed":
        raise RegistrationError(
            f"training job {name}: is {job['TrainingJobStatus']}, not Completed"
        )
    if line.model_type == STUDENT and parent is None:
        raise RegistrationError(
            f"training job {name}: a student needs the version that it was made from: --parent"
        )
    metadata = {**facts.metadata, TRAINING_JOB: name}
    if line.model_type == STUDENT:
        metadata["Stage"] = line.stage
    metadata |= kept_metrics(line.model_type, line.stage, facts.metrics)
    if "similarity" in facts.metrics:
        metadata.setdefault("BestSimilarity", f"{facts.metrics['similarity']:.6g}")
    for key, value in stated.items():
        if metadata.get(key, value) != value:
            source = facts.sources.get(key, "the job's metrics")
            raise RegistrationError(
                f"training job {name}: {key} is {metadata[key]} by {source}; it cannot be stated "
                f"as {value}"
            )
    metadata |= stated
    schema = SCHEMAS[line.model_type, line.stage]
    missing = tuple(key for key, one in schema.items() if one.required and key not in metadata)
    if missing:
        raise UnknownFactsError(
            f"training job {name}: neither the job nor its artifact says {', '.join(missing)}; "
            "state what you know: " + " ".join(f"--set {key}=…" for key in missing),
            missing,
        )
    if parent is not None:
        metadata |= {PARENT_ARN: parent.arn, PARENT_NAME: parent.label}
    if stated:
        metadata |= {_STATED: " ".join(sorted(stated)), _STATED_BY: by}
    return register_version(
        Place(sagemaker, s3, bucket, group),
        job,
        (line.model_type, line.architecture, line.stage),
        metadata,
        {**facts.metrics, **_numbers(stated)},
    )


def _metrics(job: Mapping[str, Any]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for entry in job.get("FinalMetricDataList") or []:
        ours = METRIC_NAMES.get(entry["MetricName"])
        value = float(entry["Value"])
        if ours is None or not math.isfinite(value):
            continue
        if ours != "queries" and not -1 <= value <= 1:
            raise RegistrationError(
                f"training job {job['TrainingJobName']}: its metric {entry['MetricName']} is "
                f"{value:g}, and rates are from 0 to 1; it may be in per cent"
            )
        metrics.setdefault(ours, value)
    return metrics


def _numbers(stated: Mapping[str, str]) -> dict[str, float]:
    """The metrics among what was stated."""
    found = {}
    for key, name in (("Top1", "top1"), ("Top5", "top5"), ("Queries", "queries")):
        if key in stated:
            found[name] = float(stated[key])
    return found


def _decoded(value: object) -> str:
    """A hyper-parameter as text; the SDK sends each as JSON."""
    try:
        decoded = json.loads(str(value))
    except ValueError:
        return str(value)
    return decoded if isinstance(decoded, str) else str(value)
