"""``register_student_model``: for the end of a training script of one's own.

A job cannot register itself: its model's address exists only once SageMaker has uploaded it. The
call writes the request beside the model, and the event of the job's completion registers the two.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.contract import Contract
from registry.metadata import faults, kept_metrics, metric_value, plain
from registry.names import STUDENT
from registry.registration import RegistrationRequest
from registry.retroactive import METRIC_NAMES
from training.artifact_inspection import inspect
from training.artifacts import REGISTRATION, write_json
from training.environment import JobEnvironment

_PARENT = "parent_model_package_arn"
#: The guide's key in code -> the key in the registry.
_KEYS = {
    "architecture": "Architecture",
    "stage": "Stage",
    "best_similarity": "BestSimilarity",
    "teacher_model": "TeacherModel",
    "num_classes": "NumClasses",
    "embedding_dim": "EmbeddingDim",
    "hailo_compatible": "HailoCompatible",
    "normalization": "Normalization",
    "training_approach": "TrainingApproach",
    "input_size": "InputSize",
    "recipe": "Recipe",
    "seed": "Seed",
}
_OURS = {
    "ModelType": STUDENT,
    "Purpose": "edge_deployment_hailo8l",
    "InferenceTarget": "raspberry-pi-hailo8l",
}


class RequestError(ValueError):
    """A model that could not be registered as described; names every fault at once."""


def register_student_model(
    model_path: str | os.PathLike[str],
    model_metadata: Mapping[str, Any],
    environment: JobEnvironment | None = None,
) -> Path:
    """Asks for a student to be registered when this job has ended.

    Args:
        model_path: The weights, below ``SM_MODEL_DIR``: parameters are counted in them.
        model_metadata: What the job knows, by the guide's names: ``architecture``, ``stage``,
            ``best_similarity``, ``teacher_model``, ``num_classes``, ``embedding_dim``,
            ``hailo_compatible``, ``normalization``, ``training_approach``, metrics such as
            ``top1`` and ``queries``, ``name_architecture`` (the part of the name, such as
            ``efficientnet-lite0``), ``parent_model_package_arn`` and ``card_set_digest``.
        environment: SageMaker's folders; this process's own by default.

    Returns:
        The request's file.

    Raises:
        RequestError: Something is missing, contradictory or of the wrong form.
        InspectionError: The weights cannot be read.
    """
    places = environment or JobEnvironment.read()
    path = Path(model_path)
    if not path.is_file() or not path.resolve().is_relative_to(places.model_dir.resolve()):
        raise RequestError(
            f"model_path {path}: is no file below {places.model_dir}, and SageMaker uploads "
            "nothing else"
        )
    counted = inspect(path.parent)
    given = dict(model_metadata)
    metrics = {
        METRIC_NAMES[key]: float(given.pop(key))
        for key in list(given)
        if key in METRIC_NAMES and key not in _KEYS
    }
    stage = str(given.get("stage", ""))
    metadata = {
        **_OURS,
        "Parameters": str(counted.parameters),
        **{_KEYS[key]: _text(value) for key, value in given.items() if key in _KEYS},
    }
    line = str(given.get("name_architecture") or metadata.get("Architecture", "")).replace("_", "-")
    unknown = sorted(set(given) - set(_KEYS) - {"name_architecture", _PARENT, "card_set_digest"})
    problems = [f"{key} is not known here" for key in unknown]
    problems += [f"{key} is missing" for key in (_PARENT, "card_set_digest") if not given.get(key)]
    stated = {key: plain(value) for key, value in metadata.items()}
    measured = kept_metrics(STUDENT, stage, metrics) if stage in ("stage1", "stage2") else {}
    problems += faults(STUDENT, stage, {**stated, **measured})
    if problems:
        raise RequestError(f"register_student_model: {'; '.join(problems)}")
    document = {
        "schema": 1,
        "model_type": STUDENT,
        "architecture": line,
        "stage": stage,
        "parent_model_package_arn": given[_PARENT],
        "metadata": metadata,
        "metrics": {**metrics, "similarity": float(metadata["BestSimilarity"])},
        "contract": Contract(
            size=int(metadata.get("InputSize", Contract.size)),
            embedding_dim=int(metadata["EmbeddingDim"]),
        ).to_dict(),
        "card_set": {"digest": str(given["card_set_digest"])},
        "mlflow_run_id": os.environ.get("MLFLOW_RUN_ID"),
    }
    RegistrationRequest.from_json(json.dumps(document).encode(), "register_student_model")
    request = places.output_data_dir / REGISTRATION
    write_json(request, document)
    return request


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return metric_value(value) if isinstance(value, float) else str(value)
