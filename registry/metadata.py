"""What each kind of model must say about itself, and SageMaker's limits on saying it.

Values come from the resolved configuration and from measurement; nobody types them. The keys are
the guide's. Limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
(CustomerMetadataProperties: at most 50 pairs, keys of 1 to 128 and values of 1 to 256 characters).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from registry.names import STUDENT, TEACHER

PAIR_LIMIT = 50
KEY_LIMIT = 128
VALUE_LIMIT = 256
DESCRIPTION_LIMIT = 1024

#: Keys that this package writes itself; a job may not set them.
MODEL_NAME = "ModelName"
PARENT_ARN = "ParentModelPackageArn"
PARENT_NAME = "ParentModel"
TRAINING_JOB = "TrainingJob"
COMPILE_JOB = "CompileJob"
CARD_SET_URI = "CardSetUri"
CARD_SET_DIGEST = "CardSetDigest"
MLFLOW_RUN = "MlflowRunId"
COMPILE_FAILURE = "CompileFailure"
COMPILE_FAILED_JOB = "CompileFailedJob"
#: Why a version was registered as approved or rejected.
APPROVAL_REASON = "ApprovalReason"
RESERVED = frozenset(
    {MODEL_NAME, PARENT_ARN, PARENT_NAME, TRAINING_JOB, COMPILE_JOB, CARD_SET_URI}
    | {CARD_SET_DIGEST, MLFLOW_RUN, COMPILE_FAILURE, COMPILE_FAILED_JOB, APPROVAL_REASON}
)

_TEXT = re.compile(r".*\S.*", re.DOTALL)
_COUNT = re.compile(r"[1-9][0-9]*", re.ASCII)
_FRACTION = re.compile(r"-?(0(\.[0-9]+)?|1(\.0+)?)", re.ASCII)
_BOOLEAN = re.compile(r"true|false")
_KEY = re.compile(r"[\w .:/=+\-@]+")  # AWS: [\p{L}\p{Z}\p{N}_.:/=+\-@]*
_MEANING = {
    _TEXT: "some text",
    _COUNT: "a whole number above 0",
    _FRACTION: "a number from -1 to 1",
    _BOOLEAN: "true or false",
}

_COMMON = {
    "Architecture": _TEXT,
    "Parameters": _COUNT,
    "EmbeddingDim": _COUNT,
    "ModelType": _TEXT,
    "Purpose": _TEXT,
    "InferenceTarget": _TEXT,
}
_TRAINED = {**_COMMON, "NumClasses": _COUNT, "TrainingApproach": _TEXT}
_STUDENT = {
    **_TRAINED,
    "Stage": _TEXT,
    "TeacherModel": _TEXT,
    "BestSimilarity": _FRACTION,
    "HailoCompatible": _BOOLEAN,
    "Normalization": _TEXT,
}
_EXPORTED = {**_COMMON, "Stage": _TEXT, "SizeBytes": _COUNT}

#: Required keys and the form of their values, by (model type, stage).
SCHEMAS: Mapping[tuple[str, str], Mapping[str, re.Pattern[str]]] = {
    (TEACHER, "phase1"): _TRAINED,
    (TEACHER, "phase2"): _TRAINED,
    (STUDENT, "stage1"): _STUDENT,
    (STUDENT, "stage2"): _STUDENT,
    (STUDENT, "onnx"): _EXPORTED,
    (STUDENT, "int8"): _EXPORTED,
    (STUDENT, "hailo8l"): _EXPORTED,
}


class MetadataError(ValueError):
    """Metadata that may not be registered; the message names every fault at once."""


def metric_key(name: str) -> str:
    """The metadata key of a metric: ``top1_unseen`` becomes ``Top1Unseen``."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name) if word)


def metric_value(value: float) -> str:
    """A metric as text of at most six significant digits, the same for equal numbers."""
    return f"{value:.6g}"


def faults(model_type: str, stage: str, metadata: Mapping[str, str]) -> list[str]:
    """Every reason why this metadata may not be registered; empty when there is none."""
    schema = SCHEMAS.get((model_type, stage))
    if schema is None:
        return [f"no schema for a {model_type} of stage {stage!r}"]
    found = [f"{key} is missing" for key in schema if key not in metadata]
    for key, value in metadata.items():
        if not isinstance(value, str):
            found.append(f"{key} is {type(value).__name__}, not text")
            continue
        if not 1 <= len(key) <= KEY_LIMIT or not _KEY.fullmatch(key):
            found.append(f"key {key[:40]!r} is not 1 to {KEY_LIMIT} of SageMaker's characters")
        if not 1 <= len(value) <= VALUE_LIMIT:
            found.append(f"{key} has {len(value)} characters; SageMaker takes 1 to {VALUE_LIMIT}")
        pattern = schema.get(key)
        if pattern is not None and not pattern.fullmatch(value):
            found.append(f"{key} is {value[:40]!r}, not {_MEANING[pattern]}")
    if metadata.get("ModelType", model_type) != model_type:
        found.append(f"ModelType {metadata['ModelType']!r} contradicts the name's {model_type!r}")
    if metadata.get("Stage", stage) != stage:
        found.append(f"Stage {metadata['Stage']!r} contradicts the name's {stage!r}")
    if len(metadata) > PAIR_LIMIT:
        found.append(f"{len(metadata)} pairs; SageMaker takes {PAIR_LIMIT}")
    return found


def check(model_type: str, stage: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Returns the metadata as a dict, or raises MetadataError with every fault named."""
    found = faults(model_type, stage, metadata)
    if found:
        raise MetadataError(f"metadata of a {model_type} of {stage}: {'; '.join(found)}")
    return dict(metadata)


def shortened(text: str, limit: int = VALUE_LIMIT) -> str:
    """Text cut to a limit, with the cut shown."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
