"""The nearest card of each view: which views went wrong, and which cards are confused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.acceptance.rule import AcceptanceRule
from recognition.search.gallery import TIE, Gallery

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """The answer to each view.

    Attributes:
        own: float32 (N,), cosine to the view's own card; -1 for a card outside the gallery.
        other: float32 (N,), cosine to the nearest other card.
        other_row: int (N,), the gallery's row of that card.
        score: float64 (N,), what acceptance compares with the threshold.
        threshold: From which a match is accepted.
    """

    own: Floats
    other: Floats
    other_row: NDArray[np.int64]
    score: NDArray[np.float64]
    threshold: float

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the own card is nearest; as near as another counts as a miss."""
        return np.asarray(self.other < self.own - np.float32(TIE))

    @property
    def best(self) -> Floats:
        """Cosine of the nearest card."""
        return np.maximum(self.own, self.other)

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Whether the answer counts."""
        return np.asarray(self.score >= self.threshold)


def answers(
    gallery: Floats,
    gallery_ids: Sequence[str],
    views: Floats,
    view_ids: Sequence[str],
    rule: AcceptanceRule,
    artworks: Mapping[str, str] | None = None,
) -> Answers:
    """Looks views up in a gallery with one row a card.

    Args:
        gallery: float32 (K, D), rows of length 1.
        gallery_ids: Card id of each row, each once.
        views: float32 (N, D), rows of length 1.
        view_ids: Card id of each view; a card that the gallery lacks is an unknown card.
        rule: Which answers count.
        artworks: By card id the name of its artwork.
    """
    cards = Gallery(gallery, gallery_ids, artworks=artworks)
    column_of = {card: column for column, card in enumerate(cards.cards.tolist())}
    columns = np.asarray([column_of.get(card, -1) for card in view_ids], dtype=np.int64)
    own = np.full(len(views), -1, dtype=np.float32)
    other = np.full(len(views), -1, dtype=np.float32)
    nearest = np.zeros(len(views), dtype=np.int64)
    best = np.empty((len(views), min(rule.score.ranks, cards.artworks)), dtype=np.float32)
    # Each view is compared with each card once: at 17,592 cards that is most of the time.
    for part, cosines in cards.scores(views):
        best[part] = cards.nearest_artworks(cosines, rule.score.ranks)
        known = np.flatnonzero(columns[part] >= 0)
        own[part.start + known] = cosines[known, columns[part][known]]
        cosines[known, columns[part][known]] = -2
        nearest[part] = cosines.argmax(axis=1)
        found = np.take_along_axis(cosines, nearest[part][:, None], axis=1)[:, 0]
        other[part] = np.maximum(found, -1)
    row_of = np.argsort(np.asarray(gallery_ids, dtype=np.str_))
    return Answers(own, other, row_of[nearest], rule.score.of(best), rule.threshold())


def worst(found: Answers, count: int) -> list[int]:
    """Views that went most wrong: those that were misnamed, and then those of the wrong nearest
    card, by how far the wrong card is before the own one."""
    wrong = np.flatnonzero(~found.right)
    lead = found.other[wrong] - found.own[wrong]
    order = np.lexsort((-lead, ~found.accepted[wrong]))
    return [int(row) for row in wrong[order][:count]]


def accepted_unknown(found: Answers, count: int) -> list[int]:
    """Views of unknown cards that were accepted, the nearest first."""
    order = np.argsort(-found.score, kind="stable")[:count]
    return [int(row) for row in order if found.accepted[row]]


def confused(
    found: Answers, gallery_ids: Sequence[str], view_ids: Sequence[str]
) -> list[tuple[str, str, int]]:
    """Pairs of a card and the card that was nearest instead, with the views, most often first."""
    wrong = np.flatnonzero(~found.right)
    pairs = Counter(
        (view_ids[row], gallery_ids[int(found.other_row[row])]) for row in wrong.tolist()
    )
    return [
        (card, answer, views)
        for (card, answer), views in sorted(pairs.items(), key=lambda each: (-each[1], each[0]))
    ]


def operating_curve(
    known: Answers, unknown: Answers, points: int = 41
) -> tuple[tuple[float, float, float], ...]:
    """What other thresholds would bring.

    Returns:
        Rows of threshold, share of unknown cards' views accepted, share of known cards' views
        accepted and right; thresholds rise, and the one in use is among them.
    """
    thresholds = np.unique(np.quantile(known.score, np.linspace(0, 1, points)))
    thresholds = np.unique(np.append(thresholds, known.threshold))
    return tuple(
        (
            float(each),
            float((unknown.score >= each).mean()),
            float(((known.score >= each) & known.right).mean()),
        )
        for each in thresholds
    )
