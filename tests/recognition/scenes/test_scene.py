"""Scenes: the same arguments give the same pixels, and the corners are where the card is."""

from __future__ import annotations

import numpy as np
import pytest

from recognition.sample_cards.drawing import draw_card
from recognition.scenes.scene import CARD_SCENES, EMPTY_SCENES, Scene, render_scene

WIDTH, HEIGHT = 320, 240


def render(kind: str, seed: int = 1, number: int = 0) -> Scene:
    cards = 2 if kind == "two cards" else int(kind in CARD_SCENES)
    scans = [draw_card(k, height=320) for k in range(cards)]
    return render_scene(kind, scans, width=WIDTH, height=HEIGHT, seed=seed, number=number)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [*CARD_SCENES, *EMPTY_SCENES])
def test_scene_of_each_kind_is_repeatable_and_its_cards_lie_in_the_frame(kind: str) -> None:
    scene, again = render(kind), render(kind)
    assert scene.frame.shape == (HEIGHT, WIDTH, 3) and scene.frame.dtype == np.uint8
    np.testing.assert_array_equal(scene.frame, again.frame)
    assert len(scene.cards) == (2 if kind == "two cards" else int(kind in CARD_SCENES))
    for corners in scene.cards:
        assert (corners > 0).all() and (corners < (WIDTH, HEIGHT)).all()
    assert not np.array_equal(scene.frame, render(kind, seed=2).frame)


def test_frames_of_a_sequence_show_the_same_scene_from_a_little_aside() -> None:
    first, second = render("plain"), render("plain", number=1)
    moved = np.linalg.norm(first.cards[0] - second.cards[0], axis=1)
    assert 0 < moved.max() < 0.1 * WIDTH
    assert not np.array_equal(first.frame, second.frame)


def test_true_corners_lie_where_the_card_ends() -> None:
    """Of a white card on a dark table, brightness halfway along each side changes at the side."""
    white = np.full((320, 229, 3), 255, dtype=np.uint8)
    scene = render_scene("dark on dark", [white], width=640, height=480, seed=4)
    grey = scene.frame.astype(float).mean(axis=2)
    corners = scene.cards[0]
    centre = corners.mean(axis=0)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        middle = (start + end) / 2
        inwards = (centre - middle) / np.linalg.norm(centre - middle)
        # Beyond the darkened border, which is 4 % of the width.
        values = [
            grey[tuple(np.rint(middle + step * inwards).astype(int)[::-1])] for step in (-4, 30)
        ]
        assert values[1] > values[0] + 40


def test_unknown_kind_and_a_wrong_number_of_cards_are_refused() -> None:
    with pytest.raises(ValueError, match="scene 'beach' is none of plain, clutter"):
        render_scene("beach", [], width=320, height=240, seed=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scene 'plain' has 1 cards, 0 scans were given"):
        render_scene("plain", [], width=320, height=240, seed=1)
