"""What a job leaves behind, and reading back what an earlier job left.

``SM_MODEL_DIR`` (``model.tar.gz``): ``model.safetensors``, ``config.json``, ``contract.json``,
``evaluation.json``, ``split.json``; of a student also ``model.onnx`` and ``reference.npz``.
``SM_OUTPUT_DATA_DIR`` (``output.tar.gz``): ``registration.json``, from which the registry makes a
version once SageMaker has uploaded the model. Weights are read from safetensors alone: unlike a
pickle, they cannot run code.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from recognition.atomic_files import atomic_file, write_atomically
from recognition.views.digest import scans_digest
from registry.registration.facts import of_kind
from registry.untrusted.archives import ArchiveError, extract
from registry.untrusted.text import one_line
from registry.weight_origins import read_origins
from training.config import ConfigError, TrainingConfig
from training.data.batches import CardDataset
from training.models.networks import CardModel, build_model, parameter_count
from training.reporting.evaluation import TrainingResult

if TYPE_CHECKING:
    from export.graphs.onnx_export import OnnxReport

MODEL_ARCHIVE = "model.tar.gz"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
CONTRACT = "contract.json"
EVALUATION = "evaluation.json"
SPLIT = "split.json"
ONNX = "model.onnx"
REFERENCE = "reference.npz"
REGISTRATION = "registration.json"
SCHEMA = 1
_CONFIG_LIMIT = 256 * 1024


class ModelArchiveError(ValueError):
    """A model that cannot be loaded; names the file, the cause and the remedy."""


def load_model(folder: Path, expected_type: str) -> tuple[CardModel, TrainingConfig]:
    """Loads the model that an earlier job made.

    Args:
        folder: Holds ``model.tar.gz`` as SageMaker puts it into a channel, or its unpacked files.
        expected_type: ``teacher`` or ``student``.

    Returns:
        The model in evaluation mode on the CPU, and the configuration that it was trained with.

    Raises:
        ModelArchiveError: Missing, damaged, or of the other type.
    """
    archive = folder / MODEL_ARCHIVE
    if not archive.is_file():
        return _load_unpacked(folder, expected_type, str(folder))
    with tempfile.TemporaryDirectory(prefix="cards-model-") as unpacked:
        try:
            extract(archive, Path(unpacked))
        except ArchiveError as error:
            raise ModelArchiveError(f"{archive}: {error}") from error
        return _load_unpacked(Path(unpacked), expected_type, str(archive))


def _load_unpacked(
    folder: Path, expected_type: str, label: str
) -> tuple[CardModel, TrainingConfig]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelArchiveError(
                f"{label}: {name} is not in it; expected a trained {expected_type}"
            )
    if (folder / CONFIG).stat().st_size > _CONFIG_LIMIT:
        raise ModelArchiveError(f"{label}: {CONFIG} is larger than {_CONFIG_LIMIT} bytes")
    try:
        document = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        config = TrainingConfig.from_dict(document)
        if config.model_type != expected_type:
            raise ModelArchiveError(
                f"{label}: is a {config.model_type}, expected a {expected_type}"
            )
        # The weights follow; published ones need not be fetched for them.
        model = build_model(TrainingConfig.from_dict({**document, "pretrained": False}))
        model.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    except (ConfigError, SafetensorError, RuntimeError, ValueError) as error:
        if isinstance(error, ModelArchiveError):
            raise
        cause = one_line(str(error))[:300]
        raise ModelArchiveError(f"{label}: cannot be loaded: {cause}") from error
    return model.eval(), config


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes a JSON object; NaN and infinities, which JSON lacks, are errors."""
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_atomically(path, text)


def write_model(folder: Path, model: CardModel, cards: CardDataset, result: TrainingResult) -> None:
    """Writes the files that every model has."""
    from safetensors.torch import save_file

    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_file(folder / WEIGHTS) as partial:
        save_file(state, partial)
    write_json(folder / CONFIG, cards.config.to_dict())
    write_json(folder / CONTRACT, cards.config.contract.to_dict())
    write_json(folder / EVALUATION, result.to_dict())
    write_json(folder / SPLIT, cards.split.to_dict())


def write_student_extras(
    folder: Path, model: CardModel, cards: CardDataset, result: TrainingResult
) -> OnnxReport:
    """Writes ``model.onnx`` and ``reference.npz``.

    ``reference.npz`` lets the compile job compare its ONNX and INT8 builds with PyTorch without
    having PyTorch: ``embeddings`` float32 (Q, D), normalised, of the query views; ``card_ids``
    (Q,); ``seed``, ``per_card`` and ``stream`` by which ``recognition.views.camera`` renders the
    very views again, ``views_digest`` by which one knows that it did, and ``scans_digest`` of
    every scan of the cards, which become the rows of the device's index.

    Returns:
        What the export says about the graph: its parameters, and what the Hailo compiler would
        refuse.
    """
    from export.graphs.onnx_export import export_onnx

    folder.mkdir(parents=True, exist_ok=True)
    report = export_onnx(model, cards.config.contract, folder / ONNX, result.seen.sample)
    arrays: dict[str, Any] = {
        "embeddings": result.seen.embeddings,
        "card_ids": np.asarray(result.seen.card_ids),
        "seed": np.int64(cards.config.seed),
        "per_card": np.int64(len(result.seen.card_ids) // len(cards.split.known)),
        "stream": np.asarray("query"),
        "views_digest": np.asarray(result.seen.digest),
        "scans_digest": np.asarray(scans_digest(cards.split_cards)),
    }
    with atomic_file(folder / REFERENCE) as partial:
        np.savez(partial, **arrays)
    return report


def registration(
    model: CardModel,
    cards: CardDataset,
    result: TrainingResult,
    *,
    mlflow_run_id: str | None,
    teacher: TrainingConfig | None = None,
    report: OnnxReport | None = None,
) -> dict[str, Any]:
    """The request to register the model: everything in it is measured or was configured.

    Args:
        model: What ships.
        cards: What it was trained on.
        outcome: What it is worth.
        mlflow_run_id: The tracked run, where there is one.
        teacher: A student's teacher.
        report: Of a student's export; the graph that ships is what is counted.
    """
    config = cards.config
    metadata = {
        "Parameters": str(report.parameters if report else parameter_count(model)),
        "NumClasses": str(len(cards.split.known)),
        **of_kind(config.model_type),
        **configured_facts(config),
    }
    if teacher is not None:
        assert result.similarity is not None and report is not None
        metadata |= {
            "Stage": config.stage,
            "TeacherModel": teacher.architecture,
            "BestSimilarity": f"{result.similarity:.4f}",
            "HailoCompatible": "true" if report.hailo_compatible else "false",
            "Normalization": normalisation_text(model),
        }
    return {
        "schema": SCHEMA,
        "model_type": config.model_type,
        "architecture": config.architecture,
        "stage": config.stage,
        "parent_model_package_arn": config.parent_model_package_arn or None,
        "metadata": metadata,
        "metrics": result.metrics(),
        "contract": config.contract.to_dict(),
        "weights": [
            origin.to_dict()
            for origin in read_origins(config.initial_weights, config.inherited_weights)
        ],
        "card_set": {
            "digest": cards.card_set.digest,
            "cards": len(cards.card_set.cards),
            "images": cards.card_set.images,
        },
        "mlflow_run_id": mlflow_run_id,
    }


def configured_facts(config: TrainingConfig) -> dict[str, str]:
    """What a configuration alone says of its model, by the registry's keys."""
    return {
        "Architecture": architecture_text(config),
        "EmbeddingDim": str(config.embedding_dim),
        "TrainingApproach": approach_text(config),
        "Recipe": config.recipe,
        "InputSize": str(config.image_size),
        "Seed": str(config.seed),
    }


def architecture_text(config: TrainingConfig) -> str:
    """The backbone as built: timm's name, and what was changed in its shape."""
    changes = [
        f"{word} {value}"
        for word, value in (
            ("patch", config.patch_size),
            ("depth", config.depth),
            ("width", config.width),
            ("heads", config.heads),
        )
        if value
    ]
    return config.backbone + (f" ({', '.join(changes)})" if changes else "")


def approach_text(config: TrainingConfig) -> str:
    """How it was trained, from the terms that were really used."""
    terms = " + ".join(f"{name} {weight:g}" for name, weight in config.terms.items())
    begin = "pretrained backbone" if config.pretrained else "from random weights"
    if config.initial_weights:
        # The whole digest is in config.json, in the model card and in the release's manifest.
        begin = f"from {read_origins(config.initial_weights)[0].short}"
    if config.stage == "stage2":
        begin = "from stage 1"
    inherited = read_origins(config.inherited_weights)
    if inherited:
        begin += f", descends from {', '.join(origin.short for origin in inherited)}"
    virtual = f"; {config.virtual_share:.0%} virtual cards" if config.virtual_share else ""
    return f"{begin}; {terms}{virtual}"


def normalisation_text(model: nn.Module) -> str:
    """The kinds of normalisation layers that are in a model, counted from its modules."""
    kinds = {
        "BatchNorm": nn.modules.batchnorm._BatchNorm,
        "LayerNorm": nn.LayerNorm,
        "GroupNorm": nn.GroupNorm,
    }
    found = [
        name
        for name, kind in kinds.items()
        if any(isinstance(module, kind) for module in model.modules())
    ]
    return " + ".join(found) or "none"
