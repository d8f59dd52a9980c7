"""From a frame to answers."""

from __future__ import annotations

import numpy as np
import pytest

from edge.frames.quadrangles import overlap
from edge.frames.recognising import recognise_frame
from edge.frames.rectifying import rectified, turned
from recognition.card_sets.scan import stretch
from tests.edge.frames.scenes import PixelRecogniser, scan, scene


@pytest.fixture(scope="module")
def recogniser() -> PixelRecogniser:
    return PixelRecogniser(range(12))


@pytest.mark.parametrize("turns", range(4))
def test_card_is_named_whichever_way_up_it_lies(recogniser: PixelRecogniser, turns: int) -> None:
    made = scene("plain", 50, (3,))
    frame = np.ascontiguousarray(np.rot90(made.frame, turns))
    (card,) = recognise_frame(recogniser, frame)
    assert card.recognition.card_id == "card-3"
    # The corners begin at the upright card's top left.
    again = rectified(frame, card.corners, 64)
    assert np.abs(again.astype(int) - stretch(scan(3), 64).astype(int)).mean() < 40
    assert card.to_dict()["corners"] is not None


def test_unknown_card_is_found_and_not_named(recogniser: PixelRecogniser) -> None:
    (card,) = recognise_frame(recogniser, scene("plain", 50, (40,)).frame)
    assert card.recognition.card_id is None


def test_each_of_two_cards_is_named_where_it_lies(recogniser: PixelRecogniser) -> None:
    made = scene("two cards", 51, (0, 1))
    found = recognise_frame(recogniser, made.frame)
    for number, true in enumerate(made.cards):
        best = max(found, key=lambda card: overlap(card.corners, true))
        assert best.recognition.card_id == f"card-{number}"


def test_empty_table_has_no_card(recogniser: PixelRecogniser) -> None:
    assert recognise_frame(recogniser, scene("bare table", 50).frame) == []
    assert recognise_frame(recogniser, scene("bare table", 50).frame, whole_image=True) == []


def test_scan_without_a_table_is_named_as_a_whole_image(recogniser: PixelRecogniser) -> None:
    (card,) = recognise_frame(recogniser, scan(5), whole_image=True)
    assert card.recognition.card_id == "card-5"


def test_crop_without_an_edge_is_named_as_a_whole_image(recogniser: PixelRecogniser) -> None:
    inner = np.ascontiguousarray(scan(5)[14:-14, 10:-10])
    (card,) = recognise_frame(recogniser, inner, whole_image=True)
    assert card.recognition.card_id == "card-5"


def test_rectified_card_is_the_scan() -> None:
    picture = scan(2)
    height, width = picture.shape[:2]
    edge = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    difference = np.abs(rectified(picture, edge, 64).astype(int) - stretch(picture, 64))
    assert difference.mean() < 3
    np.testing.assert_array_equal(turned(turned(picture, 2), 2), picture)
