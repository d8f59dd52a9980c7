"""The gallery's embeddings in two dimensions, and which neighbourhoods on it are confused.

The projection is the two main components of the rows (PCA): the straight look that shows most of
their spread, without a random seed and without a parameter to choose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int]
#: Side of the map; places are whole numbers from 0 to it.
SIDE = 1000
#: Cards that are drawn as dots, whatever the set's size.
DOTS = 2000


@dataclass(frozen=True)
class EmbeddingMap:
    """Where cards lie.

    Attributes:
        dots: Places of cards, evenly chosen where there are more than :data:`DOTS`.
        places: Of the cards that are confused, by card id.
        share: Of the embeddings' spread, how much two dimensions show, in [0, 1].
    """

    dots: tuple[Place, ...]
    places: Mapping[str, Place]
    share: float


def embedding_map(
    gallery: NDArray[np.float32], gallery_ids: Sequence[str], confused: Iterable[tuple[str, str]]
) -> EmbeddingMap:
    """Projects a gallery.

    Args:
        gallery: float32 (K, D), one row a card.
        gallery_ids: Card id of each row.
        confused: Pairs of card ids that were confused; both are in the gallery.
    """
    rows = gallery.astype(np.float64) - gallery.mean(axis=0, dtype=np.float64)
    spread, axes = np.linalg.eigh(rows.T @ rows)
    flat = np.zeros((len(rows), 2))
    shown = axes[:, ::-1][:, :2]
    # A component's sign is arbitrary; its largest coefficient is made positive.
    shown = shown * np.sign(shown[np.abs(shown).argmax(axis=0), range(shown.shape[1])])
    flat[:, : shown.shape[1]] = rows @ shown
    low = flat.min(axis=0)
    scale = float((flat.max(axis=0) - low).max()) or 1.0
    places = np.rint((flat - low) / scale * SIDE).astype(int)
    row_of = {card: row for row, card in enumerate(gallery_ids)}
    wanted = dict.fromkeys(card for pair in confused for card in pair)
    total = float(spread.clip(min=0).sum())
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), DOTS)).round().astype(int))
    return EmbeddingMap(
        dots=tuple((int(x), int(y)) for x, y in places[chosen]),
        places={card: (int(x), int(y)) for card in wanted for x, y in [places[row_of[card]]]},
        share=round(float(spread[::-1][:2].clip(min=0).sum()) / total, 4) if total else 0.0,
    )
