"""Corners to a fraction of a pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.frames.refinement import refined

TRUE = np.array([[60.3, 40.7], [160.9, 52.2], [150.4, 190.6], [49.8, 178.1]])


def drawn(finger: bool = False) -> np.ndarray:
    """A light quadrangle on a dark table, drawn 16 times as large and averaged down."""
    factor = 16
    large = np.full((240 * factor, 220 * factor), 60, dtype=np.uint8)
    cv2.fillPoly(large, [np.rint((TRUE + 0.5) * factor - 0.5).astype(np.int32)], 200)
    if finger:
        cv2.circle(large, (110 * factor, 40 * factor), 14 * factor, 120, -1)
    small = cv2.resize(large, (220, 240), interpolation=cv2.INTER_AREA)
    return np.repeat(small[..., None], 3, axis=2)


@pytest.mark.parametrize("finger", [False, True], ids=["bare", "with a finger over an edge"])
def test_corners_are_found_to_a_tenth_of_a_pixel(finger: bool) -> None:
    rough = np.add(TRUE, [[1.5, -1.2], [-1.0, 1.4], [1.2, 1.0], [-1.5, 0.8]])
    corners, agreement = refined(drawn(finger), rough, reach=3.0)
    assert agreement > 0.7
    off = np.linalg.norm(corners - TRUE, axis=1)
    assert off.max() < (0.25 if finger else 0.12)


def test_outline_without_an_edge_stays_where_it_was() -> None:
    plain = np.full((240, 220, 3), 90, dtype=np.uint8)
    corners, agreement = refined(plain, TRUE, reach=3.0)
    np.testing.assert_allclose(corners, TRUE, atol=1e-6)
    assert agreement == 0


def test_outline_that_is_a_point_stays_where_it_was() -> None:
    point = np.full((4, 2), 30.0)
    np.testing.assert_array_equal(refined(drawn(), point, reach=3.0)[0], point)
