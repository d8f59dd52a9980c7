"""Plain shapes and colours that cards are drawn with."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colour = tuple[float, float, float]
Point = tuple[float, float]

# OpenCV takes coordinates in 1/16 pixel, which keeps slanted edges smooth at small sizes.
_SHIFT = 4
_ONE = 1 << _SHIFT


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB in 0-255 of a hue in turns (any real number) and saturation and value in [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """A colour between two, ``share`` of the way to the second."""
    return (
        first[0] + (second[0] - first[0]) * share,
        first[1] + (second[1] - first[1]) * share,
        first[2] + (second[2] - first[2]) * share,
    )


def gradient(area: Pixels, top: Colour, bottom: Colour) -> None:
    """Fills an area (h, w, 3) in place from one colour at the top to another at the bottom."""
    share = np.linspace(0.0, 1.0, area.shape[0])[:, None, None]
    area[:] = (np.array(top) * (1 - share) + np.array(bottom) * share).astype(np.uint8)


@dataclass(frozen=True)
class Brush:
    """Draws anti-aliased shapes; coordinates are units of ``scale`` pixels."""

    area: Pixels
    scale: float

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, angle: float = 0.0
    ) -> None:
        """A filled ellipse, turned by ``angle`` degrees."""
        cv2.ellipse(
            self.area,
            self._fixed(x, y),
            self._fixed(max(rx, 0.2), max(ry, 0.2)),
            angle,
            0,
            360,
            colour,
            -1,
            cv2.LINE_AA,
            _SHIFT,
        )

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        fixed = np.array([self._fixed(x, y) for x, y in points], dtype=np.int32)
        cv2.fillPoly(self.area, [fixed], colour, cv2.LINE_AA, _SHIFT)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line through points."""
        fixed = np.array([self._fixed(x, y) for x, y in points], dtype=np.int32)
        thickness = max(1, round(width * self.scale))
        cv2.polylines(self.area, [fixed], False, colour, thickness, cv2.LINE_AA, _SHIFT)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled upright rectangle."""
        cv2.rectangle(
            self.area,
            self._fixed(x, y),
            self._fixed(x + width, y + height),
            colour,
            -1,
            cv2.LINE_AA,
            _SHIFT,
        )

    def _fixed(self, x: float, y: float) -> tuple[int, int]:
        return round(x * self.scale * _ONE), round(y * self.scale * _ONE)
