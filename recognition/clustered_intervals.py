"""Intervals of metrics that were measured on several views of each card.

Views of one card are no independent trials: a card that is hard is hard in all of them. An
interval over views alone is too narrow, the more so the fewer cards there are. So a rate gets
Wilson's interval over its effective number of trials (Korn and Graubard 1998, Survey Methodology
24), and any other figure a percentile interval of a bootstrap over cards (Field and Welsh 2007,
JRSS B 69). All are 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from registry.intervals import wilson_interval

Doubles = NDArray[np.float64]
Interval = tuple[float, float]

RESAMPLES = 400
_SEED = 20240601


class Clusters:
    """Which card each row belongs to.

    Args:
        card_ids: One a row; None makes every row a card of its own.
        rows: How many rows there are.
    """

    def __init__(self, card_ids: Sequence[str] | None, rows: int) -> None:
        if card_ids is None:
            self.of = np.arange(rows)
        else:
            if len(card_ids) != rows:
                raise ValueError(f"{rows} rows but {len(card_ids)} card ids")
            self.of = np.unique(np.asarray(card_ids, dtype=np.str_), return_inverse=True)[1]
        self.count = int(self.of.max()) + 1 if rows else 0

    def sums(self, values: Doubles) -> Doubles:
        """(cards,) sums of the rows' values."""
        return np.bincount(self.of, weights=values, minlength=self.count).astype(np.float64)

    def resampled(self, rng: np.random.Generator) -> Doubles:
        """(RESAMPLES, cards): how often each card is drawn in each resample."""
        chances = np.full(self.count, 1 / self.count)
        return rng.multinomial(self.count, chances, size=RESAMPLES).astype(np.float64)


def rate_interval(hits: ArrayLike, clusters: Clusters) -> Interval:
    """Wilson's interval of a rate over rows that come in clusters.

    Args:
        hits: bool (rows,).
        clusters: Of the rows.
    """
    values = np.asarray(hits, dtype=np.float64)
    trials, rate = len(values), float(values.mean())
    if clusters.count == trials:
        effective = float(trials)
    elif clusters.count < 2 or rate in (0.0, 1.0):
        # Nothing tells the rows of a card apart: each card says one thing.
        effective = float(clusters.count)
    else:
        off = clusters.sums(values - rate)
        among = clusters.count / (clusters.count - 1) * float((off**2).sum()) / trials**2
        effective = min(trials, rate * (1 - rate) / among) if among > 0 else float(trials)
        effective = max(1.0, effective)
    return wilson_interval(rate * effective, effective)


def mean_interval(values: ArrayLike, clusters: Clusters) -> Interval:
    """Interval of the mean of values, float (rows,), that come in clusters."""
    given = np.asarray(values, dtype=np.float64)
    weights = clusters.resampled(np.random.default_rng(_SEED))
    counts = clusters.sums(np.ones(len(given)))
    return _percentiles((weights @ clusters.sums(given)) / (weights @ counts))


def auroc_interval(
    positives: ArrayLike,
    of_positives: Clusters,
    negatives: ArrayLike,
    of_negatives: Clusters,
    tie: float = 0.0,
) -> Interval:
    """Interval of ``recognition.retrieval.auroc``; both sides are resampled."""
    known, unknown = np.asarray(positives, np.float64), np.asarray(negatives, np.float64)
    order = np.argsort(unknown, kind="stable")
    below = np.searchsorted(unknown[order], known - tie, side="left")
    up_to = np.searchsorted(unknown[order], known + tie, side="right")
    rng = np.random.default_rng(_SEED)
    found = []
    for resampled, others in zip(
        of_positives.resampled(rng), of_negatives.resampled(rng), strict=True
    ):
        weights = resampled[of_positives.of]
        passed = np.concatenate([[0.0], np.cumsum(others[of_negatives.of[order]])])
        found.append(weights @ (passed[below] + passed[up_to]) / 2 / (weights.sum() * passed[-1]))
    return _percentiles(np.asarray(found))


def _percentiles(values: Doubles) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
