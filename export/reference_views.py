"""The reference views of a release, chosen from the images that the gate has measured."""

from __future__ import annotations

import numpy as np

from export.fidelity.gate_images import CardImages, GateImages, evenly_spaced
from export.fidelity.measurement import MeasuredModel
from recognition.embedding_model import EmbeddingModel
from recognition.reference_views import ReferenceViews, chosen_rows
from recognition.search.gallery import best_matches
from registry.compilation.gate_thresholds import GateThresholds

#: Views of known cards, and of cards that the release does not know.
KNOWN, UNKNOWN = 6, 2
#: How many views of unknown cards are looked at to find clear ones.
_UNKNOWN_SEARCHED = 24


def make_reference_views(
    gate_images: GateImages,
    measured: MeasuredModel,
    shipped: EmbeddingModel,
    thresholds: GateThresholds,
) -> ReferenceViews:
    """Chooses views with clear answers, and states them as the shipped model gave them.

    Args:
        gate_images: The gate's images.
        measured: The shipped model's embeddings of them, and its acceptance threshold.
        shipped: Embeds the views of unknown cards again.
        thresholds: The gate's: as far as the compiled model may be from the original, a device may
            be from the compiled one.
    """
    gallery, ids = measured.embeddings.gallery, gate_images.gallery.card_ids
    threshold = measured.evaluation.threshold

    def choose(embeddings: np.ndarray, count: int) -> list[int]:
        found = best_matches(gallery, ids, embeddings, k=2).similarities
        second = found[:, 1] if found.shape[1] > 1 else np.full(len(found), -1.0)
        return chosen_rows(found[:, 0], second, threshold, count)

    known = choose(measured.embeddings.queries, KNOWN)
    views = [gate_images.queries.image(row) for row in known]
    embeddings = [measured.embeddings.queries[known]]
    if len(gate_images.unseen_test):
        searched = _images(gate_images.unseen_test, _UNKNOWN_SEARCHED)
        rows = shipped.embed(searched)
        unknown = choose(rows, UNKNOWN)
        views += [searched[row] for row in unknown]
        embeddings.append(rows[unknown])
    stated = np.concatenate(embeddings)
    best = best_matches(gallery, ids, stated, k=1)
    return ReferenceViews(
        views=np.stack(views),
        embeddings=stated,
        card_ids=tuple(str(card_id) for card_id in best.card_ids[:, 0]),
        similarities=tuple(float(value) for value in best.similarities[:, 0]),
        threshold=threshold,
        cosine_mean=thresholds.cosine_mean,
        cosine_each=thresholds.cosine_p5,
    )


def _images(views: CardImages, count: int) -> np.ndarray:
    """uint8 (at most count, S, S, 3): some of the images, evenly spaced."""
    rows = evenly_spaced([str(row) for row in range(len(views))], count)
    return np.stack([views.image(int(row)) for row in rows])
