"""The acceptance threshold: what it shows about unknown cards, and how far it is from any view."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recognition.acceptance.false_accepts import cards_to_show, false_accept_bound
from recognition.acceptance.rounding_noise import FLOAT_NOISE, QUANTISED_NOISE
from recognition.acceptance.threshold import (
    choose_threshold,
    threshold_between,
)
from recognition.search.gallery import TIE, l2_normalise
from recognition.search.match_score import MatchScore

similarities = hnp.arrays(
    np.float32, st.integers(1, 120), elements=st.sampled_from(np.linspace(-1, 1, 21).tolist())
)
shares = st.sampled_from([0.0, 0.01, 0.05, 0.07, 0.2, 0.5])
noises = st.sampled_from([FLOAT_NOISE, QUANTISED_NOISE])
COSINE = MatchScore()


def named(cards: int, views: int) -> list[str]:
    return [f"card-{card}" for card in range(cards) for _ in range(views)]


@settings(deadline=None)
@given(similarities, st.integers(0, 120), noises)
def test_threshold_accepts_at_most_the_allowed_and_lies_on_no_view(
    outside: np.ndarray, allowed: int, noise: float
) -> None:
    allowed = min(allowed, len(outside) // 2)
    threshold = np.float32(threshold_between(outside, allowed, noise))
    accepted = int((outside >= threshold).sum())
    assert accepted <= allowed
    distances = np.abs(outside.astype(float) - float(threshold))
    room = [0.99 * COSINE.noise(float(value), noise, TIE) for value in outside]
    below_one = outside < 1
    assert (distances[below_one] >= np.asarray(room)[below_one]).all()
    # No gap that is further down would have done: the next lower value would let too many pass.
    lower = outside[outside < threshold]
    if len(lower):
        values = np.sort(outside)[::-1]
        given_up = np.unique(values[accepted : allowed + 1])
        assert len(given_up) == 1, "a gap was passed over"


def test_threshold_between_neighbours_is_in_the_middle() -> None:
    assert threshold_between([0.2, 0.4, 0.6, 0.8], 1) == pytest.approx(0.7)


def test_threshold_passes_over_a_gap_narrower_than_the_noise() -> None:
    outside = [0.9, 0.5 + 1e-6, 0.5, *np.linspace(0, 0.3, 17)]
    assert threshold_between(outside, 2) == pytest.approx(0.7, abs=1e-6)


def test_threshold_with_a_collapsed_model_accepts_nothing() -> None:
    same = np.ones(50, np.float32)
    assert not (same >= choose_threshold(same, target=0.5).threshold).any()


def test_bound_by_hand() -> None:
    """No view of n cards passes: a rate r is contradicted where (1 - r)^n is below 5 %."""
    for cards in (1, 16, 68, 299):
        assert false_accept_bound(0, cards) == pytest.approx(1 - 0.05 ** (1 / cards))
    assert cards_to_show(0.01) == 299 and cards_to_show(0.05) == 59
    assert false_accept_bound(0, 299) <= 0.01 < false_accept_bound(0, 298)
    assert false_accept_bound(5, 5) == 1.0
    # One of ten cards, its views all through: 0.1 ln(0.1/r) + 0.9 ln(0.9/(1-r)) = ln(20)/10.
    bound = false_accept_bound(1, 10)
    found = 0.1 * math.log(0.1 / bound) + 0.9 * math.log(0.9 / (1 - bound))
    assert found == pytest.approx(math.log(20) / 10)


@given(st.integers(1, 400), st.floats(0, 1), st.floats(0, 1))
def test_bound_grows_with_the_passing_cards_and_is_above_their_share(
    cards: int, one: float, other: float
) -> None:
    low, high = sorted((one * cards, other * cards))
    assert false_accept_bound(low, cards) <= false_accept_bound(high, cards) + 1e-12
    assert false_accept_bound(low, cards) >= low / cards - 1e-12
    assert false_accept_bound(low, cards) >= false_accept_bound(low, 2 * cards) - 1e-12 or low > 0


@pytest.mark.parametrize(("passing", "cards"), [(0, 0), (-1, 5), (6, 5)])
def test_bound_without_a_rate_is_refused(passing: float, cards: int) -> None:
    with pytest.raises(ValueError, match="give no rate"):
        false_accept_bound(passing, cards)


@pytest.mark.parametrize("cards", [40, 300])
@pytest.mark.parametrize("alike", [0.0, 0.5, 0.95])
def test_threshold_and_bound_hold_for_new_cards(cards: int, alike: float) -> None:
    """Simulated unknown cards whose true false-accept rate at every threshold is known.

    A view's score is normal with variance 1, of which a share belongs to its card, so that the
    rate at a threshold t is that of a normal variable beyond t whatever the share.
    """
    rng = np.random.default_rng(cards)
    target, views, draws = 0.05, 6, 80
    rates, bounds = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        of_card = rng.normal(size=(cards, 1)) * math.sqrt(alike)
        scores = of_card + rng.normal(size=(cards, views)) * math.sqrt(1 - alike)
        # Into the range of cosines, by a map that keeps their order.
        found = choose_threshold(np.tanh(scores / 4).ravel(), named(cards, views), target)
        rates[draw] = true_rate(found.threshold)
        bounds[draw] = found.bound
        assert found.estimate <= target and found.bound >= found.estimate - 1e-9
    # The bound needs no assumption; a bootstrap is too narrow where few cards pass.
    assert (rates <= bounds).mean() >= 0.95
    assert rates.mean() <= 0.9 * target
    assert (rates <= target).mean() >= 0.75


def true_rate(threshold: float) -> float:
    """Share of a normal variable beyond what became this threshold."""
    return 0.5 * math.erfc(4 * math.atanh(min(threshold, 1 - 1e-9)) / math.sqrt(2))


def test_threshold_by_views_alone_misses_its_target_more_often() -> None:
    """What an interval over cards is for: the views that may pass are of one or two cards."""
    rng = np.random.default_rng(0)
    missed = {"views": 0, "cards": 0}
    for _ in range(100):
        views = rng.normal(size=(50, 1)) + 0.2 * rng.normal(size=(50, 6))
        scores = np.tanh(views / math.sqrt(1.04) / 4).ravel()
        by_views = threshold_between(scores, math.floor(0.05 * len(scores)))
        missed["views"] += true_rate(by_views) > 0.05
        by_cards = choose_threshold(scores, named(50, 6), 0.05).threshold
        missed["cards"] += true_rate(by_cards) > 0.05
    assert missed["views"] > 35 and missed["cards"] < 25


def test_threshold_with_enough_cards_lets_some_pass_and_meets_the_target() -> None:
    found = choose_threshold(np.linspace(0, 0.99, 5000), target=0.01)
    assert 30 < found.passing < 50 and found.estimate <= 0.01 < found.bound
    assert not found.relaxed and found.warning is None
    # Five views a card that pass together are one card, not five.
    rows = np.repeat(np.linspace(0, 0.99, 1000), 5) + np.tile(np.linspace(0, 1e-4, 5), 1000)
    cards = choose_threshold(rows, named(1000, 5), target=0.01, noise=1e-7)
    views = choose_threshold(rows, target=0.01, noise=1e-7)
    assert cards.estimate <= 0.01 and cards.passing < views.passing


def test_estimate_by_hand() -> None:
    """One of 100 cards passes with half of its views: a resample holds it 0, 1, 2 … times.

    That follows Poisson's law with mean 1 nearly: 98 % hold it at most 3 times, 92 % at most 2.
    """
    scores = np.concatenate([[0.9, 0.1], np.linspace(0, 0.2, 198)])
    found = choose_threshold(scores, named(100, 2), target=0.015)
    assert found.passing == 1 and found.threshold > 0.2
    assert found.estimate == pytest.approx(3 * 0.5 / 100)
    assert found.bound == pytest.approx(false_accept_bound(0.5, 100))
    assert choose_threshold(scores, named(100, 2), target=0.0149).passing == 0


def test_threshold_with_too_few_cards_accepts_no_view_and_says_what_they_show() -> None:
    scores = np.concatenate([[0.99] * 3, np.linspace(0, 0.9, 677)])
    found = choose_threshold(scores, named(68, 10), target=0.01)
    assert found.passing == 0 and found.threshold > 0.99
    assert found.relaxed and found.bound == pytest.approx(1 - 0.05 ** (1 / 68))
    warning = found.warning
    assert warning and "299 unknown cards or more; 68 set" in warning
    assert "accepts 0 of their 680 views and shows a rate below 4.3 %" in warning


def test_threshold_raised_to_another_one_has_the_bound_of_what_still_passes() -> None:
    scores, ids = np.linspace(0, 0.99, 1000), named(1000, 1)
    found = choose_threshold(scores, ids, target=0.05)
    assert found.at_least(-1, scores, ids) is found
    raised = found.at_least(0.985, scores, ids)
    assert raised.threshold == 0.985 and raised.passing == int((scores >= 0.985).sum())
    assert raised.bound == pytest.approx(false_accept_bound(raised.passing, 1000))


def test_threshold_without_views_or_with_a_wrong_target_raises() -> None:
    with pytest.raises(ValueError, match="none given"):
        choose_threshold([])
    with pytest.raises(ValueError, match="must be in"):
        choose_threshold([0.1], target=1.0)
    with pytest.raises(ValueError, match="1 card ids"):
        choose_threshold([0.1, 0.2], ["a"])


def test_threshold_of_a_gap_score_is_away_from_every_view_by_its_own_noise() -> None:
    score = MatchScore(weight=1.0)
    values = np.array([0.1, 0.3, 0.30004, 0.5])
    # 0.3 and 0.30004 are nearer than twice the noise of a gap, not than that of a cosine.
    assert threshold_between(values, 2, FLOAT_NOISE, score) == pytest.approx(0.40002)
    assert choose_threshold(values, score=score).threshold > 0.5


def test_threshold_among_very_many_queries_gives_up_few_of_them() -> None:
    """No gap is wide enough there; rounding must still not let more pass than are allowed."""
    rng = np.random.default_rng(0)
    outside = np.clip(rng.normal(0.4, 0.1, size=300_000), -1, 1)
    allowed = 3000
    threshold = threshold_between(outside, allowed)
    assert 0.98 * allowed < (outside >= threshold).sum() <= allowed
    moved = outside + 0.9 * COSINE.noise(threshold, FLOAT_NOISE, TIE)
    assert (moved >= threshold).sum() <= allowed


@pytest.mark.parametrize("views", [90, 400, 3000])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.05])
def test_threshold_with_embeddings_computed_in_other_batches_decides_alike(
    views: int, share: float
) -> None:
    """The same network on batches of other sizes, in double precision, and in another order."""
    rng = np.random.default_rng(views)
    first, second = rng.normal(size=(300, 256)), rng.normal(size=(256, 96))
    images = rng.normal(size=(views, 300))
    scans = rng.normal(size=(50, 300))

    def embed(rows: np.ndarray, batch: int, kind: type = np.float32) -> np.ndarray:
        parts = [
            np.maximum(rows[i : i + batch].astype(kind) @ first.astype(kind), 0)
            @ second.astype(kind)
            for i in range(0, len(rows), batch)
        ]
        return l2_normalise(np.concatenate(parts))

    def best(batch: int, kind: type = np.float32) -> np.ndarray:
        gallery, queries = embed(scans, batch, kind), embed(images, batch, kind)
        return np.concatenate(
            [(queries[i : i + batch] @ gallery.T).max(axis=1) for i in range(0, views, batch)]
        )

    threshold = choose_threshold(best(views), target=share).threshold
    accepted = best(views) >= threshold
    assert accepted.sum() <= share * views
    others = [best(1), best(7), best(64), best(views, np.float64)]
    assert any((other != best(views)).any() for other in others), "nothing was rounded differently"
    for other in others:
        np.testing.assert_array_equal(other >= threshold, accepted)
