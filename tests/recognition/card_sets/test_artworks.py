"""Cards that are printings of one artwork, found on their scans."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recognition.card_sets.artworks import artworks_of, grouped
from recognition.card_sets.card_set import read_card_set
from recognition.sample_cards.drawing import draw_card_set
from registry.contract import Contract

CONTRACT = Contract(size=96)
ids = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(ids, ids).filter(lambda pair: pair[0] != pair[1]), max_size=12))
def test_cards_are_of_one_artwork_where_a_chain_of_pairs_connects_them(
    pairs: list[tuple[str, str]],
) -> None:
    found = grouped(pairs)
    assert set(found) == {card_id for pair in pairs for card_id in pair}
    # The chains, by the powers of the matrix of pairs.
    names = sorted(found)
    near = np.eye(len(names), dtype=int)
    for one, other in pairs:
        near[names.index(one), names.index(other)] = near[names.index(other), names.index(one)] = 1
    reached = np.linalg.matrix_power(near, len(names) or 1) > 0
    for row, card_id in enumerate(names):
        chain = [name for column, name in enumerate(names) if reached[row, column]]
        assert found[card_id] == chain[0]


def test_second_id_of_a_print_is_its_artwork_and_a_near_twin_is_not(tmp_path: Path) -> None:
    """Every thirty-second drawn card has the picture of the one before, in another frame."""
    drawn = draw_card_set(tmp_path, 32)
    shutil.copytree(tmp_path / drawn[3], tmp_path / "reprint")
    found = artworks_of(read_card_set(tmp_path, CONTRACT), CONTRACT)
    assert found == {drawn[3]: drawn[3], "reprint": drawn[3]}
