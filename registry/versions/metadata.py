"""Which metadata each kind of model must have, and SageMaker's limits on metadata.

Values come from the resolved configuration and from measurement, never from typed text. The keys
are the guide's. Limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
(CustomerMetadataProperties: at most 50 pairs, keys of 1 to 128 and values of 1 to 256 characters).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from registry.names import TEACHER
from registry.untrusted.text import METADATA_VALUE_LIMIT, shortened
from registry.versions.metadata_schema import ADDED, FAILED, SCHEMAS

PAIR_LIMIT = 50
KEY_LIMIT = 128
VALUE_LIMIT = METADATA_VALUE_LIMIT

#: Keys that this package writes itself; a job may not set them.
MODEL_NAME = "ModelName"
PARENT_ARN = "ParentModelPackageArn"
PARENT_NAME = "ParentModel"
TRAINING_JOB = "TrainingJob"
COMPILE_JOB = "CompileJob"
CARD_SET_URI = "CardSetUri"
CARD_SET_DIGEST = "CardSetDigest"
#: SHA-256 and S3 version of the archives as they were when the version was registered
#: (:class:`registry.object_identity.ObjectIdentity`).
MODEL_ARCHIVE = "ModelArchive"
OUTPUT_ARCHIVE = "OutputArchive"
#: The same of the page that people read before they decide (:mod:`registry.versions.report_page`).
REPORT_PAGE = "ReportPage"
#: How many cards the index has beyond those that the model was trained and tested on.
ADDED_CARDS = "AddedCards"
MLFLOW_RUN = "MlflowRunId"
COMPILE_FAILURE = "CompileFailure"
COMPILE_FAILED_JOB = "CompileFailedJob"
#: The version of another deployment that a version is a copy of.
PROMOTED_FROM = "PromotedFrom"
#: The release that was made from a version, once its notice was sent.
RELEASE = "Release"
#: Why the run failed that a version was registered for; such a version has no model.
FAILURE_REASON = "FailureReason"
#: Why a version was registered as approved or rejected.
APPROVAL_REASON = "ApprovalReason"
#: Whether it may be approved without an override, and why not.
VALIDATION = "Validation"
VALIDATION_FAULTS = "ValidationFaults"
#: What the fidelity gate said about a compiled version: passed or failed.
FIDELITY_GATE = "FidelityGate"
#: Keys that a person stated on registration because no source says them, and who did, in one value
#: (:func:`stated_by`): a version has no room for a pair more.
STATED = "Stated"
INSTANCE_TYPE = "InstanceType"
INSTANCE_COUNT = "InstanceCount"
TRAINING_SECONDS = "TrainingSeconds"
RESERVED = frozenset(
    {MODEL_NAME, PARENT_ARN, PARENT_NAME, TRAINING_JOB, COMPILE_JOB, CARD_SET_URI}
    | {MODEL_ARCHIVE, OUTPUT_ARCHIVE, REPORT_PAGE, ADDED_CARDS, PROMOTED_FROM}
    | {CARD_SET_DIGEST, MLFLOW_RUN, COMPILE_FAILURE, COMPILE_FAILED_JOB, APPROVAL_REASON, RELEASE}
    | {FAILURE_REASON, VALIDATION, VALIDATION_FAULTS, FIDELITY_GATE}
    | {INSTANCE_TYPE, INSTANCE_COUNT, TRAINING_SECONDS, STATED}
)

#: The first of a pair can never be the larger one.
_ORDERED = (
    ("Top1", "Top5"),
    ("Top1Low", "Top1"),
    ("Top1", "Top1High"),
    ("Top1UnseenLow", "Top1Unseen"),
    ("Top1Unseen", "Top1UnseenHigh"),
    ("CosineWorst", "CosineMean"),
)
#: What a teacher has where the schema's own example is a student's.
_EXAMPLES = {
    (TEACHER, "Architecture"): "vit_large_patch16_dinov3",
    (TEACHER, "Parameters"): "304000000",
    (TEACHER, "ModelType"): "teacher",
    (TEACHER, "Purpose"): "knowledge_distillation_source",
    (TEACHER, "InferenceTarget"): "cloud-gpu",
    (TEACHER, "TrainingApproach"): "pretrained backbone; arcface 1",
    (TEACHER, "ModelName"): "teacher-dinov3-vitl16-phase2-v1",
    (TEACHER, "TrainingJob"): "teacher-full-…",
}
#: What SageMaker takes in keys and values: letters, digits, spaces and _.:/=+-@. No comma, no
#: bracket, no per cent sign.
_TAKEN = re.compile(r"[\w .:/=+\-@]*")
_NOT_TAKEN = re.compile(r"[^\w .:/=+\-@]+")


class MetadataError(ValueError):
    """Metadata that may not be registered; the message names every fault at once."""


def metric_key(name: str) -> str:
    """The metadata key of a metric: ``top1_unseen`` becomes ``Top1Unseen``."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name) if word)


def metric_value(value: float) -> str:
    """A metric as text of at most six significant digits, the same for equal numbers."""
    return f"{value:.6g}"


def kept_metrics(model_type: str, stage: str, metrics: Mapping[str, float]) -> dict[str, str]:
    """The metrics that the kind's schema has a key for, as metadata.

    A version takes 50 pairs; the model quality report holds every metric.
    """
    schema = {**SCHEMAS[model_type, stage], **ADDED}
    pairs = {metric_key(name): metric_value(value) for name, value in metrics.items()}
    return {key: value for key, value in pairs.items() if key in schema}


def faults(model_type: str, stage: str, metadata: Mapping[str, str]) -> list[str]:
    """Every reason why this metadata may not be registered; empty when there is none.

    Metadata with a FailureReason is of a run that failed, of any type and stage.
    """
    schema = FAILED if FAILURE_REASON in metadata else SCHEMAS.get((model_type, stage))
    if schema is None:
        return [f"no schema for a {model_type} of stage {stage!r}"]
    found = [
        f"{key} is missing"
        for key, field in schema.items()
        if field.required and key not in metadata
    ]
    for key, value in metadata.items():
        if not isinstance(value, str):
            found.append(f"{key} is {type(value).__name__}, not text")
            continue
        if not 1 <= len(key) <= KEY_LIMIT or not _TAKEN.fullmatch(key):
            found.append(f"key {key[:40]!r} is not 1 to {KEY_LIMIT} of SageMaker's characters")
        if not 1 <= len(value) <= VALUE_LIMIT:
            found.append(f"{key} has {len(value)} characters; SageMaker takes 1 to {VALUE_LIMIT}")
        if not _TAKEN.fullmatch(value):
            strange = "".join(sorted(set(_NOT_TAKEN.findall(value))))[:20]
            found.append(f"{key} holds {strange!r}, which SageMaker does not take there")
        # Keys that this version does not know are of another one, and are kept.
        field = schema.get(key) or ADDED.get(key)
        if field is not None and not field.form.fits(value):
            found.append(f"{key} is {value[:40]!r}, not {field.form.words}")
    if len(metadata) > PAIR_LIMIT:
        found.append(f"{len(metadata)} pairs; SageMaker takes {PAIR_LIMIT}")
    return found + _contradictions(model_type, stage, metadata)


def _contradictions(model_type: str, stage: str, metadata: Mapping[str, str]) -> list[str]:
    found = []
    if metadata.get("ModelType", model_type) != model_type:
        found.append(f"ModelType {metadata['ModelType']!r} contradicts the name's {model_type!r}")
    if metadata.get("Stage", stage) != stage:
        found.append(f"Stage {metadata['Stage']!r} contradicts the name's {stage!r}")
    for smaller, larger in _ORDERED:
        low, high = _number(metadata.get(smaller)), _number(metadata.get(larger))
        if low is not None and high is not None and low > high:
            found.append(f"{smaller} {metadata[smaller]} is above {larger} {metadata[larger]}")
    return found


def _number(text: object) -> float | None:
    try:
        return float(text) if isinstance(text, str) else None
    except ValueError:
        return None


def check(model_type: str, stage: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Returns the metadata as a dict, or raises MetadataError with every fault named."""
    found = faults(model_type, stage, metadata)
    if found:
        raise MetadataError(f"metadata of a {model_type} of {stage}: {'; '.join(found)}")
    return dict(metadata)


def plain(text: str) -> str:
    """Text as a metadata value: what SageMaker does not take there is spelled otherwise.

    The full text belongs into the description or the model card, which take more.
    """
    text = text.replace("%", " percent").replace("×", "x").replace(";", " /").replace(",", " /")
    text = _NOT_TAKEN.sub(" ", text)
    return " ".join(text.split()) or "-"


def stated_by(keys: Sequence[str], by: str) -> str:
    """The value of :data:`STATED`: which keys a person stated, and who.

    >>> stated_by(["NumClasses", "Top1"], "arn:aws:iam::123456789012:user/someone")
    'NumClasses Top1 by arn:aws:iam::123456789012:user/someone'
    """
    who = f" by {shortened(plain(by), VALUE_LIMIT // 2)}"
    return shortened(" ".join(keys), VALUE_LIMIT - len(who)) + who


def template() -> dict[str, Any]:
    """The schema as a JSON document: ``config/model_metadata_template.json``."""
    kinds = {f"{kind} {stage}": fields for (kind, stage), fields in SCHEMAS.items()}
    return {
        "limits": {"pairs": PAIR_LIMIT, "key": KEY_LIMIT, "value": VALUE_LIMIT},
        "kinds": {
            kind: {
                key: {
                    "required": field.required,
                    "form": field.form.words,
                    **({"unit": field.unit} if field.unit else {}),
                    "meaning": field.meaning,
                    "source": field.source,
                    "example": _EXAMPLES.get((kind.partition(" ")[0], key))
                    or (kind.partition(" ")[2] if key == "Stage" else field.example),
                }
                for key, field in fields.items()
            }
            for kind, fields in {
                **kinds,
                "index with added cards": ADDED,
                "failed run": FAILED,
            }.items()
        },
    }


def template_text() -> str:
    """The template as it is written to a file."""
    return json.dumps(template(), indent=2, ensure_ascii=False) + "\n"
