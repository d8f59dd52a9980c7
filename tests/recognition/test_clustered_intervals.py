from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.clustered_intervals import (
    Clusters,
    auroc_interval,
    mean_interval,
    rate_interval,
)
from recognition.retrieval import auroc
from registry.intervals import wilson_interval


def ids(cards: int, views: int) -> list[str]:
    return [f"card-{card}" for card in range(cards) for _ in range(views)]


def test_independent_rows_get_wilsons_interval() -> None:
    hits = np.arange(100) < 70
    assert rate_interval(hits, Clusters(None, 100)) == wilson_interval(70, 100)
    assert rate_interval(hits, Clusters(ids(100, 1), 100)) == wilson_interval(70, 100)


def test_views_that_only_repeat_their_card_add_nothing() -> None:
    hits = np.repeat(np.arange(40) < 28, 25)
    low, high = rate_interval(hits, Clusters(ids(40, 25), 1000))
    assert (low, high) == pytest.approx(wilson_interval(28, 40), abs=0.01)
    narrow = wilson_interval(700, 1000)
    assert high - low > 4 * (narrow[1] - narrow[0])
    # The bootstrap over cards says the same.
    assert mean_interval(hits, Clusters(ids(40, 25), 1000)) == pytest.approx((low, high), abs=0.05)


def test_interval_of_a_perfect_rate_follows_the_number_of_cards() -> None:
    assert rate_interval(np.ones(500), Clusters(ids(5, 100), 500)) == wilson_interval(5, 5)


def test_interval_of_a_rate_holds_what_it_says() -> None:
    """Of 300 sets of 40 cards with rates of their own, about 95 % of the intervals hold it."""
    rng = np.random.default_rng(0)
    held = naive = 0
    for _ in range(300):
        chances = rng.beta(2, 1, size=40)
        hits = rng.random((40, 20)) < chances[:, None]
        low, high = rate_interval(hits.ravel(), Clusters(ids(40, 20), 800))
        held += low <= 2 / 3 <= high
        low, high = wilson_interval(int(hits.sum()), 800)
        naive += low <= 2 / 3 <= high
    assert 0.91 <= held / 300 <= 0.99
    assert naive / 300 < 0.8


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 6))
def test_intervals_hold_their_figure(seed: int, cards: int, views: int) -> None:
    rng = np.random.default_rng(seed)
    of = Clusters(ids(cards, views), cards * views)
    known, others = rng.normal(1, 1, cards * views), rng.normal(0, 1, cards * views)
    low, high = rate_interval(known > 0.5, of)
    assert 0 <= low <= (known > 0.5).mean() <= high <= 1
    low, high = auroc_interval(known, of, others, of)
    assert 0 <= low <= high <= 1
    # A percentile interval of few cards may miss the figure by little, never by much.
    assert low - 0.3 <= auroc(known, others) <= high + 0.3


def test_auroc_of_resamples_counts_ties_half() -> None:
    of = Clusters(None, 30)
    assert auroc_interval(np.ones(30), of, np.ones(30), of) == (0.5, 0.5)
    assert auroc_interval(np.ones(30), of, np.zeros(30), of) == (1.0, 1.0)


def test_rows_and_ids_must_match() -> None:
    with pytest.raises(ValueError, match="3 rows but 2 card ids"):
        Clusters(["a", "b"], 3)
