"""The acceptance threshold: how many pass, and how far it is from what it was chosen by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recognition.acceptance import (
    FLOAT_NOISE,
    QUANTISED_NOISE,
    acceptance_threshold,
    allowed_false_accepts,
    cosine_noise,
    false_accept_warning,
)
from recognition.retrieval import l2_normalise

similarities = hnp.arrays(
    np.float32, st.integers(1, 120), elements=st.sampled_from(np.linspace(-1, 1, 21).tolist())
)
shares = st.sampled_from([0.0, 0.01, 0.05, 0.07, 0.2, 0.5])
noises = st.sampled_from([FLOAT_NOISE, QUANTISED_NOISE])


@settings(deadline=None)
@given(similarities, shares, noises)
def test_threshold_accepts_at_most_the_allowed_and_lies_on_no_view(
    outside: np.ndarray, share: float, noise: float
) -> None:
    threshold = np.float32(acceptance_threshold(outside, share, noise))
    accepted = int((outside >= threshold).sum())
    assert accepted <= allowed_false_accepts(share, len(outside))
    distances = np.abs(outside.astype(float) - float(threshold))
    room = [0.99 * cosine_noise(float(value), noise) for value in outside]
    below_one = outside < 1
    assert (distances[below_one] >= np.asarray(room)[below_one]).all()
    # No gap that is further down would have done: the next lower value would let too many pass.
    lower = outside[outside < threshold]
    if len(lower):
        values = np.sort(outside)[::-1]
        allowed = allowed_false_accepts(share, len(outside))
        given_up = np.unique(values[accepted : allowed + 1])
        assert len(given_up) == 1, "a gap was passed over"


def test_threshold_of_a_hundred_accepts_exactly_the_share() -> None:
    outside = np.linspace(0, 0.99, 100)
    assert (outside.astype(np.float32) >= acceptance_threshold(outside, 0.01)).sum() == 1
    assert (outside.astype(np.float32) >= acceptance_threshold(outside, 0.07)).sum() == 7


def test_threshold_without_queries_or_with_a_wrong_share_raises() -> None:
    with pytest.raises(ValueError, match="none given"):
        acceptance_threshold([], 0.01)
    with pytest.raises(ValueError, match="must be in"):
        acceptance_threshold([0.1], 1.0)


def test_threshold_between_neighbours_is_in_the_middle() -> None:
    assert acceptance_threshold([0.2, 0.4, 0.6, 0.8], 0.25) == pytest.approx(0.7)


def test_threshold_passes_over_a_gap_narrower_than_the_noise() -> None:
    outside = [0.9, 0.5 + 1e-6, 0.5, *np.linspace(0, 0.3, 17)]
    assert acceptance_threshold(outside, 0.1) == pytest.approx(0.7, abs=1e-6)


def test_threshold_with_a_collapsed_model_accepts_nothing() -> None:
    same = np.ones(50, np.float32)
    assert not (same >= acceptance_threshold(same, 0.1)).any()


def test_threshold_among_very_many_queries_gives_up_few_of_them() -> None:
    """No gap is wide enough there; rounding must still not let more pass than are allowed."""
    rng = np.random.default_rng(0)
    outside = np.clip(rng.normal(0.4, 0.1, size=300_000), -1, 1)
    threshold = acceptance_threshold(outside, 0.01)
    allowed = allowed_false_accepts(0.01, len(outside))
    assert 0.98 * allowed < (outside >= threshold).sum() <= allowed
    assert (outside + 0.9 * cosine_noise(threshold, FLOAT_NOISE) >= threshold).sum() <= allowed


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

    threshold = acceptance_threshold(best(views), share)
    accepted = best(views) >= threshold
    assert accepted.sum() <= allowed_false_accepts(share, views)
    others = [best(1), best(7), best(64), best(views, np.float64)]
    assert any((other != best(views)).any() for other in others), "nothing was rounded differently"
    for other in others:
        np.testing.assert_array_equal(other >= threshold, accepted)


@pytest.mark.parametrize(
    ("target", "views", "needed"),
    [(0.01, 99, 100), (0.001, 400, 1000), (0.07, 14, 15), (1e-6, 10, 1_000_000)],
)
def test_false_accept_target_finer_than_the_views_warns(
    target: float, views: int, needed: int
) -> None:
    warning = false_accept_warning(target, views)
    assert warning and f"at least {needed} views" in warning and f"; {views} set" in warning
    assert f"target of {target * 100:g} %" in warning
    assert false_accept_warning(target, needed) is None


def test_false_accept_target_of_zero_needs_no_views() -> None:
    assert false_accept_warning(0.0, 3) is None
