"""Drawn cards: reproducible, all different, and a card set that reads back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recognition.card_sets.card_id import CARD_ID
from recognition.card_sets.card_set import read_card_set
from recognition.card_sets.scan import stretch
from recognition.sample_cards.drawing import TWIN_EVERY, card_id, draw_card, draw_card_set
from registry.contract import Contract


def test_card_follows_from_seed_and_number_alone() -> None:
    card = draw_card(5, seed=1)
    assert card.shape == (320, 229, 3) and card.dtype == np.uint8
    draw_card(9, seed=4)
    np.testing.assert_array_equal(draw_card(5, seed=1), card)
    assert not np.array_equal(draw_card(5, seed=2), card)
    assert draw_card(5, seed=1, height=96).shape == (96, 69, 3)


def test_ids_are_distinct_and_safe() -> None:
    names = [card_id(number) for number in range(5000)]
    assert len(set(names)) == 5000
    assert all(CARD_ID.fullmatch(name) for name in names)
    assert names[:2] == ["aurora-001", "aurora-002"]


def test_all_cards_differ_from_each_other() -> None:
    """Even averaged down to 32 x 32 pixels, no two of 300 cards look the same."""
    small = np.stack([stretch(draw_card(n, height=128), 32) for n in range(300)]).astype(float)
    rows = small.reshape(300, -1)
    norms = (rows**2).sum(axis=1)
    squares = norms[:, None] + norms[None, :] - 2 * rows @ rows.T
    np.fill_diagonal(squares, np.inf)
    nearest = np.sqrt(np.maximum(squares, 0).min(axis=1) / rows.shape[1])
    assert nearest.min() > 8
    assert np.median(nearest) > 30


def test_some_cards_are_reprints_of_the_card_before() -> None:
    """The picture's middle is nearer to its twin's than to any other card's."""

    def middle(number: int) -> np.ndarray:
        return draw_card(number, height=160)[34:64, 40:75].astype(float)

    twin = TWIN_EVERY - 1
    own = np.abs(middle(twin) - middle(twin - 1)).mean()
    others = [
        np.abs(middle(twin) - middle(n)).mean() for n in range(TWIN_EVERY + 20) if n < twin - 1
    ]
    assert own < min(others)


def test_larger_set_begins_with_the_smaller(tmp_path: Path) -> None:
    finished: list[int] = []
    small = draw_card_set(tmp_path / "small", 4, seed=2, height=96, progress=finished.append)
    large = draw_card_set(tmp_path / "large", 6, seed=2, height=96)
    assert large[:4] == small and finished == [1] * 4
    for name in small:
        first, second = (
            (tmp_path / size / name / "front.png").read_bytes() for size in ("small", "large")
        )
        assert first == second
    contract = Contract(size=64)
    cards = read_card_set(tmp_path / "large", contract)
    assert list(cards.card_ids) == sorted(large) and not cards.problems
    np.testing.assert_array_equal(
        cards.first_scans(contract)[0], stretch(draw_card(0, seed=2, height=96), 64)
    )
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["front.png"] * 10


def test_unwritable_folder_leaves_no_files(tmp_path: Path) -> None:
    (tmp_path / "cards").write_text("in the way")
    with pytest.raises(OSError, match="cards"):
        draw_card_set(tmp_path / "cards", 2)
    assert (tmp_path / "cards").read_text() == "in the way"


@pytest.mark.parametrize(("count", "height"), [(0, 320), (-1, 320), (1, 10), (1, 100_000)])
def test_impossible_sets_are_refused(tmp_path: Path, count: int, height: int) -> None:
    with pytest.raises(ValueError, match=r"at least 1|pixels"):
        draw_card_set(tmp_path / "cards", count, height=height)
    assert not (tmp_path / "cards").exists()
