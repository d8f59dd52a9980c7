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

from registry.contract import Contract, ContractError
from registry.names import CARDS_CHANNEL, STUDENT, ModelNameError, check_line
from registry.registration.facts import (
    METRICS,
    SETTINGS,
    ContradictionError,
    Fact,
    line_word,
    merge_facts,
    metric_facts,
    of_kind,
    own_metrics,
    slug,
    stage_word,
    text_of,
)
from registry.registration.failed_runs import PARENT_PARAMETER
from registry.registration.request import RegistrationRequest
from registry.versions.metadata import RESERVED, metric_key
from registry.versions.metadata_schema import SCHEMAS
from training.artifacts.inspection import Inspection, files_of, inspect
from training.artifacts.model_archive import REGISTRATION, write_json
from training.environment import JobEnvironment

_STAGES = ("stage1", "stage2")
_NAME, _PARENT = "name_architecture", "parent_model_package_arn"
_DIGEST, _RUN = "card_set_digest", "mlflow_run_id"


class RequestError(ValueError):
    """A model that could not be registered as described; names every fault at once."""


def register_student_model(
    model_path: str | os.PathLike[str],
    model_metadata: Mapping[str, Any],
    environment: JobEnvironment | None = None,
) -> Path:
    """Asks for a student to be registered when this job has ended.

    What lies beside the weights is read, too: a model folder as this product's own jobs leave it
    says everything but what the guide's call says.

    Args:
        model_path: The weights, below ``SM_MODEL_DIR``: parameters are counted in them, or in the
            ``model.onnx`` beside them.
        model_metadata: What the job knows, by the guide's names (``architecture``, ``stage``,
            ``best_similarity``, ``teacher_model``) and by the schema's in the same spelling
            (``num_classes``, ``embedding_dim``, ``hailo_compatible``, ``normalization``,
            ``training_approach``, ``input_size``, ``top1``, ``queries`` …); other numbers are
            metrics. And ``name_architecture``, the part of the name, such as
            ``efficientnet-lite0``; ``parent_model_package_arn``, by default the job's
            hyper-parameter; ``card_set_digest``, by default that of the channel ``cards``;
            ``mlflow_run_id``, by default ``MLFLOW_RUN_ID``.
        environment: SageMaker's folders; this process's own by default.

    Returns:
        The request's file, which SageMaker uploads when the job has ended.

    Raises:
        RequestError: Something is missing, contradictory or of the wrong form; nothing is written.
        InspectionError: The weights cannot be read.
    """
    places = environment or JobEnvironment.read()
    root, path = places.model_dir.resolve(), Path(model_path).resolve()
    if not path.is_file() or not path.is_relative_to(root):
        raise RequestError(
            f"model_path {model_path}: is no file below {places.model_dir}, and SageMaker uploads "
            "nothing else"
        )
    given = dict(model_metadata)
    found = inspect(files_of(root), STUDENT, path.relative_to(root).as_posix())
    links = {key: str(given.pop(key, "") or "") for key in (_NAME, _PARENT, _DIGEST, _RUN)}
    stage = _stage(given, found)
    problems, facts, metrics = _stated(given, stage)
    metadata = _metadata(facts, found, stage, problems)
    contract = _contract(found, metadata, problems)
    parent = links[_PARENT] or _hyperparameter(PARENT_PARAMETER)
    digest = links[_DIGEST] or _digest(places, contract)
    text = metadata.get("Architecture", "")
    word = links[_NAME] or found.architecture or line_word(text) or slug(text)
    problems += [f"{key} is missing" for key, value in ((_PARENT, parent), (_DIGEST, digest))
                 if not value]  # fmt: skip
    try:
        if word:
            check_line(STUDENT, word, stage)
    except ModelNameError as error:
        problems.append(f"{_NAME}: {error}")
    if problems:
        raise RequestError(f"register_student_model: {'; '.join(problems)}")
    assert contract is not None
    document = {
        "schema": 1,
        "model_type": STUDENT,
        "architecture": word,
        "stage": stage,
        _PARENT: parent,
        "metadata": metadata,
        "metrics": {**found.metrics, **metrics},
        "contract": contract.to_dict(),
        "card_set": {"digest": digest},
        _RUN: links[_RUN] or os.environ.get("MLFLOW_RUN_ID") or None,
    }
    RegistrationRequest.from_json(json.dumps(document).encode(), "register_student_model")
    request = places.output_data_dir / REGISTRATION
    write_json(request, document)
    return request


def _stage(given: Mapping[str, Any], found: Inspection) -> str:
    """The stage that the caller or the configuration beside the weights says."""
    beside = next((fact.value for fact in found.facts if fact.key == "Stage"), "")
    stage = stage_word(text_of(given.get("stage", beside)))
    stage = f"stage{stage}" if stage.isdigit() else stage
    if stage not in _STAGES:
        raise RequestError(f"register_student_model: stage {stage!r} is none of {_STAGES}")
    return stage


def _stated(given: Mapping[str, Any], stage: str) -> tuple[list[str], list[Fact], dict[str, float]]:
    """What the caller says: what cannot be taken, the metadata, and the metrics."""
    schema = SCHEMAS[STUDENT, stage]
    problems, facts, numbers = [], [], {}
    for name, value in given.items():
        key = SETTINGS.get(name, metric_key(name))
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name == "stage":
            facts.append(Fact("Stage", stage, "stage"))
        elif name in METRICS and number:
            numbers[name] = value
        elif key in schema and key not in RESERVED:
            facts.append(Fact(key, text_of(value) or repr(value), name))
            if number and key not in SETTINGS.values():
                numbers[name] = value
        elif number:
            numbers[name] = value
        else:
            problems.append(f"{name} is not known here")
    metrics = own_metrics(numbers)
    problems += [
        f"{name} is not finite" for name in numbers if not own_metrics({name: given[name]})
    ]
    taken = {fact.key for fact in facts}
    facts += [fact for fact in metric_facts(metrics, "the metric") if fact.key not in taken]
    return problems, facts, metrics


def _metadata(
    facts: list[Fact], found: Inspection, stage: str, problems: list[str]
) -> dict[str, str]:
    """Everything that is known and agreed; what is wrong with it joins the problems."""
    kind = [Fact(key, value, "the kind") for key, value in of_kind(STUDENT).items()]
    everything = [*kind, *facts, *found.facts, *found.counted]
    try:
        merged = merge_facts(everything, SCHEMAS[STUDENT, stage])
    except ContradictionError as error:
        problems.append(str(error))
        return {}
    problems += merged.unusable.values()
    problems += [f"{key} is missing" for key in merged.missing]
    return dict(merged.metadata)


def _contract(
    found: Inspection, metadata: Mapping[str, str], problems: list[str]
) -> Contract | None:
    """The preprocessing beside the weights; this product's own where only sizes are said."""
    if found.contract:
        return found.contract
    if "EmbeddingDim" not in metadata:
        return None
    try:
        return Contract(
            size=int(metadata.get("InputSize", Contract.size)),
            embedding_dim=int(metadata["EmbeddingDim"]),
        )
    except ContractError as error:
        problems.append(str(error))
        return None


def _hyperparameter(name: str) -> str:
    """One of the job's hyper-parameters, as SageMaker's toolkit tells them."""
    try:
        return str(json.loads(os.environ.get("SM_HPS", "{}")).get(name, ""))
    except (ValueError, AttributeError):
        return ""


def _digest(places: JobEnvironment, contract: Contract | None) -> str:
    """The digest of the card set that the job was given, where it was given one."""
    folder = places.channels.get(CARDS_CHANNEL)
    if contract is None or folder is None or not folder.is_dir():
        return ""
    from recognition.card_sets.card_set import CardSetError
    from recognition.card_sets.pack import open_card_set

    try:
        return open_card_set(folder, contract).digest
    except CardSetError as error:
        raise RequestError(f"register_student_model: channel {CARDS_CHANNEL}: {error}") from None
