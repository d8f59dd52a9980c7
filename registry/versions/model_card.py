"""The model card that is embedded in a version.

Schema: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-details.html#model-card-schema
(a model card without the package's own details). Everything in it comes from the version's
metadata, its job and its metrics; what was not measured or configured is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from registry.names import ModelName
from registry.versions.metadata import MetadataError
from registry.versions.metadata_schema import SCHEMAS
from registry.weight_origins import WeightOrigin

CONTENT_LIMIT = 100_000
_METRIC_LIMIT = 50
_HYPERPARAMETER_LIMIT = 100
_TEXT_LIMIT = 1024


def card(
    name: ModelName,
    metadata: Mapping[str, str],
    metrics: Mapping[str, float],
    *,
    artifact: str,
    image: str,
    job_arn: str,
    hyperparameters: Mapping[str, str] | None = None,
    weights: Sequence[WeightOrigin] = (),
    page_uri: str = "",
) -> dict[str, Any]:
    """The card's content.

    Args:
        name: The version's name.
        metadata: Its metadata.
        metrics: What was measured, rates from 0 to 1.
        artifact: Where its ``model.tar.gz`` lies.
        image: The container image of the job.
        job_arn: ARN of the training or compile job that made it.
        hyperparameters: The job's own.
        weights: Published weights that the model descends from.
        page_uri: Where the page to read before a decision lies; empty where there is none.
    """
    data_sets = [metadata["CardSetUri"]] if metadata.get("CardSetUri") else []
    trained = "TrainingJob" in metadata
    details = {
        "training_arn": job_arn,
        "training_datasets": data_sets,
        "training_environment": {"container_image": [image]},
        "hyper_parameters": [
            {"name": _cut(key), "value": _cut(value)}
            for key, value in sorted((hyperparameters or {}).items())
        ][:_HYPERPARAMETER_LIMIT],
    }
    document: dict[str, Any] = {
        "model_overview": {"model_artifact": [artifact]},
        "intended_uses": {
            "purpose_of_model": metadata.get("Purpose", ""),
            "intended_uses": f"Runs on {metadata['InferenceTarget']}"
            if "InferenceTarget" in metadata
            else "",
        },
        "evaluation_details": [_evaluation(name, metadata, metrics, data_sets, job_arn)],
        "additional_information": {
            "custom_details": {
                key: value for key, value in sorted(metadata.items()) if key != "ModelName"
            }
            | {f"Weights{place}": origin.line for place, origin in enumerate(weights, 1)}
            | ({"ReportPageUri": page_uri} if page_uri else {})
        },
    }
    if trained:
        document["training_details"] = {
            "training_observations": _cut(metadata.get("TrainingApproach", "")),
            "training_job_details": details,
        }
    return document


def content(document: Mapping[str, Any]) -> str:
    """The card as the text that SageMaker takes.

    Raises:
        MetadataError: It is longer than SageMaker takes.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    if len(text) > CONTENT_LIMIT:
        raise MetadataError(
            f"model card of {len(text)} characters; SageMaker takes {CONTENT_LIMIT}"
        )
    return text


def _evaluation(
    name: ModelName,
    metadata: Mapping[str, str],
    metrics: Mapping[str, float],
    data_sets: list[str],
    job_arn: str,
) -> dict[str, Any]:
    schema = SCHEMAS[name.model_type, name.stage]
    data = []
    for key, value in sorted(metrics.items())[:_METRIC_LIMIT]:
        field = schema.get("".join(word.capitalize() for word in key.split("_")))
        note = f"{field.meaning} ({field.unit})" if field else ""
        data.append(
            {"name": key, "type": "number", "value": value, **({"notes": note} if note else {})}
        )
    queries = f"{metadata['Queries']} unseen camera views" if "Queries" in metadata else ""
    return {
        "name": "retrieval on held-out camera views",
        "evaluation_observation": queries,
        "evaluation_job_arn": job_arn,
        "datasets": data_sets,
        "metric_groups": [{"name": "retrieval", "metric_data": data}],
    }


def _cut(text: str) -> str:
    return text[:_TEXT_LIMIT]
