"""Where a frame's brightness or colour changes, in which direction, and how far above its noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

#: Samples along a side of a quadrangle, and the share of it at each end that is left out: cards
#: have round corners.
SAMPLES, CORNER_SHARE = 32, 0.07
#: A step in brightness counts from this many times the frame's own noise, and never below a step
#: of so many grey levels.
_ABOVE_NOISE, _SMALLEST_STEP = 3.0, 1.2
#: The gradient across a side, averaged over some samples of it, from which it is seen there.
_STEADY = 0.6


@dataclass(frozen=True)
class EdgeMap:
    """The gradients of a frame at working size.

    Attributes:
        right, down: float32 (h, w): the strongest channel's gradient, in multiples of the step
            that counts as an edge.
        brightness: uint8 (h, w), smoothed.
    """

    right: Floats
    down: Floats
    brightness: Pixels

    @classmethod
    def of(cls, frame: Pixels) -> EdgeMap:
        """Computes the map of a frame, uint8 RGB (h, w, 3)."""
        smooth = cv2.GaussianBlur(frame, (0, 0), 1.0)
        lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)
        right = cv2.Scharr(lab, cv2.CV_16S, 1, 0).astype(np.float32)
        down = cv2.Scharr(lab, cv2.CV_16S, 0, 1).astype(np.float32)
        # Sums to 32 across two pixels of a ramp; of a smoothed step about half is left.
        right /= 16
        down /= 16
        size = right * right + down * down
        # Noise differs by channel: chroma is coded coarsely by the camera, so its steps are larger.
        noise: Doubles = np.sqrt(np.median(size[::4, ::4].reshape(-1, 3), axis=0))
        step: Doubles = np.maximum(_ABOVE_NOISE * noise, _SMALLEST_STEP)
        step[1:] *= 1.5
        relative = size / (step * step).astype(np.float32)
        best = relative.argmax(axis=2)[..., None]
        scale = (1 / step).astype(np.float32)[best[..., 0]]
        return cls(
            np.take_along_axis(right, best, axis=2)[..., 0] * scale,
            np.take_along_axis(down, best, axis=2)[..., 0] * scale,
            np.asarray(lab[..., 0], dtype=np.uint8),
        )

    @property
    def strength(self) -> Floats:
        """Size of the gradient, (h, w)."""
        return np.hypot(self.right, self.down)

    def thin(self) -> Pixels:
        """Edges one pixel wide, uint8 (h, w): 255 on an edge."""
        right, down = (
            np.clip(32 * each, -32767, 32767).astype(np.int16) for each in (self.right, self.down)
        )
        return np.asarray(cv2.Canny(right, down, 32, 40, L2gradient=True), dtype=np.uint8)

    def support(self, quads: Doubles) -> Doubles:
        """How much of each side of each quadrangle lies on an edge in its own direction.

        Args:
            quads: (n, 4, 2), pixels of this map.

        Returns:
            (n, 4): shares of each side, 0 to 1, from corner k to corner k + 1.
        """
        places = np.linspace(CORNER_SHARE, 1 - CORNER_SHARE, SAMPLES)
        shares: Doubles = self._edge_at(quads, places).mean(axis=2)
        return shares

    def beyond(self, quads: Doubles) -> Doubles:
        """How much of each side's extension past its two corners lies on an edge.

        A card's sides end at its corners. The sides of a shape that is made of a table's boards,
        of tiles or of a part of a card go on.

        Args:
            quads: (n, 4, 2), pixels of this map.

        Returns:
            (n, 8): shares, 0 to 1.
        """
        before = self._edge_at(quads, np.linspace(-0.22, -0.06, 9))
        after = self._edge_at(quads, np.linspace(1.06, 1.22, 9))
        return np.concatenate([before.mean(axis=2), after.mean(axis=2)], axis=1)

    def _edge_at(self, quads: Doubles, places: Doubles) -> NDArray[np.bool_]:
        """Whether an edge runs along each side at each place: (n, 4, places)."""
        if not len(quads):
            return np.empty((0, 4, len(places)), dtype=bool)
        ends = np.roll(quads, -1, axis=1)
        along = ends - quads
        length = np.maximum(np.linalg.norm(along, axis=2, keepdims=True), 1e-9)
        along_unit = along / length
        normal = np.stack([-along_unit[..., 1], along_unit[..., 0]], axis=2)
        points = quads[:, :, None] + along[:, :, None] * places[:, None]
        found = np.zeros(points.shape[:3], dtype=bool)
        height, width = self.right.shape
        for step in (-1.0, 0.0, 1.0):
            positions = points + step * normal[:, :, None]
            x = np.clip(np.rint(positions[..., 0]), 0, width - 1).astype(np.intp)
            y = np.clip(np.rint(positions[..., 1]), 0, height - 1).astype(np.intp)
            right, down = self.right[y, x], self.down[y, x]
            # Averaged along the side: an edge goes on, noise and texture do not.
            across = _averaged(right * normal[..., 0, None] + down * normal[..., 1, None])
            aside = _averaged(right * along_unit[..., 0, None] + down * along_unit[..., 1, None])
            found |= (np.abs(across) >= _STEADY) & (np.abs(across) >= 2 * np.abs(aside))
        inside = (points > -0.5).all(axis=3) & (points < (width - 0.5, height - 0.5)).all(axis=3)
        return np.asarray(found & inside)


def _averaged(values: Doubles) -> Doubles:
    """Means of each five neighbours along the last axis (n, 4, samples)."""
    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1, values.shape[-1])
    return np.asarray(cv2.blur(flat, (5, 1)).reshape(values.shape), dtype=np.float64)
