"""Finding cards in rendered scenes. ``make bench-frames`` measures it over many."""

from __future__ import annotations

import numpy as np
import pytest

from edge.frames.finder import CardShape, find_cards, short_side_first
from edge.frames.quadrangles import overlap, side_lengths
from recognition.scenes.scene import EMPTY_SCENES
from tests.edge.frames.scenes import scene

SEEDS = range(50, 54)


def corner_error(found: np.ndarray, true: np.ndarray) -> float:
    """Of the outline to the true one, whichever corner it begins with; the largest, in pixels."""
    return min(
        float(np.linalg.norm(np.roll(found, k, axis=0) - true, axis=1).max()) for k in range(4)
    )


@pytest.mark.parametrize("kind", ["plain", "glare", "hand", "clutter"])
def test_card_is_found_in_most_scenes(kind: str) -> None:
    found = 0
    for seed in SEEDS:
        made = scene(kind, seed)
        outlines = find_cards(made.frame)
        found += bool(outlines) and overlap(outlines[0].corners, made.cards[0]) > 0.8
    assert found >= len(SEEDS) - 1


def test_corners_are_within_three_pixels_on_a_plain_table() -> None:
    errors = []
    for seed in SEEDS:
        made = scene("plain", seed)
        errors.append(corner_error(find_cards(made.frame)[0].corners, made.cards[0]))
    assert np.median(errors) < 3.0


def test_two_cards_are_two_outlines() -> None:
    made = scene("two cards", 51, (0, 1))
    outlines = find_cards(made.frame)
    best = [max(overlap(each.corners, card) for each in outlines) for card in made.cards]
    assert min(best) > 0.8


@pytest.mark.parametrize("kind", EMPTY_SCENES)
def test_empty_scenes_have_hardly_any_card(kind: str) -> None:
    assert sum(bool(find_cards(scene(kind, seed).frame)) for seed in SEEDS) <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 2), (33, 40), (480, 640)])
@pytest.mark.parametrize("content", ["black", "noise"])
def test_frame_without_anything_has_no_card(size: tuple[int, int], content: str) -> None:
    frame = np.zeros((*size, 3), dtype=np.uint8)
    if content == "noise":
        frame = np.random.default_rng(1).integers(0, 256, frame.shape, dtype=np.uint8)
    assert find_cards(frame) == []


def test_outlines_begin_with_a_short_side_above() -> None:
    made = scene("plain", 50)
    corners = find_cards(made.frame)[0].corners
    sides = side_lengths(corners[None])[0]
    assert sides[[0, 2]].mean() < sides[[1, 3]].mean()
    assert corners[:2, 1].sum() <= corners[2:, 1].sum()


def test_card_that_lies_across_begins_with_a_short_side_too() -> None:
    across = np.array([[100.0, 100], [188, 100], [188, 163], [100, 163]])
    turned = short_side_first(across, CardShape(), (480, 640))
    assert side_lengths(turned[None])[0][0] == pytest.approx(63)
