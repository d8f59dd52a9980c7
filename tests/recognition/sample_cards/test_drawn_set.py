"""Drawn cards as a set without files."""

from __future__ import annotations

import numpy as np

from recognition.card_sets.card_id import CARD_ID
from recognition.sample_cards.drawn_set import SEVERAL_VIEWS, DrawnSet, views_of_strangers
from registry.contract import Contract

CONTRACT = Contract(size=32)


def test_drawn_set_gives_the_same_scans_of_a_card_whatever_else_is_in_it() -> None:
    small, large = DrawnSet.of(3), DrawnSet.of(70)
    assert large.card_ids[:3] == small.card_ids and len(set(large.card_ids)) == 70
    assert all(CARD_ID.fullmatch(card_id) for card_id in large.card_ids)
    scans = small.first_scans(CONTRACT, scale=2)
    assert scans.shape == (3, 64, 64, 3) and scans.dtype == np.uint8
    np.testing.assert_array_equal(large.only(small.card_ids).first_scans(CONTRACT, 2), scans)
    assert len(np.unique(scans.reshape(3, -1), axis=0)) == 3
    rows, ids = small.all_scans(CONTRACT)
    assert rows.shape == (3, 32, 32, 3) and ids == small.card_ids
    assert small.digest != large.digest


def test_drawn_set_leaves_out_near_twins() -> None:
    numbers = [int(card_id.rpartition("-")[2]) for card_id in DrawnSet.of(70).card_ids]
    assert 31 not in numbers and 63 not in numbers and numbers[-1] == 71


def test_most_strangers_have_one_view_and_some_enough_for_frames() -> None:
    counts = views_of_strangers(1000, 3)
    assert counts[:SEVERAL_VIEWS] == [3] * SEVERAL_VIEWS and set(counts[SEVERAL_VIEWS:]) == {1}
    assert views_of_strangers(5, 3) == [3] * 5 and views_of_strangers(0, 3) == []


def test_drawn_set_of_none_is_empty() -> None:
    assert DrawnSet.of(0).first_scans(CONTRACT).shape == (0, 32, 32, 3)
