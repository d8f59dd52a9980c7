"""Straightens the card within an outline, as if it had been scanned."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]

#: How much larger than asked for a card is straightened before it is shrunk by area, at most.
_LARGEST_STEP = 4


def rectified(frame: Pixels, corners: Doubles, size: int) -> Pixels:
    """The card within an outline, stretched to a square as the contract wants it.

    Args:
        frame: uint8 RGB (h, w, 3).
        corners: (4, 2) in its pixels: the card's top left, top right, bottom right, bottom left.
        size: Side of the square in pixels.

    Returns:
        uint8 RGB (size, size, 3).
    """
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    # A large card is first straightened at about its own size: a warp alone would skip pixels.
    step = int(np.clip(np.ceil(float(sides.max()) / size), 1, _LARGEST_STEP))
    side = size * step
    target = np.array(
        [[-0.5, -0.5], [side - 0.5, -0.5], [side - 0.5, side - 0.5], [-0.5, side - 0.5]], np.float32
    )
    place = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    square = cv2.warpPerspective(
        frame, place, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if step > 1:
        square = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(square, dtype=np.uint8)


def turned(square: Pixels, quarters: int) -> Pixels:
    """A rectified card turned by so many quarters, counter-clockwise."""
    return np.ascontiguousarray(np.rot90(square, quarters))
