"""Geometry of quadrangles."""

from __future__ import annotations

import numpy as np
import pytest

from edge.frames.quadrangles import (
    clockwise,
    convex,
    overlap,
    proportions,
    shared_area,
    side_lengths,
    signed_areas,
)

SQUARE = np.array([[0.0, 0.0], [10, 0], [10, 10], [0, 10]])


def seen(wide: float, high: float, tilt: float, roll: float, focal: float = 600.0) -> np.ndarray:
    """A rectangle before a camera, in pixels."""
    box = np.array([[-wide, -high, 0], [wide, -high, 0], [wide, high, 0], [-wide, high, 0]]) / 2
    cos, sin = np.cos(roll), np.sin(roll)
    box = box @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    cos, sin = np.cos(tilt), np.sin(tilt)
    box = box @ np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    return focal * box[:, :2] / (300 + box[:, 2:]) + (320, 240)


@pytest.mark.parametrize("tilt", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("roll", [0.0, 0.4, 1.5])
def test_proportion_of_a_tilted_card_is_recovered(tilt: float, roll: float) -> None:
    ratio, cosine = proportions(seen(63, 88, tilt, roll)[None], 600.0, (320.0, 240.0))
    assert ratio[0] == pytest.approx(63 / 88, rel=1e-6)
    assert cosine[0] == pytest.approx(0, abs=1e-6)


def test_shape_that_no_rectangle_gives_has_a_skewed_angle() -> None:
    trapezium = np.array([[0.0, 0.0], [100, 0], [160, 80], [60, 80]])
    _, cosine = proportions(trapezium[None], 600.0, (80.0, 40.0))
    assert abs(cosine[0]) > 0.3


def test_overlap_is_of_the_shared_area() -> None:
    moved = np.add(SQUARE, (5, 0))
    assert overlap(SQUARE, SQUARE) == pytest.approx(1)
    assert shared_area(SQUARE, moved) == pytest.approx(50)
    assert overlap(SQUARE, moved) == pytest.approx(50 / 150)
    assert overlap(SQUARE, np.add(SQUARE, (20, 0))) == 0


def test_quadrangles_are_made_clockwise_and_crossed_ones_are_not_convex() -> None:
    quads = np.array([SQUARE, SQUARE[::-1], SQUARE[[0, 2, 1, 3]]])
    turned = clockwise(quads)
    assert (signed_areas(turned)[:2] == 100).all()
    assert convex(turned).tolist() == [True, True, False]
    np.testing.assert_allclose(side_lengths(turned)[0], 10)
