"""Things that lie on a table beside cards, and hands; sizes are millimetres on the table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.scenes.tables import noise_field

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]

SKIN = np.array([232.0, 184.0, 154.0])


@dataclass(frozen=True)
class Thing:
    """A flat thing.

    Attributes:
        texture: uint8 RGB (h, w, 3).
        cover: uint8 (h, w), 255 where the thing is.
        wide, high: Millimetres.
        lift: Height above the table in millimetres, which the width of its shadow follows.
    """

    texture: Pixels
    cover: Pixels
    wide: float
    high: float
    lift: float


def rounded(height: int, width: int, radius: float) -> Pixels:
    """A mask of a rectangle with round corners, uint8 (height, width), smooth at its border."""
    if radius < 0.5:
        return np.full((height, width), 255, np.uint8)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    dx = np.maximum(np.maximum(radius - 0.5 - x, x - (width - 0.5 - radius)), 0)
    dy = np.maximum(np.maximum(radius - 0.5 - y, y - (height - 0.5 - radius)), 0)
    return np.asarray(np.clip(radius + 0.5 - np.hypot(dx, dy), 0, 1) * 255, dtype=np.uint8)


def rectangle(rng: np.random.Generator) -> Thing:
    """A thing that a card could be taken for: book, telephone, sheet, note pad, box, ..."""
    makers = (_book, _telephone, _sheet, _note, _business_card, _photo)
    return makers[int(rng.integers(len(makers)))](rng)


def small_thing(rng: np.random.Generator) -> Thing:
    """A coin, pen, die, ring of a glass, rubber band or cable."""
    makers = (_coin, _pen, _die, _coin, _pen, _counter)
    return makers[int(rng.integers(len(makers)))](rng)


def _canvas(wide: float, high: float, colour: Doubles) -> Pixels:
    scale = 480 / max(wide, high)
    shape = (max(8, round(high * scale)), max(8, round(wide * scale)), 3)
    return np.asarray(np.broadcast_to(np.clip(colour, 0, 255), shape), dtype=np.uint8).copy()


def _colour(rng: np.random.Generator) -> Doubles:
    return np.asarray(rng.uniform(15, 240, 3))


def _lines_of_text(canvas: Pixels, rng: np.random.Generator, ink: float) -> None:
    height, width = canvas.shape[:2]
    step = max(6, round(height / rng.uniform(14, 34)))
    margin = round(width * rng.uniform(0.06, 0.14))
    thick = max(2, step // 3)
    for y in range(round(height * rng.uniform(0.06, 0.2)), height - margin, step):
        if rng.random() < 0.12:
            continue
        x = margin
        stop = width - margin - round(rng.uniform(0, 0.3) * width * (rng.random() < 0.3))
        while x < stop:
            word = max(3, round(rng.uniform(1, 5) * step / 2))
            cv2.rectangle(canvas, (x, y), (min(x + word, stop), y + thick), (ink,) * 3, -1)
            x += word + max(2, step // 3)


def _book(rng: np.random.Generator) -> Thing:
    wide, high = [(110.0, 178.0), (130.0, 200.0), (148.0, 210.0), (170.0, 240.0)][
        int(rng.integers(4))
    ]
    canvas = _canvas(wide, high, _colour(rng))
    height, width = canvas.shape[:2]
    if rng.random() < 0.6:  # a picture on the cover
        top, left = round(height * rng.uniform(0.1, 0.4)), round(width * rng.uniform(0.0, 0.2))
        area = canvas[top : top + round(height * rng.uniform(0.25, 0.5)), left : width - left]
        for channel in range(3):
            field = noise_field(area.shape[1], area.shape[0], (5, 5), rng)
            area[..., channel] = np.clip(rng.uniform(40, 200) + 45 * field, 0, 255)
    for row in range(int(rng.integers(1, 4))):
        y = round(height * (0.08 + 0.09 * row))
        ink = (float(rng.choice([10, 240])),) * 3
        end = (round(width * rng.uniform(0.5, 0.9)), y + round(height * 0.045))
        cv2.rectangle(canvas, (round(width * 0.1), y), end, ink, -1)
    return Thing(canvas, rounded(height, width, 0), wide, high, rng.uniform(8, 30))


def _telephone(rng: np.random.Generator) -> Thing:
    wide, high = rng.uniform(66, 78), rng.uniform(138, 163)
    canvas = _canvas(wide, high, np.full(3, rng.uniform(8, 60)))
    height, width = canvas.shape[:2]
    rim = round(width * rng.uniform(0.02, 0.05))
    screen = canvas[rim : height - rim, rim : width - rim]
    if rng.random() < 0.5:
        screen[:] = np.clip(rng.uniform(5, 30) + 4 * rng.standard_normal(3), 0, 255)
    else:
        screen[:] = _colour(rng).astype(np.uint8)
        _lines_of_text(screen, rng, float(rng.choice([20, 235])))
    return Thing(canvas, rounded(height, width, width * 0.12), wide, high, 8.0)


def _sheet(rng: np.random.Generator) -> Thing:
    wide, high = [(210.0, 297.0), (148.0, 210.0), (105.0, 148.0)][int(rng.integers(3))]
    canvas = _canvas(wide, high, rng.uniform(215, 252) + rng.normal(0, 4, 3))
    if rng.random() < 0.75:
        _lines_of_text(canvas, rng, float(rng.uniform(10, 90)))
    return Thing(canvas, rounded(canvas.shape[0], canvas.shape[1], 0), wide, high, 0.5)


def _note(rng: np.random.Generator) -> Thing:
    side = rng.choice([51.0, 76.0])
    canvas = _canvas(side, side, np.array([250.0, 235.0, rng.uniform(60, 190)]))
    if rng.random() < 0.6:
        _lines_of_text(canvas, rng, 40.0)
    return Thing(canvas, rounded(canvas.shape[0], canvas.shape[1], 0), side, side, 1.5)


def _business_card(rng: np.random.Generator) -> Thing:
    wide, high = (85.0, 55.0) if rng.random() < 0.5 else (85.6, 54.0)
    canvas = _canvas(wide, high, _colour(rng))
    height, width = canvas.shape[:2]
    if wide == 85.6:  # a bank card: chip, digits, round corners
        position = (round(width * 0.12), round(height * 0.35))
        end = (round(width * 0.26), round(height * 0.55))
        cv2.rectangle(canvas, position, end, (212.0, 185.0, 110.0), -1)
        for k in range(4):
            x = round(width * (0.12 + 0.2 * k))
            end = (x + round(width * 0.14), round(height * 0.74))
            cv2.rectangle(canvas, (x, round(height * 0.66)), end, (230.0,) * 3, -1)
        return Thing(canvas, rounded(height, width, width * 0.037), wide, high, 0.8)
    _lines_of_text(canvas[height // 2 :, : width // 2], rng, float(rng.choice([20, 235])))
    return Thing(canvas, rounded(height, width, 0), wide, high, 0.5)


def _photo(rng: np.random.Generator) -> Thing:
    wide, high = (100.0, 150.0) if rng.random() < 0.5 else (89.0, 127.0)
    canvas = _canvas(wide, high, np.full(3, 245.0))
    height, width = canvas.shape[:2]
    rim = round(width * rng.choice([0.0, 0.04]))
    picture = canvas[rim : height - rim, rim : width - rim]
    for channel in range(3):
        for cells, weight in ((3, 40), (12, 18)):
            field = noise_field(picture.shape[1], picture.shape[0], (cells, cells), rng)
            picture[..., channel] = np.clip(
                picture[..., channel] * 0.5 + 70 + weight * field, 0, 255
            )
    return Thing(canvas, rounded(height, width, 0), wide, high, 0.5)


def _coin(rng: np.random.Generator) -> Thing:
    side = rng.uniform(16, 27)
    tone = np.array([[190.0, 160.0, 90.0], [185.0, 185.0, 182.0], [170.0, 110.0, 75.0]])
    canvas = _canvas(side, side, tone[int(rng.integers(3))] * rng.uniform(0.6, 1.1))
    half = canvas.shape[0] // 2
    cv2.circle(canvas, (half, half), round(half * 0.85), (90.0,) * 3, 4, cv2.LINE_AA)
    cv2.circle(canvas, (half, half), round(half * 0.4), (110.0,) * 3, 6, cv2.LINE_AA)
    return Thing(canvas, rounded(canvas.shape[0], canvas.shape[1], half), side, side, 2.0)


def _counter(rng: np.random.Generator) -> Thing:
    side = rng.uniform(14, 22)
    canvas = _canvas(side, side, _colour(rng))
    return Thing(
        canvas, rounded(canvas.shape[0], canvas.shape[1], canvas.shape[0] / 2), side, side, 3.0
    )


def _pen(rng: np.random.Generator) -> Thing:
    wide, high = rng.uniform(7, 11), rng.uniform(125, 150)
    canvas = _canvas(wide, high, _colour(rng))
    height, width = canvas.shape[:2]
    shade = 1.15 - 0.6 * np.abs(np.linspace(-1, 1, width))
    canvas[:] = np.clip(canvas * shade[None, :, None], 0, 255)
    canvas[: height // 4] = np.clip(canvas[: height // 4] * 0.5, 0, 255)
    return Thing(canvas, rounded(height, width, width * 0.45), wide, high, 6.0)


def _die(rng: np.random.Generator) -> Thing:
    side = rng.uniform(12, 18)
    canvas = _canvas(side, side, _colour(rng))
    height = canvas.shape[0]
    for _ in range(int(rng.integers(1, 7))):
        position = (int(rng.uniform(0.2, 0.8) * height), int(rng.uniform(0.2, 0.8) * height))
        cv2.circle(canvas, position, height // 12, (245.0,) * 3, -1, cv2.LINE_AA)
    return Thing(canvas, rounded(canvas.shape[0], canvas.shape[1], height * 0.12), side, side, 12.0)


def draw_hand(
    canvas: Pixels,
    tip: tuple[float, float],
    inward: float,
    finger: float,
    rng: np.random.Generator,
    warp: Callable[[float, float], tuple[float, float]],
    scale: float,
) -> None:
    """Draws a hand that reaches into the frame: fingers side by side, and the palm behind them.

    Args:
        canvas: uint8 RGB (h, w, 3), drawn on.
        tip: Where the middle finger ends, in millimetres on the table.
        inward: Direction in which the fingers point, in radians.
        finger: A finger's width in millimetres.
        rng: Source of every random choice.
        warp: From millimetres on the table to pixels.
        scale: Pixels a millimetre at the hand.
    """
    tone = SKIN * rng.uniform(0.3, 1.0)
    cos, sin = math.cos(inward), math.sin(inward)

    def at(along: float, across: float) -> tuple[int, int]:
        x, y = warp(
            tip[0] + along * cos - across * sin,
            tip[1] + along * sin + across * cos,
        )
        return round(16 * x), round(16 * y)

    count = int(rng.integers(1, 5))
    wide = max(2, round(finger * scale))
    layers = ((1.25, 0.45), (1.0, 0.82), (0.8, 1.0))
    offsets = [(k - (count - 1) / 2) * finger * 1.08 for k in range(count)]
    backs = [-rng.uniform(0, 9) - abs(offset) * 0.25 for offset in offsets]
    for widen, tint in layers:
        colour = tuple(float(c) for c in np.clip(tone * tint, 0, 255))
        for offset, back in zip(offsets, backs, strict=True):
            start, end = at(back - finger / 2, offset), at(back - 70, offset * 1.1)
            thick = max(1, round(wide * widen))
            cv2.line(canvas, start, end, colour, min(thick, 32767), cv2.LINE_AA, 4)
        palm = np.array(
            [at(-60, -48 * widen), at(-60, 48 * widen), at(-400, 62 * widen), at(-400, -62 * widen)]
        )
        if widen <= 1.0 or count > 2:
            cv2.fillConvexPoly(canvas, palm, colour, cv2.LINE_AA, 4)
