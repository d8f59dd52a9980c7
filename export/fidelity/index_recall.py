"""What a search of the shipped index loses against one of the shipped model's own embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recognition.search.gallery import Gallery
from recognition.search.index import ReferenceIndex

Floats = NDArray[np.float32]

#: Queries that are searched, evenly spaced.
SEARCHED = 5000


def cosines_lost(
    index: ReferenceIndex, gallery: Floats, card_ids: Sequence[str], queries: Floats
) -> Floats:
    """How much less similar than the nearest card the index's answer is; 0 for the same card.

    Args:
        index: What ships.
        gallery: float32 (G, D): the model's embeddings of the scans, rows of length 1.
        card_ids: Card id of each of them.
        queries: float32 (Q, D): of views, rows of length 1.

    Returns:
        float32, one for each query that was searched; 2 where the answer is no card of the gallery.
    """
    asked = queries[np.linspace(0, len(queries) - 1, min(SEARCHED, len(queries))).astype(int)]
    exact = Gallery(gallery, card_ids)
    answers = np.array([index.search(query, 1)[0][0] for query in asked], dtype=np.str_)
    columns = np.minimum(np.searchsorted(exact.cards, answers), len(exact.cards) - 1)
    lost = np.empty(len(asked), np.float32)
    for rows, scores in exact.scores(asked):
        own = np.take_along_axis(scores, columns[rows][:, None], axis=1)[:, 0]
        lost[rows] = scores.max(axis=1) - own
    lost[exact.cards[columns] != answers] = 2
    return lost
