"""Geometry of many quadrangles at once: which of them may be a card that a camera looks at.

Quadrangles are float64 (n, 4, 2), corners x and y in pixels, in order around the outline. Pixel
centres lie at whole numbers.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]


def clockwise(quads: Doubles) -> Doubles:
    """The same quadrangles, each clockwise as seen (y grows downwards)."""
    turned = quads.copy()
    back = signed_areas(quads) < 0
    turned[back] = turned[back, ::-1]
    return turned


def signed_areas(quads: Doubles) -> Doubles:
    """Areas in square pixels, positive where clockwise as seen: (n,)."""
    diagonal, other = quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]
    areas: Doubles = 0.5 * (diagonal[:, 0] * other[:, 1] - diagonal[:, 1] * other[:, 0])
    return areas


def convex(quads: Doubles) -> Flags:
    """Which of the quadrangles are convex and clockwise: (n,)."""
    ahead = np.roll(quads, -1, axis=1) - quads
    after = np.roll(ahead, -1, axis=1)
    turns = ahead[..., 0] * after[..., 1] - ahead[..., 1] * after[..., 0]
    return np.asarray((turns > 0).all(axis=1))


def side_lengths(quads: Doubles) -> Doubles:
    """(n, 4): from each corner to the next, in pixels."""
    lengths: Doubles = np.linalg.norm(np.roll(quads, -1, axis=1) - quads, axis=2)
    return lengths


def proportions(
    quads: Doubles, focal: float, middle: tuple[float, float]
) -> tuple[Doubles, Doubles]:
    """The proportion of the flat rectangle that a camera would see as each quadrangle.

    A camera of a known focal length sees a rectangle's two directions as two vectors, whose
    lengths give the proportion, and whose angle is right only where it is a rectangle at all.

    Args:
        quads: (n, 4, 2), convex.
        focal: Focal length in pixels; an estimate does, as the tilt is small.
        middle: The frame's middle in pixels.

    Returns:
        The length of sides 0 and 2 by that of sides 1 and 3 (n,), and the cosine of the angle
        between them (n,), 0 for a rectangle.
    """
    points = (quads - np.asarray(middle)) / focal
    first, second, third, fourth = (points[:, k] for k in range(4))
    # The unit square's homography in closed form (P. Heckbert 1989); its first two columns.
    across, down = second - third, fourth - third
    sums = first - second + third - fourth
    bottom = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    bottom = np.where(np.abs(bottom) < 1e-12, 1e-12, bottom)
    g = (sums[:, 0] * down[:, 1] - sums[:, 1] * down[:, 0]) / bottom
    h = (across[:, 0] * sums[:, 1] - across[:, 1] * sums[:, 0]) / bottom
    one = np.column_stack([second - first + g[:, None] * second, g])
    other = np.column_stack([fourth - first + h[:, None] * fourth, h])
    length, high = np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1)
    high = np.maximum(high, 1e-12)
    cosine = (one * other).sum(axis=1) / np.maximum(length * high, 1e-12)
    return length / high, cosine


def overlap(one: Doubles, other: Doubles) -> float:
    """Intersection over union of two convex quadrangles (4, 2)."""
    shared = shared_area(one, other)
    both = abs(cv2.contourArea(one.astype(np.float32))) + abs(
        cv2.contourArea(other.astype(np.float32))
    )
    return shared / max(both - shared, 1e-9)


def shared_area(one: Doubles, other: Doubles) -> float:
    """Area of the intersection of two convex quadrangles (4, 2), in square pixels."""
    return float(cv2.intersectConvexConvex(one.astype(np.float32), other.astype(np.float32))[0])
