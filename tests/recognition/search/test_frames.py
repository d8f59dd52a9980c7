"""Several frames of one card as one query."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.search.frames import FRAMES, in_frames, mean_of_frames
from recognition.search.gallery import l2_normalise

counts = st.lists(st.integers(1, 8), min_size=1, max_size=6)


def test_mean_of_frames_by_hand() -> None:
    # Lengths do not count: each frame is brought to length 1 first.
    found = mean_of_frames([[3.0, 0.0], [0.0, 0.1]])
    assert found == pytest.approx([2**-0.5, 2**-0.5]) and found.dtype == np.float32
    assert mean_of_frames([[0.0, 5.0]]) == pytest.approx([0.0, 1.0])


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_mean_of_frames_has_length_one_and_forgets_their_order(seed: int, frames: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(frames, 12)) + 1
    found = mean_of_frames(rows)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)
    assert mean_of_frames(rng.permutation(rows)) == pytest.approx(found, abs=1e-6)
    # Never farther from what the frames have in common than the frames are on average.
    truth = l2_normalise(np.ones(12))
    assert found @ truth >= (l2_normalise(rows) @ truth).mean() - 1e-6


@settings(deadline=None)
@given(counts, st.integers(0, 10**6))
def test_in_frames_takes_each_view_once_and_mixes_no_cards(views: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = [f"c{card}" for card, count in enumerate(views) for _ in range(count)]
    # The views of a card point its own way, each of a number of its own.
    rows = np.zeros((len(ids), len(views) + 1))
    for place, card_id in enumerate(ids):
        rows[place, int(card_id[1:])] = 1.0
        rows[place, -1] = 0.01 * (place + 1)
    order = rng.permutation(len(ids))
    found, names = in_frames(rows[order], [ids[place] for place in order])
    assert len(found) == sum(count // FRAMES for count in views)
    assert all(row.argmax() == int(name[1:]) for row, name in zip(found, names, strict=True))
    for card, count in enumerate(views):
        assert names.count(f"c{card}") == count // FRAMES
    if len(found):
        assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)


def test_in_frames_of_few_views_is_empty_and_of_three_is_their_mean() -> None:
    rows = np.eye(3)
    empty, names = in_frames(rows, ["a", "a", "b"])
    assert empty.shape == (0, 3) and names == []
    found, names = in_frames(rows, ["a", "a", "a"])
    assert names == ["a"] and found[0] == pytest.approx(mean_of_frames(rows))


def test_frames_that_cannot_be_averaged_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        mean_of_frames([])
    with pytest.raises(ValueError, match="all zeros"):
        mean_of_frames([[1.0, 0.0], [-1.0, 0.0]])
    with pytest.raises(ValueError, match="2 rows but 1 card ids"):
        in_frames(np.eye(2), ["a"])
