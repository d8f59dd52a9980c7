"""The camera of a scene: where the table's millimetres lie in the frame, and the exposure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.views.effects import colour_matrices, motion_kernels
from recognition.views.parameters import Colour, Motion

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]


@dataclass
class Camera:
    """A pinhole camera above a table.

    Attributes:
        width, height: Of the frame in pixels.
        focal: Focal length in pixels.
        turn: Rotation from the table to the camera, (3, 3).
        away: Distance to the table's origin in millimetres.
        shift: Where the table's origin lies beside the axis, in millimetres.
    """

    width: int
    height: int
    focal: float
    turn: Doubles
    away: float
    shift: Doubles

    @classmethod
    def draw(
        cls,
        width: int,
        height: int,
        layout: np.random.Generator,
        moment: np.random.Generator,
        *,
        steep: bool,
        moved: bool,
    ) -> Camera:
        """A camera at random: a card's height takes 32 to 88 % of the frame's short side.

        Args:
            width, height: Of the frame in pixels.
            layout: Random choices that all frames of a sequence share.
            moment: Those of one frame.
            steep: Tilted by 25 to 45 degrees, instead of at most 18.
            moved: Displaced a little by a hand.
        """
        focal = layout.uniform(0.8, 1.25) * max(width, height)
        share = layout.uniform(0.32, 0.88)
        away = focal * 88.0 / (share * min(width, height))
        tilt = layout.uniform(25, 45) if steep else abs(layout.normal(0, 8))
        tilt = math.radians(min(tilt, 45 if steep else 18))
        direction, roll = layout.uniform(0, 2 * math.pi), layout.normal(0, 0.05)
        shift = np.zeros(2)
        shake = moment.normal(0, 1, 5)
        if moved:
            tilt += 0.015 * shake[0]
            direction += 0.04 * shake[1]
            roll += 0.015 * shake[2]
            shift = 1.5 * shake[3:]
        turn = _about(2, roll) @ _about(2, direction) @ _about(0, tilt) @ _about(2, -direction)
        return cls(width, height, focal, turn, away, shift)

    @property
    def scale(self) -> float:
        """Pixels a millimetre at the table's origin."""
        return self.focal / self.away

    @property
    def middle(self) -> Doubles:
        """The frame's middle in pixels, x and y."""
        return np.array([self.width / 2 - 0.5, self.height / 2 - 0.5])

    @property
    def extent(self) -> Doubles:
        """Width and height in millimetres of what the frame shows of the table."""
        return np.array([self.width, self.height]) / self.scale

    def step_back(self, factor: float) -> None:
        """Moves the camera away from the table."""
        self.away *= factor

    def points(self, table: Doubles) -> Doubles:
        """Millimetres on the table (n, 2) to pixels (n, 2)."""
        flat = np.column_stack([table + self.shift, np.zeros(len(table))])
        seen = flat @ self.turn.T
        depth = np.maximum(self.away + seen[:, 2:], 0.1 * self.away)
        found: Doubles = self.focal * seen[:, :2] / depth + self.middle
        return found

    def point(self, x: float, y: float) -> tuple[float, float]:
        """One point of :meth:`points`."""
        found = self.points(np.array([[x, y]]))[0]
        return float(found[0]), float(found[1])


def _about(axis: int, angle: float) -> Doubles:
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.eye(3)
    one, other = [k for k in range(3) if k != axis]
    turn[one, one], turn[one, other], turn[other, one], turn[other, other] = cos, -sin, sin, cos
    return turn


def expose(
    canvas: Pixels,
    moment: np.random.Generator,
    layout: np.random.Generator,
    *,
    glare_on: Doubles | None,
    dim: bool,
) -> Pixels:
    """Light, shadow, glare, colour, blur, noise and JPEG over a whole frame.

    Args:
        canvas: uint8 RGB (h, w, 3), evenly lit.
        moment: Random choices of this frame.
        layout: Those of the whole sequence.
        glare_on: Pixel about which a lamp is mirrored.
        dim: A quarter to a half of the light, and the noise that the sensor's gain then brings.
    """
    height, width = canvas.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = layout.uniform(0, 2 * math.pi)
    light = 1 + layout.uniform(0, 0.35) * (x * math.cos(angle) + y * math.sin(angle))
    if layout.random() < 0.3:
        angle, place = layout.uniform(0, 2 * math.pi), layout.uniform(-0.7, 0.7)
        edge = x * math.cos(angle) + y * math.sin(angle) - place
        light *= 1 - layout.uniform(0.15, 0.45) / (1 + np.exp(-layout.uniform(6, 40) * edge))
    exposure = layout.uniform(0.22, 0.45) if dim else math.exp(layout.normal(-0.05, 0.15))
    light *= np.float32(exposure * math.exp(moment.normal(0, 0.02)))
    colour = Colour(
        float(layout.uniform(0.7, 1.2)),
        float(layout.normal(0, 0.06)),
        float(layout.normal(0, 0.03)),
    )
    blurred = _blur(canvas, moment, soft=1.5 if dim else 1.0)
    matrix = colour_matrices([colour])[0]
    pixels: Floats = np.asarray(cv2.transform(blurred.astype(np.float32), matrix), np.float32)
    pixels *= light[..., None]
    if glare_on is not None:
        pixels += _glare(width, height, glare_on, moment)[..., None]
    deviation = moment.uniform(6, 13) if dim else moment.uniform(0.8, 5)
    noise = moment.standard_normal(pixels.shape, dtype=np.float32)
    # A sensor's noise is not quite as fine as its pixels, once the colours are filled in.
    noise = cv2.GaussianBlur(noise, (0, 0), 0.6) * 1.9
    pixels += np.float32(deviation) * noise
    frame = np.asarray(np.clip(np.round(pixels), 0, 255), dtype=np.uint8)
    quality = int(moment.integers(55, 96))
    _, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)


def _blur(canvas: Pixels, rng: np.random.Generator, soft: float) -> Pixels:
    """Out of focus, moved, or (most often) neither; in shares of the frame's height."""
    height = canvas.shape[0]
    kind = rng.random()
    if kind < 0.35:
        deviation = soft * rng.uniform(0.0007, 0.003) * height
        return np.asarray(cv2.GaussianBlur(canvas, (0, 0), deviation), dtype=np.uint8)
    if kind < 0.5:
        motion = Motion(float(soft * rng.uniform(0.003, 0.01)), float(rng.uniform(0, math.pi)))
        kernels, _ = motion_kernels([motion], height)
        return np.asarray(cv2.filter2D(canvas, -1, kernels[0]), dtype=np.uint8)
    return canvas


def _glare(width: int, height: int, about: Doubles, rng: np.random.Generator) -> Floats:
    """A lamp's oblong reflection near a pixel, in grey levels."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    short = min(width, height)
    centre = about + rng.normal(0, 0.12, 2) * short
    angle = rng.uniform(0, math.pi)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    along = (dx * math.cos(angle) + dy * math.sin(angle)) / (rng.uniform(0.1, 0.4) * short)
    across = (dy * math.cos(angle) - dx * math.sin(angle)) / (rng.uniform(0.04, 0.14) * short)
    return np.asarray(rng.uniform(90, 260) * np.exp(-(along**2) - across**2), dtype=np.float32)
