"""Embeds the gate's images with each model, a group at a time, and evaluates the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.fidelity.embedding_shards import EmbeddingShards
from export.fidelity.gate import Embeddings
from export.fidelity.gate_images import CardImages, GateImages
from recognition.acceptance import FALSE_ACCEPTS, FLOAT_NOISE, QUANTISED_NOISE
from recognition.embedding_model import EmbeddingModel
from recognition.retrieval import Evaluation, evaluate

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class MeasuredModel:
    """One model's embeddings of the gate's images, and its retrieval metrics."""

    embeddings: Embeddings
    evaluation: Evaluation


def measure(
    gate_images: GateImages,
    runtimes: Mapping[str, EmbeddingModel],
    say: Callable[[str], None] = lambda line: None,
    shards: EmbeddingShards | None = None,
    false_accepts: float = FALSE_ACCEPTS,
) -> dict[str, MeasuredModel]:
    """Embeds and evaluates; every image is rendered once for all models.

    Args:
        gate_images: The images.
        runtimes: By stage.
        say: Called with one line for each step.
        shards: Finds and keeps the embeddings that an interrupted job has made.
        false_accepts: Share of unknown cards' views that a threshold may accept.
    """
    parts = ("gallery", "queries", "unseen_validation", "unseen_test", "unseen_gallery")
    rows = {part: embed(getattr(gate_images, part), runtimes, part, say, shards) for part in parts}
    found = {}
    for stage in runtimes:
        gallery, queries, unseen_validation, unseen_test, unseen_gallery = (
            rows[p][stage] for p in parts
        )
        found[stage] = MeasuredModel(
            Embeddings(gallery, queries),
            evaluate(
                gallery,
                gate_images.gallery.card_ids,
                queries,
                gate_images.queries.card_ids,
                unseen_validation,
                unseen_test,
                unseen_gallery=unseen_gallery,
                unseen_gallery_ids=gate_images.unseen_gallery.card_ids,
                unseen_test_ids=gate_images.unseen_test.card_ids,
                unseen_validation_ids=gate_images.unseen_validation.card_ids,
                false_accepts=false_accepts,
                noise=FLOAT_NOISE if stage == "onnx" else QUANTISED_NOISE,
            ),
        )
        say(f"{stage}: top-1 {found[stage].evaluation.top1:.3f}")
        for warning in found[stage].evaluation.warnings:
            say(f"{stage}: {warning}")
    return found


def embed(
    views: CardImages,
    runtimes: Mapping[str, EmbeddingModel],
    name: str = "",
    say: Callable[[str], None] = lambda line: None,
    shards: EmbeddingShards | None = None,
) -> dict[str, Floats]:
    """Embeds every image with every model: float32 (N, D) by stage."""
    rows: dict[str, Floats] = {}
    done = 0
    for images in views.groups():
        for stage, runtime in runtimes.items():
            found = shards.find(stage, images) if shards else None
            if found is None:
                found = runtime.embed(images)
                if shards:
                    shards.keep(stage, images, found)
            # Allocated once: a list of groups and their concatenation need twice the memory.
            if stage not in rows:
                rows[stage] = np.empty((len(views), found.shape[1]), dtype=np.float32)
            rows[stage][done : done + len(images)] = found
        done += len(images)
        if done < len(views):  # a set that fits one group needs no line
            say(f"embedded {done:,} of {len(views):,}: {name}")
    return rows


def embed_with_swapped_channels(
    views: CardImages, rows: Sequence[int], runtime: EmbeddingModel
) -> Floats:
    """float32 (len(rows), D): embeds some of the images with red and blue exchanged."""
    images = np.stack([views.image(row)[..., ::-1] for row in rows])
    return runtime.embed(np.ascontiguousarray(images))
