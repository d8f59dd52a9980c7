"""Embeds the gate's images with each model, a group at a time, and evaluates the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.fidelity.embedding_shards import EmbeddingShards
from export.fidelity.gate import Embeddings
from export.fidelity.gate_images import CardImages, EvaluationImages
from recognition.acceptance.false_accepts import FALSE_ACCEPTS
from recognition.acceptance.rounding_noise import FLOAT_NOISE, QUANTISED_NOISE
from recognition.embedding_model import EmbeddingModel
from recognition.evaluation_metrics import Evaluation
from recognition.retrieval import evaluate
from registry.compilers import ONNX_STAGE

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class AddedCardsMeasurement:
    """What cards that were added to the index after training are worth, and what they cost.

    Attributes:
        cards: How many were added.
        views: Of the added cards' views, among all cards of the index.
        before: Of the known cards' views, in the index without the added cards.
    """

    cards: int
    views: Evaluation
    before: Evaluation

    def metrics(self) -> dict[str, float]:
        """By name, for the report and the registry."""
        found = {"added_cards": float(self.cards), "added_queries": float(self.views.queries)}
        views, before = self.views.metrics(), self.before.metrics()
        for name in ("top1", "accepted_right"):
            for end in ("", "_low", "_high"):
                found[f"{name}_added{end}"] = views[f"{name}{end}"]
        for name in ("top1", "accepted_right", "false_accept_rate", "threshold"):
            found[f"{name}_before"] = before[name]
        return found


@dataclass(frozen=True)
class MeasuredModel:
    """One model's embeddings of the gate's images, and its retrieval metrics.

    Attributes:
        evaluation: Of the known cards' views, in the index as it ships.
        added: Of the cards that were added to the index; None where none were.
    """

    embeddings: Embeddings
    evaluation: Evaluation
    added: AddedCardsMeasurement | None = None

    def metrics(self) -> dict[str, float]:
        """Every finite metric by name."""
        return {**self.evaluation.metrics(), **(self.added.metrics() if self.added else {})}


def measure(
    images: EvaluationImages,
    runtimes: Mapping[str, EmbeddingModel],
    say: Callable[[str], None] = lambda line: None,
    shards: EmbeddingShards | None = None,
    false_accepts: float = FALSE_ACCEPTS,
    printing_margin: float = 0.0,
) -> dict[str, MeasuredModel]:
    """Embeds and evaluates; every image is rendered once for all models.

    Args:
        images: The images.
        runtimes: By stage.
        say: Called with one line for each step.
        shards: Finds and keeps the embeddings that an interrupted job has made.
        false_accepts: The false-accept rate that a threshold is to hold.
        printing_margin: How far a printing must be before its artwork's next to be named.
    """
    parts = ["gallery", "queries", "unseen_validation", "unseen_test", "unseen_gallery"]
    parts += [part for part in ("added", "strangers") if len(getattr(images, part))]
    rows = {part: embed(getattr(images, part), runtimes, part, say, shards) for part in parts}
    found = {}
    for stage in runtimes:
        of_stage = {part: rows[part][stage] for part in parts}
        noise = FLOAT_NOISE if stage == ONNX_STAGE else QUANTISED_NOISE
        found[stage] = _evaluated(images, of_stage, false_accepts, printing_margin, noise)
        say(f"{stage}: top-1 {found[stage].evaluation.top1:.3f}")
        for warning in found[stage].evaluation.warnings:
            say(f"{stage}: {warning}")
    return found


def _evaluated(
    images: EvaluationImages,
    rows: Mapping[str, Floats],
    false_accepts: float,
    printing_margin: float,
    noise: float,
) -> MeasuredModel:
    """One model's metrics, from its embeddings of each part."""
    gallery, gallery_ids = rows["gallery"], images.gallery.card_ids

    def evaluated(part: str, without: frozenset[str] = frozenset()) -> Evaluation:
        kept = [row for row, card_id in enumerate(gallery_ids) if card_id not in without]
        return evaluate(
            gallery[kept] if without else gallery,
            [gallery_ids[row] for row in kept],
            rows[part],
            getattr(images, part).card_ids,
            rows["unseen_validation"],
            rows["unseen_test"],
            unseen_gallery=rows["unseen_gallery"],
            unseen_gallery_ids=images.unseen_gallery.card_ids,
            unseen_test_ids=images.unseen_test.card_ids,
            unseen_validation_ids=images.unseen_validation.card_ids,
            strangers=rows.get("strangers"),
            stranger_ids=images.strangers.card_ids if "strangers" in rows else None,
            artworks=images.artworks,
            printing_margin=printing_margin,
            false_accepts=false_accepts,
            noise=noise,
        )

    added = frozenset(images.added.card_ids)
    return MeasuredModel(
        Embeddings(gallery, rows["queries"]),
        evaluated("queries"),
        AddedCardsMeasurement(len(added), evaluated("added"), evaluated("queries", added))
        if added
        else None,
    )


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
