"""The score of a match: what raises it, what lowers it, and its description."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recognition.search.match_score import MatchScore

weights = st.floats(0, 1)
cosines = hnp.arrays(np.float64, st.integers(2, 14), elements=st.floats(-1, 1))


def test_score_by_hand() -> None:
    ranked = [[0.9, 0.5, 0.3, 0.1], [0.6, 0.6, 0.6, 0.6]]
    assert MatchScore().of(ranked).tolist() == [0.9, 0.6]
    assert MatchScore(weight=1.0, runners_up=2).of(ranked) == pytest.approx([0.5, 0.0])
    assert MatchScore(weight=0.5).of(ranked) == pytest.approx([0.75, 0.3])
    # A gallery of one card has no runners-up.
    assert MatchScore(weight=1.0).of([[0.4]]).tolist() == [0.4]


@given(weights, cosines, st.floats(0, 1), st.integers(0, 12))
def test_score_rises_with_the_best_cosine_and_falls_with_the_others(
    weight: float, ranked: np.ndarray, by: float, place: int
) -> None:
    ranked = np.sort(ranked)[::-1]
    score = MatchScore(weight)
    before = score.of(ranked[None])[0]
    higher = ranked.copy()
    higher[0] += by
    assert score.of(higher[None])[0] >= before
    nearer = ranked.copy()
    nearer[1 + place % (len(ranked) - 1)] += by
    assert score.of(nearer[None])[0] <= before + 1e-12
    assert before <= score.highest


@given(weights, st.integers(1, 30))
def test_score_is_read_back_from_its_description(weight: float, runners_up: int) -> None:
    score = MatchScore(weight, runners_up)
    assert MatchScore.from_dict(json.loads(json.dumps(score.to_dict()))) == score


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "something_new"}, "this code knows best_less_runners_up"),
        ({"parameters": {"weight": 0.5}}, "weight and runners_up"),
        ({"parameters": {"weight": "0.5", "runners_up": 10}}, "weight is not a number"),
        ({"parameters": {"weight": 0.5, "runners_up": 1.5}}, "not a whole number"),
        ({"parameters": {"weight": 2, "runners_up": 10}}, "must be 0 to 1"),
        ({"parameters": {"weight": float("nan"), "runners_up": 10}}, "must be 0 to 1"),
        ({"parameters": {"weight": 1, "runners_up": 10**9}}, "must be 1 to"),
    ],
)
def test_description_that_does_not_fit_is_refused(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MatchScore.from_dict({**MatchScore().to_dict(), **change})
    with pytest.raises(ValueError, match="this code knows"):
        MatchScore.from_dict("cosine")
