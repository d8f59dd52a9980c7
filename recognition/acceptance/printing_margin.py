"""The margin from which an answer names a printing, chosen by views of cards with several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from recognition.acceptance.rounding_noise import FLOAT_NOISE
from recognition.acceptance.threshold import threshold_between
from recognition.search.gallery import CHUNK, Gallery, checked_rows

#: Share of the views of cards with several printings that may have the wrong one named.
WRONG_PRINTINGS = 0.01


def choose_printing_margin(
    gallery: ArrayLike,
    gallery_ids: Sequence[str],
    queries: ArrayLike,
    query_ids: Sequence[str],
    artworks: Mapping[str, str],
    *,
    wrong: float = WRONG_PRINTINGS,
    noise: float = FLOAT_NOISE,
    chunk: int = CHUNK,
) -> float:
    """How far the best printing must be before its artwork's next for an answer to name it.

    Args:
        gallery: (G, D) embeddings of the known cards' clean scans.
        gallery_ids: Card id of each row.
        queries: (Q, D) views of them that settings are chosen by.
        query_ids: Card id of each.
        artworks: By card id the name of its artwork.
        wrong: Share of the views whose artwork has several printings that may have the wrong one
            named.
        noise: As in :func:`recognition.acceptance.threshold.choose_threshold`.
        chunk: Queries compared at once.

    Returns:
        A difference of cosines; 0 where no printing is ever taken for another of its artwork.
    """
    base = Gallery(gallery, gallery_ids, "gallery", artworks)
    rows = checked_rows(queries, query_ids, "queries", base.dimensions)
    own = base.own_cards(rows, query_ids, chunk)
    several = np.isfinite(own.margin) & (own.artwork_rank == 1)
    mistaken = own.margin[several & (own.rank != 1)].astype(np.float64)
    allowed = math.floor(wrong * int(several.sum()) + 1e-9)
    if len(mistaken) <= allowed:
        return 0.0
    # A difference of two cosines moves by both.
    return max(0.0, threshold_between(mistaken, allowed, 2 * noise))
