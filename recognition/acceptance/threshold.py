"""The threshold from which a match is accepted, chosen by views of cards outside the gallery.

Two things are asked of it.

**It holds for cards, not for views.** Views of one unknown card are no independent trials: a card
that resembles a known one does so in all of its views. So each card counts with the share of its
views that would pass, and the threshold is the lowest one for which the upper end of a one-sided
95 % interval of the false-accept rate, by a bootstrap over cards, is at most the target. A
bootstrap knows nothing of the cards that were not drawn; of few cards it is too narrow. So what
they show without any assumption is reported beside it: the upper end by Hoeffding's inequality
(1963, JASA 58, theorem 1), which is valid for independent cards whatever their shares are. If no
view at all passes, n cards show a rate below 1 − 0.05^(1/n), which is 1 % at 299 cards; with fewer
cards than that the target is relaxed to what they show, and evaluation, warnings and manifest say
so.

**It lies between two neighbouring scores**, further from both than the arithmetic's noise: another
processor, batch size or matrix library rounds a score to the other side of a threshold that lies on
it.

Example:
    >>> from recognition.acceptance.threshold import choose_threshold
    >>> found = choose_threshold([0.2, 0.4, 0.6, 0.8], ["a", "a", "b", "b"], target=0.5)
    >>> round(found.threshold, 2), found.cards, round(found.bound, 2)  # one of b's views may pass
    (0.7, 2, 0.89)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recognition.acceptance.false_accepts import (
    CONFIDENCE,
    FALSE_ACCEPTS,
    cards_to_show,
    false_accept_bound,
)
from recognition.acceptance.rounding_noise import FLOAT_NOISE
from recognition.clustered_intervals import Clusters
from recognition.search.gallery import TIE
from recognition.search.match_score import MatchScore

Doubles = NDArray[np.float64]

#: How many views that might pass are given up in search of a gap in which to place the threshold.
_SEARCHED = 20
_SEED = 20240601
COSINE = MatchScore()


@dataclass(frozen=True)
class ChosenThreshold:
    """A threshold, and what the cards that it was chosen by show about it.

    Attributes:
        threshold: Score from which a match is accepted.
        target: The false-accept rate that was asked for, in [0, 1).
        estimate: Upper end of the one-sided 95 % interval of the false-accept rate by a bootstrap
            over cards: at most the target.
        bound: The same without assumptions, by Hoeffding's inequality.
        cards: Cards outside the gallery that it was chosen by.
        views: Their views.
        passing: How many of the views pass.
    """

    threshold: float
    target: float
    estimate: float
    bound: float
    cards: int
    views: int
    passing: int

    def at_least(
        self, threshold: float, scores: ArrayLike, card_ids: Sequence[str] | None
    ) -> ChosenThreshold:
        """The same cards' choice where the threshold may not be below another one.

        Args:
            threshold: The other one.
            scores: What this one was chosen by.
            card_ids: Card id of each.
        """
        if threshold <= self.threshold:
            return self
        values = np.asarray(scores, dtype=np.float64)
        clusters = Clusters(card_ids, len(values))
        return _of(threshold, self.target, values, clusters, _Bootstrap(clusters))

    @property
    def relaxed(self) -> bool:
        """Whether there are too few cards to show the target, whichever of their views pass."""
        return self.target > 0 and self.cards < cards_to_show(self.target)

    @property
    def warning(self) -> str | None:
        """Says when the target is finer than the cards can show; None where they can."""
        if not self.relaxed:
            return None
        return (
            f"a false-accept target of {self.target * 100:g} % can be shown by "
            f"{cards_to_show(self.target):,} unknown cards or more; {self.cards} set the "
            f"threshold, which accepts {self.passing} of their {self.views} views and shows a rate "
            f"below {self.bound * 100:.2g} %: hold out more cards (validation_share), add "
            "strangers (drawn_strangers), or raise false_accepts"
        )


def choose_threshold(
    scores: ArrayLike,
    card_ids: Sequence[str] | None = None,
    target: float = FALSE_ACCEPTS,
    noise: float = FLOAT_NOISE,
    score: MatchScore = COSINE,
) -> ChosenThreshold:
    """The lowest threshold whose false-accept rate is estimated to be at most a target.

    Args:
        scores: (N,) scores of views of cards outside the gallery.
        card_ids: Card id of each; without them each view counts as a card.
        target: Share in [0, 1) of unknown cards' views that may be accepted.
        noise: How much an embedding may change when it is computed elsewhere, as a share of its
            length.
        score: What the scores are.

    Raises:
        ValueError: No scores, ids that do not fit, or a target outside [0, 1).
    """
    values = np.asarray(scores, dtype=np.float64)
    if not len(values):
        raise ValueError("a threshold needs views of cards outside the gallery: none given")
    if not 0 <= target < 1:
        raise ValueError(f"target must be in [0, 1), not {target}")
    clusters = Clusters(card_ids, len(values))
    order = np.argsort(-values, kind="stable")
    estimates = _Bootstrap(clusters)
    # The estimate grows with the views that pass: halving finds how many may.
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if estimates.upper(order[:middle]) <= target:
            low = middle
        else:
            high = middle - 1
    threshold = threshold_between(values, low, noise, score)
    return _of(threshold, target, values, clusters, estimates)


class _Bootstrap:
    """Upper ends of the false-accept rate, by a bootstrap over cards."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters
        self._worth = 1 / clusters.sums(np.ones(len(clusters.of)))[clusters.of]
        self._drawn = clusters.resampled(np.random.default_rng(_SEED))

    def shares(self, rows: NDArray[np.int64]) -> Doubles:
        """(cards,): the share of each card's views that pass, where these rows do."""
        of = self._clusters.of[rows]
        shares = np.bincount(of, self._worth[rows], minlength=self._clusters.count)
        return np.asarray(shares, dtype=np.float64)

    def upper(self, rows: NDArray[np.int64]) -> float:
        """The upper end of the one-sided interval, where these rows pass."""
        rates = self._drawn @ self.shares(rows) / self._clusters.count
        return float(np.quantile(rates, CONFIDENCE, method="higher"))


def _of(
    threshold: float, target: float, values: Doubles, clusters: Clusters, estimates: _Bootstrap
) -> ChosenThreshold:
    """What the cards show about a threshold."""
    rows = np.flatnonzero(values >= threshold)
    passing = min(float(estimates.shares(rows).sum()), float(clusters.count))
    return ChosenThreshold(
        threshold=threshold,
        target=target,
        estimate=estimates.upper(rows),
        bound=false_accept_bound(passing, clusters.count),
        cards=clusters.count,
        views=len(values),
        passing=len(rows),
    )


def threshold_between(
    values: ArrayLike, allowed: int, noise: float = FLOAT_NOISE, score: MatchScore = COSINE
) -> float:
    """A threshold that at most so many values reach.

    It is in the middle of the lowest gap of at least twice the noise among the values that may
    pass, or above all of them. Where no gap is so wide, which takes many thousand values, it is the
    noise above the highest value that must not pass: rounding may then change which of the others
    pass, never that too many do.

    Args:
        values: (N,) scores, at least one.
        allowed: How many of them may pass, 0 to N - 1.
        noise: As in :func:`choose_threshold`.
        score: What the values are.
    """
    ranked = np.sort(np.asarray(values, dtype=np.float64))[::-1]
    for rank in range(min(allowed, len(ranked) - 1), max(0, allowed - _SEARCHED), -1):
        above, below = float(ranked[rank - 1]), float(ranked[rank])
        room = max(score.noise(below, noise, TIE), score.noise(above, noise, TIE))
        if above - below >= 2 * room:
            return (above + below) / 2
    highest = float(ranked[allowed if _SEARCHED < allowed < len(ranked) else 0])
    return min(highest + score.noise(highest, noise, TIE), score.highest)
