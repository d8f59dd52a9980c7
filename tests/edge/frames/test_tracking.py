"""Cards followed through rendered sequences."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from edge.frames.tracking import Change, Tracker, Tracking, difference
from tests.edge.frames.scenes import PixelRecogniser, scan, scene

SMALL = (480, 360)
RECOGNISER = PixelRecogniser(range(8))


def frames(kind: str, seed: int, count: int, cards: tuple[int, ...] = (0,)) -> list[np.ndarray]:
    return [scene(kind, seed, cards, SMALL, number).frame for number in range(count)]


def run(tracker: Tracker, sequence: Iterable[np.ndarray]) -> list[Change]:
    return [tracker.add(frame, RECOGNISER) for frame in sequence]


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(tracking=Tracking(frames=3, gone=2))


def names(changes: list[Change]) -> list[str | None]:
    return [card.recognition.card_id for change in changes for card in change.answered]


def test_card_is_answered_once_after_enough_frames(tracker: Tracker) -> None:
    changes = run(tracker, frames("plain", 50, 6, (2,)))
    assert names(changes) == ["card-2"]
    assert [bool(change.answered) for change in changes].index(True) >= 2


def test_card_that_replaces_another_in_its_place_is_answered_too(tracker: Tracker) -> None:
    changes = run(tracker, [*frames("plain", 50, 4, (2,)), *frames("plain", 50, 5, (5,))])
    assert names(changes) == ["card-2", "card-5"]


def test_empty_table_is_told_once_and_the_same_card_may_come_back(tracker: Tracker) -> None:
    empty = frames("bare table", 50, 4)
    changes = run(tracker, [*empty, *frames("plain", 50, 4, (5,)), *empty])
    assert [change.empty for change in changes].count(True) == 2 and changes[0].empty
    again = run(tracker, frames("plain", 50, 4, (5,)))
    assert names(changes) == ["card-5"] and names(again) == ["card-5"]


def test_light_changes_less_of_a_picture_than_another_card() -> None:
    card, other = scan(1), scan(2)
    darker = np.asarray(card * 0.5, dtype=np.uint8)
    assert difference(card[:320, :320], darker[:320, :320]) < 3
    assert difference(card[:320, :320], other[:320, :320]) > 20
