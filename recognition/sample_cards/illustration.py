"""The picture on a drawn card: a scene with a creature in it, made of plain shapes."""

from __future__ import annotations

import math

import numpy as np

from recognition.sample_cards.creature import fish, mascot, serpent
from recognition.sample_cards.shapes import Brush, Colour, Pixels, gradient, hsv, mix


def illustrate(area: Pixels, rng: np.random.Generator, hue: float, scale: float) -> None:
    """Paints a scene and a creature in place.

    Args:
        area: uint8 RGB (h, w, 3) to paint over.
        rng: Source of every choice.
        hue: The card's main hue, in turns.
        scale: Pixels per unit of design (a card is 320 units high).
    """
    brush = Brush(area, scale)
    width, height = area.shape[1] / scale, area.shape[0] / scale
    scene_hue = hue + rng.choice([0.0, 0.08, -0.1, 0.45, 0.55, 0.33]) + rng.uniform(-0.04, 0.04)
    _scene(area, brush, width, height, rng, scene_hue)
    creature_hue = hue + rng.choice([0.0, 0.0, 0.06, -0.06, 0.3, 0.5]) + rng.uniform(-0.05, 0.05)
    size = 0.36 * min(width, height) * rng.uniform(0.85, 1.12)
    x, y = width * rng.uniform(0.38, 0.62), height * rng.uniform(0.50, 0.60)
    kind = rng.random()
    if kind < 0.66:
        mascot(brush, x, y, size, rng, creature_hue)
    elif kind < 0.83:
        serpent(brush, x, y, size, rng, creature_hue)
    else:
        fish(brush, x, y, size, rng, creature_hue)


def _scene(
    area: Pixels,
    brush: Brush,
    width: float,
    height: float,
    rng: np.random.Generator,
    hue: float,
) -> None:
    dark = rng.random() < 0.35
    top = hsv(hue + rng.uniform(-0.1, 0.1), rng.uniform(0.35, 0.85), 0.25 if dark else 0.9)
    bottom = hsv(hue + rng.uniform(0.02, 0.2), rng.uniform(0.15, 0.6), 0.6 if dark else 1.0)
    gradient(area, top, bottom)
    kind = int(rng.integers(7))
    near = hsv(hue + rng.uniform(0.1, 0.5), rng.uniform(0.3, 0.7), 0.3 if dark else 0.6)
    far = mix(near, bottom, 0.5)
    if kind == 0:  # rays from one point
        x, y = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.3, 0.8)
        count = int(rng.integers(7, 17))
        start = rng.uniform(0, 1)
        for k in range(count):
            a, b = (2 * math.pi * (k + start + d) / count for d in (0.0, 0.5))
            reach = width + height
            brush.polygon(
                [
                    (x, y),
                    (x + reach * math.cos(a), y + reach * math.sin(a)),
                    (x + reach * math.cos(b), y + reach * math.sin(b)),
                ],
                mix(top, (255, 255, 255), 0.25),
            )
        return
    if kind == 1:  # rings
        x, y = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.3, 0.8)
        step = rng.uniform(9, 18)
        for k in range(int(width / step), 0, -1):
            colour = (top, bottom, far)[k % 3]
            brush.ellipse(x, y, k * step, k * step * 0.9, colour)
        return
    _sky(brush, width, height, rng, dark)
    horizon = height * rng.uniform(0.55, 0.75)
    if kind in (2, 3):  # mountains or hills, two ranges deep
        for colour, base in ((far, horizon - 12), (near, horizon)):
            corners = int(rng.integers(4, 9)) if kind == 2 else 40
            wave = rng.uniform(0, 6.28, 3)
            xs = np.linspace(-5, width + 5, corners * 2 + 1)
            if kind == 2:
                ys = base - np.where(np.arange(len(xs)) % 2, rng.uniform(12, 42, len(xs)), 0)
            else:
                ys = base - 8 * np.sin(xs / 15 + wave[0]) - 6 * np.sin(xs / 31 + wave[1])
            brush.polygon([(-5, height), *zip(xs, ys, strict=True), (width + 5, height)], colour)
    elif kind == 4:  # sea with waves
        for k in range(5):
            level = horizon + k * (height - horizon) / 5
            xs = np.linspace(-2, width + 2, 36)
            ys = level + 2.5 * np.sin(xs / rng.uniform(4, 9) + rng.uniform(0, 6))
            colour = mix(near, bottom, 0.12 * (4 - k))
            brush.polygon([(-2, height), *zip(xs, ys, strict=True), (width + 2, height)], colour)
    elif kind == 5:  # towers or crystals
        pointed = rng.random() < 0.6
        for _ in range(int(rng.integers(6, 13))):
            x, w = width * rng.uniform(-0.05, 1.0), rng.uniform(7, 20)
            y = horizon - rng.uniform(5, 60)
            colour = mix(near, far, rng.random())
            brush.box(x, y, w, height, colour)
            if pointed:
                brush.polygon([(x, y), (x + w / 2, y - w), (x + w, y)], colour)
            else:
                for row in range(3):
                    brush.box(x + w * 0.3, y + 5 + 9 * row, w * 0.3, 4, bottom)
        brush.box(0, horizon + 8, width, height, near)
    else:  # trees
        brush.box(0, horizon, width, height, near)
        round_ones = rng.random() < 0.5
        for _ in range(int(rng.integers(5, 11))):
            x, y, r = width * rng.random(), horizon + rng.uniform(-4, 14), rng.uniform(9, 20)
            colour = mix(far, near, rng.uniform(0.2, 1.4))
            brush.box(x - 1.5, y - r, 3, r + 4, mix(near, (30, 20, 10), 0.6))
            if round_ones:
                brush.ellipse(x, y - r * 1.3, r * 0.8, r, colour)
            else:
                foot = y - 4
                brush.polygon([(x - r * 0.7, foot), (x, y - 2.6 * r), (x + r * 0.7, foot)], colour)


def _sky(brush: Brush, width: float, height: float, rng: np.random.Generator, dark: bool) -> None:
    x, y, r = width * rng.uniform(0.1, 0.9), height * rng.uniform(0.1, 0.4), rng.uniform(7, 22)
    light: Colour = (255, 246, 214) if dark else hsv(rng.uniform(0.02, 0.16), 0.55, 1.0)
    brush.ellipse(x, y, r, r, light)
    if dark:
        for _ in range(int(rng.integers(10, 30))):
            s = rng.uniform(0.5, 1.3)
            brush.ellipse(width * rng.random(), height * 0.6 * rng.random(), s, s, (255, 255, 240))
    else:
        for _ in range(int(rng.integers(0, 5))):
            x, y, s = width * rng.random(), height * rng.uniform(0.08, 0.4), rng.uniform(4, 9)
            for dx, dy, part in ((-1.2, 0.2, 0.8), (0, -0.2, 1.1), (1.2, 0.2, 0.75)):
                brush.ellipse(x + dx * s, y + dy * s, s * part * 1.2, s * part * 0.7, (250,) * 3)
