"""Runs that failed: registered as rejected versions, so that the registry shows them.

A failed job cannot be trusted to register itself; its event leads here. The job says in its
environment which line of names its model was to have (``CARDS_MODEL_LINE``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.names import ModelName, ModelNameError, parse_name
from registry.registration.job_facts import channel_uri, machine_facts
from registry.untrusted.json_object import parse_value
from registry.untrusted.text import one_line, shortened
from registry.versions.metadata import (
    CARD_SET_URI,
    FAILURE_REASON,
    PARENT_ARN,
    PARENT_NAME,
    TRAINING_JOB,
    VALUE_LIMIT,
    plain,
)
from registry.versions.packages import FAILED, REJECTED, NewPackage, describe

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

#: Environment variable of a training job: what its model is to be called, without the version.
MODEL_LINE = "CARDS_MODEL_LINE"
#: Hyper-parameter of a student's training job.
PARENT_PARAMETER = "parent-model-package-arn"


def line_of(job: Mapping[str, Any]) -> ModelName | None:
    """The first name of the line that a training job's model belongs to, or None."""
    try:
        return parse_name(f"{job.get('Environment', {}).get(MODEL_LINE, '')}-v1")
    except ModelNameError:
        return None


def failed_version(
    sagemaker: SageMakerClient, group: str, job: Mapping[str, Any], name: ModelName, reason: str
) -> NewPackage:
    """The version that stands for a run without a model.

    Args:
        sagemaker: A boto3 SageMaker client.
        group: The model package group.
        job: DescribeTrainingJob's answer.
        name: The name that was claimed for it.
        reason: Why there is no model.
    """
    reason = one_line(reason) or "no reason was given"
    # Spelled as SageMaker takes it first: that makes a text longer.
    metadata = {
        "ModelType": name.model_type,
        "Stage": name.stage,
        TRAINING_JOB: job["TrainingJobName"],
        FAILURE_REASON: shortened(plain(reason)),
        **machine_facts(job),
    }
    settings = job.get("HyperParameters", {})
    recipe = _decoded(settings.get("recipe"))
    if recipe:
        metadata["Recipe"] = shortened(plain(recipe))
    cards = channel_uri(job, "cards")
    # Half of an address, or one that is spelled otherwise, would be another one.
    if cards and cards == plain(cards) and len(cards) <= VALUE_LIMIT:
        metadata[CARD_SET_URI] = cards
    parent_arn = _decoded(settings.get(PARENT_PARAMETER))
    parent = describe(sagemaker, parent_arn) if parent_arn.startswith("arn:") else None
    if parent and parent.group == group and parent.name:
        metadata |= {PARENT_ARN: parent.arn, PARENT_NAME: str(parent.name)}
    return NewPackage(
        name=name,
        approval=REJECTED,
        summary=f"{FAILED}{reason}",
        model_data_url=None,
        image="",
        metadata=metadata,
        generated_by=job["TrainingJobArn"],
        commit=job.get("Environment", {}).get("CARDS_COMMIT"),
        approval_reason=f"The run failed: {reason}",
    )


def _decoded(value: object) -> str:
    """A hyper-parameter's text; the SDK sends each as JSON."""
    if not isinstance(value, str):
        return ""
    try:
        decoded = parse_value(value)
    except ValueError:
        return value
    return decoded if isinstance(decoded, str) else value
