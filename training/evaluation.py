"""What a trained model is worth, on views and cards that training never saw.

The gallery is the known cards' clean scans. Queries are camera views of another stream than the
training's. Settings are chosen by the validation figures alone (other views of the known cards,
and other unseen cards than the test's).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from recognition.retrieval import Evaluation, evaluate, l2_normalise
from training.config import TrainingConfig
from training.data import Cards, Pixels
from training.loop import Normaliser, TrainingError

Floats = NDArray[np.float32]
_BATCH = 256
_SAMPLE = 16


@dataclass(frozen=True)
class Embedder:
    """A model with all that it takes to embed uint8 images."""

    model: nn.Module
    config: TrainingConfig
    device: torch.device

    def embed(self, images: Pixels) -> Floats:
        """uint8 (N, S, S, 3) to L2-normalised float32 (N, D).

        Always in float32, whatever the precision of training: that is what ships, and what the
        exported graph is compared with.

        Raises:
            TrainingError: The model answers something that has no direction.
        """
        normalise = Normaliser(self.config, self.device)
        self.model.eval()
        rows = []
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                answer = self.model(normalise(images[start : start + _BATCH]))
                rows.append(answer.float().cpu().numpy())
        try:
            return l2_normalise(np.concatenate(rows))
        except ValueError as error:
            raise TrainingError(f"the trained model's {error}") from None


@dataclass(frozen=True)
class Outcome:
    """Everything that was measured after training.

    Attributes:
        test: On the query stream and the test part of the unseen cards: what is reported.
        validation: On the validation stream and the validation part: what settings are chosen by.
        similarity: Mean cosine between student and teacher on the validation views; None for a
            teacher.
        queries: float32 (Q, D), the normalised embeddings behind ``test``, in rendering order.
        query_ids: Card id of each.
        query_views_sha256: SHA-256 (hex) of those views' bytes, by which a machine that renders
            them again can tell whether it got the same ones.
        sample: uint8 (n, S, S, 3), the first few of those views.
        gallery: float32 (K, D), of the known cards' clean scans.
        unknown: float32 (U, D), of views of the test part's unseen cards.
    """

    test: Evaluation
    validation: Evaluation
    similarity: float | None
    queries: Floats
    query_ids: list[str]
    query_views_sha256: str
    sample: Pixels
    gallery: Floats
    unknown: Floats

    def to_dict(self) -> dict[str, Any]:
        """The form of ``evaluation.json``."""
        document = self.test.to_dict()
        document["validation"] = self.validation.to_dict()
        if self.similarity is not None:
            document["similarity"] = self.similarity
        return document

    def metrics(self) -> dict[str, float]:
        """The finite scalars, for the registry and for tracking."""
        flat = {
            name: float(value)
            for name, value in self.test.to_dict().items()
            if isinstance(value, int | float)
        }
        flat["top1_low"], flat["top1_high"] = self.test.top1_interval
        if self.test.top1_unseen_interval:
            low, high = self.test.top1_unseen_interval
            flat["top1_unseen_low"], flat["top1_unseen_high"] = low, high
        flat["validation_top1"] = self.validation.top1
        if self.validation.top1_unseen is not None:
            flat["validation_top1_unseen"] = self.validation.top1_unseen
        if self.similarity is not None:
            flat["similarity"] = self.similarity
        return {name: value for name, value in flat.items() if math.isfinite(value)}


def evaluate_model(embedder: Embedder, cards: Cards, teacher: Embedder | None = None) -> Outcome:
    """Renders the held-out views and measures retrieval, rejection and zero-shot recognition."""
    config, split = cards.config, cards.split
    gallery = embedder.embed(cards.gallery)
    seen_validation, validation_ids = cards.views(
        split.known, "validation", config.validation_views
    )
    queries, query_ids = cards.views(split.known, "query", config.query_views)
    outside, outside_ids = cards.views(split.unseen_validation, "validation", config.unseen_views)
    test, test_ids = cards.views(split.unseen_test, "query", config.unseen_views)
    query_embeddings = embedder.embed(queries)
    outside_embeddings = embedder.embed(outside)
    validation_embeddings = embedder.embed(seen_validation)
    test_embeddings = embedder.embed(test)
    measured = evaluate(
        gallery,
        split.known,
        query_embeddings,
        query_ids,
        outside_embeddings,
        test_embeddings,
        unseen_gallery=embedder.embed(cards.unseen_gallery(split.unseen_test)),
        unseen_gallery_ids=split.unseen_test,
        unseen_test_ids=test_ids,
    )
    validated = evaluate(
        gallery,
        split.known,
        validation_embeddings,
        validation_ids,
        outside_embeddings,
        outside_embeddings,
        unseen_gallery=embedder.embed(cards.unseen_gallery(split.unseen_validation)),
        unseen_gallery_ids=split.unseen_validation,
        unseen_test_ids=outside_ids,
    )
    similarity = None
    if teacher is not None:
        cosines = (validation_embeddings * teacher.embed(seen_validation)).sum(axis=1)
        similarity = float(cosines.mean(dtype=np.float64))
    return Outcome(
        measured,
        validated,
        similarity,
        query_embeddings,
        query_ids,
        hashlib.sha256(queries.tobytes()).hexdigest(),
        queries[:_SAMPLE],
        gallery,
        test_embeddings,
    )
