"""Facts about a model from several sources, merged and checked for contradictions.

A model that was trained elsewhere is described in several places: hyper-parameters, metrics, files
beside the weights, the weights themselves, a person. Values on which they agree are kept under the
schema's key, contradictions are refused with both sources named, and required values that no source
has are listed as missing. No value is invented.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from registry.compilers import HAILO
from registry.names import STUDENT, TEACHER
from registry.untrusted.json_object import parse_value
from registry.versions.metadata import metric_key, metric_value, plain
from registry.versions.metadata_schema import COUNT, SHARE, WHOLE, Field, Fields

#: Names under which others keep a setting, as :func:`_word` spells them -> the schema's key.
SETTINGS: Mapping[str, str] = {
    **dict.fromkeys(("backbone", "arch", "architecture", "model_name", "model_arch",
                     "student_model"), "Architecture"),
    **dict.fromkeys(("embedding_dim", "embedding_size", "emb_dim"), "EmbeddingDim"),
    **dict.fromkeys(("num_classes", "n_classes"), "NumClasses"),
    **dict.fromkeys(("image_size", "img_size", "input_size"), "InputSize"),
    **dict.fromkeys(("teacher_model", "teacher_arch", "teacher"), "TeacherModel"),
    **dict.fromkeys(("stage", "phase", "training_stage"), "Stage"),
    "training_approach": "TrainingApproach",
    "recipe": "Recipe",
    "seed": "Seed",
    "hailo_compatible": "HailoCompatible",
    "normalization": "Normalization",
}  # fmt: skip
#: The same for what was measured; our own names for it stand as they are.
METRICS: Mapping[str, str] = {
    **dict.fromkeys(("top1_acc", "top1_accuracy", "test_top1", "test_top1_acc"), "top1"),
    **dict.fromkeys(("top5_acc", "top5_accuracy", "test_top5", "test_top5_acc"), "top5"),
    **dict.fromkeys(("val_top1", "val_top1_acc"), "validation_top1"),
    **dict.fromkeys(("best_similarity", "cosine_similarity"), "similarity"),
}  # fmt: skip
#: Our metric -> the metadata key that is not made from its name.
_METRIC_KEYS = {"similarity": "BestSimilarity"}
_OF_KIND = {
    TEACHER: {"Purpose": "knowledge_distillation_source", "InferenceTarget": "cloud-gpu"},
    STUDENT: {"Purpose": "edge_deployment_hailo8l", "InferenceTarget": HAILO.inference_target},
}
#: How far apart two figures may be that were rounded differently.
_ROUNDING = 5e-4
_VIT = re.compile(
    r"vit[-_ ]?(?P<size>tiny|small|base|large|huge|t|s|b|l|h)?"
    r"[-_/ ]?(?:patch ?)?(?P<patch>[0-9]+)?",
    re.IGNORECASE,
)
_TIMM_VIT = re.compile(
    r"vit_(?P<size>tiny|small|base|large|huge)_patch(?P<patch>[0-9]+)(?:_(?P<family>[a-z]+[0-9]*))?"
    r"(?![a-z0-9])"
)
_DINO = re.compile(r"(?P<family>dinov[0-9])[-_ ]?vit[-_ ]?(?P<size>[a-z])[-_/ ]?(?P<patch>[0-9]+)")
_LITE = re.compile(r"efficientnet[-_]?lite(?P<size>[0-4])")


class ContradictionError(ValueError):
    """Two sources that say different things of one model; each pair is named."""


@dataclass(frozen=True)
class Fact:
    """One value from one source.

    Attributes:
        key: The schema's.
        value: As text, in the schema's form where the source has it so.
        source: Where it was found, in words.
    """

    key: str
    value: str
    source: str


@dataclass(frozen=True)
class MergedFacts:
    """What is known of a model.

    Attributes:
        metadata: Agreed values by the schema's keys.
        missing: Keys that the schema requires and no source has.
        unusable: By key, one line about each fact whose value has not the key's form.
    """

    metadata: Mapping[str, str]
    missing: tuple[str, ...]
    unusable: Mapping[str, str]


def merge_facts(facts: Sequence[Fact], schema: Fields) -> MergedFacts:
    """Merges facts; of those that agree the first one's wording is kept.

    Args:
        facts: In the order in which their sources are to be preferred.
        schema: The fields of the model's kind; facts under other keys are left out.

    Raises:
        ContradictionError: Sources contradict each other.
    """
    kept: dict[str, Fact] = {}
    faults: list[str] = []
    unusable: dict[str, str] = {}
    for fact in facts:
        field = schema.get(fact.key)
        if field is None:
            continue
        if not field.form.fits(fact.value):
            unusable.setdefault(fact.key, _misfit(fact, field))
            continue
        first = kept.setdefault(fact.key, fact)
        if not _agree(first, fact, field):
            faults.append(
                f"{fact.key} is {first.value[:60]} by {first.source} and {fact.value[:60]} by "
                f"{fact.source}"
            )
    if faults:
        raise ContradictionError("; ".join(faults))
    missing = tuple(key for key, field in schema.items() if field.required and key not in kept)
    metadata = {key: plain(fact.value) for key, fact in kept.items()}
    return MergedFacts(metadata, missing, unusable)


def setting_facts(settings: Mapping[str, Any], source: str) -> list[Fact]:
    """What settings say under the names that are known for it.

    Args:
        settings: Hyper-parameters or a configuration; text that is JSON is read as such, as the
            SageMaker SDK sends it.
        source: What to call them, for example ``hyper-parameter``.
    """
    found = []
    for name, value in settings.items():
        key = SETTINGS.get(_word(name))
        text = text_of(decoded(value))
        if key and text:
            found.append(
                Fact(key, stage_word(text) if key == "Stage" else text, f"{source} {name}")
            )
    return found


def metric_facts(metrics: Mapping[str, float], source: str) -> list[Fact]:
    """What metrics under our own names say (see :func:`own_metrics`)."""
    return [
        Fact(metadata_key(name), metric_value(value), f"{source} {name}")
        for name, value in metrics.items()
    ]


def metadata_key(metric: str) -> str:
    """The schema's key of one of our metrics."""
    return _METRIC_KEYS.get(metric, metric_key(metric))


def own_metrics(given: Mapping[str, Any]) -> dict[str, float]:
    """Finite metrics under the names that this product has for them; others keep their own."""
    found = {}
    for name, value in given.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and math.isfinite(value):
            found[METRICS.get(_word(name), _word(name))] = float(value)
    return found


def line_word(architecture: str) -> str | None:
    """The architecture as it stands in a name, where a rule says it.

    ``vit_large_patch16_dinov3`` and ``DINOv3-ViT-L/16`` are ``dinov3-vitl16``,
    ``efficientnet_lite0`` is ``efficientnet-lite0``. None for anything else.
    """
    text = architecture.lower()
    found = _TIMM_VIT.match(text)
    if found:
        vit = f"vit{found['size'][0]}{found['patch']}"
        return f"{found['family']}-{vit}" if found["family"] else vit
    found = _DINO.search(text)
    if found:
        return f"{found['family']}-vit{found['size']}{found['patch']}"
    found = _LITE.fullmatch(text)
    return f"efficientnet-lite{found['size']}" if found else None


def slug(text: str) -> str:
    """Any words as they could stand in a name: lower case, joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))


def stage_word(text: str) -> str:
    """A stage as the names have it: ``stage 1`` and ``Stage_1`` are ``stage1``; ``1`` stays."""
    return re.sub(r"[\s_-]+", "", text.lower())


def decoded(value: Any) -> Any:
    """A hyper-parameter's value; the SageMaker SDK sends each as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return parse_value(value)
    except ValueError:
        return value


def text_of(value: Any) -> str:
    """A value as metadata has it; empty for what is no single value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return metric_value(value) if math.isfinite(value) else ""
    return str(value).strip() if isinstance(value, int | str) else ""


def of_kind(model_type: str) -> dict[str, str]:
    """What follows from the kind of model alone."""
    return {"ModelType": model_type, **_OF_KIND[model_type]}


def _word(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _agree(first: Fact, other: Fact, field: Field) -> bool:
    if first.value == other.value:
        return True
    if first.key in ("Architecture", "TeacherModel"):
        return _same_architecture(first.value, other.value)
    try:
        one, two = float(first.value), float(other.value)
    except ValueError:
        return first.value.casefold() == other.value.casefold()
    exact = field.form in (COUNT, WHOLE)
    return one == two if exact else math.isclose(one, two, abs_tol=_ROUNDING)


def _same_architecture(one: str, two: str) -> bool:
    """Whether two descriptions can mean one network: each may leave out what the other says."""
    vits = [_VIT.search(text) for text in (one, two)]
    if all(vits):
        for part in ("size", "patch"):
            values = [found[part] for found in vits if found and found[part]]
            if len({value[0] if part == "size" else value for value in map(str.lower, values)}) > 1:
                return False
        families = [set(re.findall(r"dinov[0-9]", text.lower())) for text in (one, two)]
        return not (families[0] and families[1]) or families[0] == families[1]
    words = [set((line_word(text) or slug(text)).split("-")) for text in (one, two)]
    return words[0] <= words[1] or words[1] <= words[0]


def _misfit(fact: Fact, field: Field) -> str:
    text = f"{fact.source} says {fact.value[:40]!r}, not {field.form.words}"
    with suppress(ValueError):
        if field.form is SHARE and 1 < float(fact.value) <= 100:
            text += " (it may be in per cent)"
    return text
