"""Several frames of one card as one query: the mean of their embeddings.

What moves an embedding differs from frame to frame (blur, glare, the angle) and averages out; what
the card is stays. Frames must be of one card: nothing here notices that two cards were mixed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recognition.search.gallery import l2_normalise

Floats = NDArray[np.float32]

#: How many frames the evaluation measures beside one.
FRAMES = 3


def mean_of_frames(embeddings: ArrayLike) -> Floats:
    """The one embedding of several frames of a card.

    Args:
        embeddings: (n, D), one row a frame, of any length; each frame counts alike.

    Returns:
        float32 (D,), of length 1.

    Raises:
        ValueError: No frames, a row without direction, or frames that cancel each other.
    """
    rows = np.asarray(embeddings, dtype=np.float32)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"frames: expected (frames, dimensions), got shape {rows.shape}")
    return l2_normalise(l2_normalise(rows).mean(axis=0, dtype=np.float64))


def in_frames(
    embeddings: ArrayLike, card_ids: Sequence[str], frames: int = FRAMES
) -> tuple[Floats, list[str]]:
    """Puts the views of each card together, so many at a time, in their order.

    Args:
        embeddings: (N, D), one row a view.
        card_ids: Card id of each row.
        frames: Views that become one query. Views that are left over belong to none.

    Returns:
        float32 (M, D) rows of length 1, and the card id of each; M is 0 where no card has so many
        views.

    Raises:
        ValueError: Rows and ids differ in number, or as in :func:`mean_of_frames`.
    """
    rows = np.asarray(embeddings, dtype=np.float32)
    if len(rows) != len(card_ids):
        raise ValueError(f"frames: {len(rows)} rows but {len(card_ids)} card ids")
    places: dict[str, list[int]] = {}
    for place, card_id in enumerate(card_ids):
        places.setdefault(card_id, []).append(place)
    chosen = [
        (card_id, found[start : start + frames])
        for card_id, found in places.items()
        for start in range(0, len(found) - frames + 1, frames)
    ]
    if not chosen:
        return rows[:0], []
    together = l2_normalise(rows)[np.asarray([group for _, group in chosen])]
    return l2_normalise(together.mean(axis=1, dtype=np.float64)), [card for card, _ in chosen]
