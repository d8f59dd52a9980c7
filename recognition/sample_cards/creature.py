"""The creatures on drawn cards: random proportions, limbs, faces and markings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from recognition.sample_cards.shapes import Brush, Colour, Point, hsv, mix


@dataclass
class _Body:
    """Shapes of one creature, drawn twice: first swollen and dark for a common outline."""

    ellipses: list[tuple[float, float, float, float, float, Colour]] = field(default_factory=list)
    polygons: list[tuple[list[Point], Colour]] = field(default_factory=list)

    def oval(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, angle: float = 0.0
    ) -> None:
        self.ellipses.append((x, y, rx, ry, angle, colour))

    def shape(self, points: list[Point], colour: Colour) -> None:
        self.polygons.append((points, colour))

    def paint(self, brush: Brush, outline: Colour) -> None:
        rim = 1.6
        for points, _ in self.polygons:
            brush.polygon(points, outline)
            brush.line([*points, points[0]], outline, 2 * rim)
        for x, y, rx, ry, angle, _ in self.ellipses:
            brush.ellipse(x, y, rx + rim, ry + rim, outline, angle)
        for points, colour in self.polygons:
            brush.polygon(points, colour)
        for x, y, rx, ry, angle, colour in self.ellipses:
            brush.ellipse(x, y, rx, ry, colour, angle)


def mascot(
    brush: Brush, x: float, y: float, size: float, rng: np.random.Generator, hue: float
) -> None:
    """A creature seen from the front: wings, tail, limbs, ears or horns, belly, markings."""
    skin = hsv(hue, rng.uniform(0.35, 0.85), rng.uniform(0.6, 1.0))
    shade = mix(skin, (0, 0, 0), 0.25)
    accent = hsv(hue + rng.choice([0.12, 0.4, 0.5, 0.6]), rng.uniform(0.4, 0.9), 0.95)
    light = mix(skin, (255, 250, 235), 0.65)
    outline = mix(skin, (15, 10, 25), 0.82)
    bw, bh = size * rng.uniform(0.36, 0.62), size * rng.uniform(0.42, 0.62)
    hw, hh = size * rng.uniform(0.34, 0.56), size * rng.uniform(0.30, 0.48)
    body_y = y + size * 0.32
    head_y = body_y - bh - hh * rng.uniform(0.25, 0.6)
    body = _Body()
    if rng.random() < 0.4:  # wings
        span, lift, pointed = rng.uniform(0.8, 1.4), rng.uniform(-0.2, 0.9), rng.random() < 0.5
        for side in (-1, 1):
            root = (x + side * bw * 0.6, body_y - bh * 0.4)
            tip = (x + side * size * span, body_y - size * lift)
            low = (x + side * size * span * 0.75, body_y + size * 0.25)
            notch = (x + side * size * span * 0.55, body_y - size * 0.05)
            if pointed:
                body.shape([root, tip, notch, low, (x + side * bw * 0.6, body_y)], accent)
            else:
                mx, my = (root[0] + tip[0]) / 2, (root[1] + tip[1]) / 2
                tilt = math.degrees(math.atan2(tip[1] - root[1], tip[0] - root[0]))
                body.oval(mx, my, size * span * 0.42, size * 0.24, accent, tilt)
    if rng.random() < 0.55:  # tail
        side = rng.choice([-1, 1])
        for k in range(6):
            along = k / 5
            body.oval(
                x + side * (bw * 0.7 + size * 0.45 * along),
                body_y + bh * 0.5 - size * 0.55 * along**2,
                size * (0.13 - 0.05 * along),
                size * (0.13 - 0.05 * along),
                skin,
            )
        tip_r = size * rng.uniform(0.1, 0.2)
        body.oval(x + side * (bw * 0.7 + size * 0.48), body_y - size * 0.1, tip_r, tip_r, accent)
    legs = rng.uniform(0.12, 0.24) * size
    for side in (-1, 1):
        body.oval(x + side * bw * 0.55, body_y + bh * 0.9, legs, legs * 0.7, shade)
        arm = rng.uniform(-40, 70)
        body.oval(
            x + side * bw * 1.02, body_y - bh * 0.2, size * 0.24, size * 0.1, shade, side * arm
        )
    _ears(body, x, head_y, hw, hh, size, rng, skin, accent)
    body.oval(x, body_y, bw, bh, skin)
    body.oval(x, head_y, hw, hh, skin)
    body.paint(brush, outline)

    if rng.random() < 0.6:
        brush.ellipse(x, body_y + bh * 0.15, bw * 0.62, bh * 0.66, light)
        if rng.random() < 0.4:
            for k in range(3):
                at = body_y - bh * 0.2 + k * bh * 0.32
                brush.line([(x - bw * 0.45, at), (x + bw * 0.45, at)], shade, 1.2)
    markings = rng.random()
    if markings < 0.25:
        for _ in range(int(rng.integers(3, 8))):
            r = size * rng.uniform(0.03, 0.08)
            dx, dy = rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7)
            brush.ellipse(x + dx * bw, body_y + dy * bh, r, r, accent)
    elif markings < 0.45:
        for side in (-1, 1):
            for k in range(3):
                at = body_y - bh * 0.35 + k * bh * 0.3
                brush.polygon(
                    [
                        (x + side * bw * 0.92, at - 2),
                        (x + side * bw * 0.4, at + 1),
                        (x + side * bw * 0.92, at + 4),
                    ],
                    accent,
                )
    if rng.random() < 0.3:  # a gem on the brow
        s = size * 0.09
        top = head_y - hh * 0.55
        brush.polygon([(x, top - s), (x + s, top), (x, top + s), (x - s, top)], accent)
    _face(brush, x, head_y, hw, hh, size, rng, accent, outline)


def _ears(
    body: _Body,
    x: float,
    y: float,
    hw: float,
    hh: float,
    size: float,
    rng: np.random.Generator,
    skin: Colour,
    accent: Colour,
) -> None:
    kind = int(rng.integers(6))
    long = size * rng.uniform(0.25, 0.6)
    for side in (-1, 1):
        root = x + side * hw * 0.6
        if kind == 0:  # pointed ears
            tip = (x + side * hw * 1.05, y - hh - long * 0.7)
            body.shape([(x + side * hw * 0.95, y - hh * 0.2), tip, (x + side * hw * 0.1, y)], skin)
        elif kind == 1:  # long ears
            body.oval(root, y - hh - long * 0.4, size * 0.12, long * 0.7, skin, side * 14)
        elif kind == 2:  # round ears
            body.oval(x + side * hw * 0.85, y - hh * 0.7, long * 0.4, long * 0.4, accent)
        elif kind == 3:  # horns
            tip = (x + side * (hw + long * 0.3), y - hh - long * 0.8)
            foot = (x + side * hw * 0.35, y - hh * 0.8)
            body.shape([(x + side * hw * 0.8, y - hh * 0.5), tip, foot], (236, 226, 196))
        elif kind == 4:  # feelers with balls
            tip = (x + side * (hw * 0.6 + long * 0.3), y - hh - long * 0.6)
            body.shape([(root - 1, y - hh * 0.6), tip, (root + 1, y - hh * 0.6)], skin)
            body.oval(*tip, size * 0.08, size * 0.08, accent)
    if kind == 5:  # a crest of spikes
        for k in range(-2, 3):
            at, half = x + k * hw * 0.36, size * 0.09
            lift = long * (1 - 0.18 * abs(k))
            low = y - hh * 0.7
            body.shape([(at - half, low), (at, low - lift), (at + half, low)], accent)


def _face(
    brush: Brush,
    x: float,
    y: float,
    hw: float,
    hh: float,
    size: float,
    rng: np.random.Generator,
    accent: Colour,
    outline: Colour,
) -> None:
    apart, r = hw * rng.uniform(0.32, 0.55), size * rng.uniform(0.065, 0.13)
    kind = int(rng.integers(4))
    one_eyed = rng.random() < 0.08
    for side in (0,) if one_eyed else (-1, 1):
        at = x + side * apart
        if one_eyed:
            r *= 1.5
        if kind == 0:
            brush.ellipse(at, y, r, r * 1.15, (255, 255, 255))
            brush.ellipse(at, y + r * 0.15, r * 0.55, r * 0.7, (20, 16, 28))
            brush.ellipse(at + r * 0.2, y - r * 0.25, r * 0.22, r * 0.22, (255, 255, 255))
        elif kind == 1:
            brush.ellipse(at, y, r * 0.8, r, (20, 16, 28))
            brush.ellipse(at + r * 0.2, y - r * 0.3, r * 0.3, r * 0.3, (255, 255, 255))
        elif kind == 2:  # a stern look
            lid = side * r
            brush.polygon(
                [(at - 1.2 * lid, y + r), (at + 1.3 * lid, y - r), (at + lid, y + r)],
                (255, 250, 200),
            )
            brush.ellipse(at + side * r * 0.4, y + r * 0.3, r * 0.4, r * 0.55, (120, 10, 20))
        else:
            brush.ellipse(at, y, r, r, accent)
            brush.ellipse(at, y, r * 0.25, r * 0.85, (15, 10, 20))
    low = y + hh * rng.uniform(0.4, 0.6)
    mouth = int(rng.integers(4))
    if mouth == 0:
        w = hw * 0.35
        arc = [(x + w * t, low + hh * 0.16 * (1 - t * t)) for t in (-1, -0.5, 0, 0.5, 1)]
        brush.line(arc, outline, 1.4)
    elif mouth == 1:
        brush.ellipse(x, low, hw * 0.28, hh * 0.2, (120, 24, 40))
        brush.ellipse(x, low + hh * 0.1, hw * 0.16, hh * 0.08, (240, 120, 130))
    elif mouth == 2:  # a beak
        beak: Colour = (250, 180, 50)
        brush.polygon([(x - hw * 0.3, low - 3), (x, low + hh * 0.4), (x + hw * 0.3, low - 3)], beak)
    else:  # fangs
        brush.line([(x - hw * 0.4, low), (x + hw * 0.4, low)], outline, 1.4)
        for side in (-1, 1):
            at = x + side * hw * 0.22
            brush.polygon([(at - 2, low), (at, low + 5), (at + 2, low)], (255, 255, 255))


def serpent(
    brush: Brush, x: float, y: float, size: float, rng: np.random.Generator, hue: float
) -> None:
    """A long body that winds up to a head."""
    skin = hsv(hue, rng.uniform(0.45, 0.9), rng.uniform(0.6, 0.95))
    accent = hsv(hue + rng.choice([0.12, 0.45, 0.55]), 0.8, 0.95)
    outline = mix(skin, (15, 10, 25), 0.82)
    count = int(rng.integers(12, 18))
    swing, turns = size * rng.uniform(0.5, 1.0), rng.uniform(0.8, 1.7)
    phase = rng.uniform(0, 2 * math.pi)
    body = _Body()
    spine = []
    for k in range(count * 2):
        along = k / (count * 2 - 1)
        px = x + swing * (1 - 0.45 * along) * math.sin(phase + turns * 2 * math.pi * along)
        py = y + size * (0.95 - 1.75 * along)
        spine.append((px, py, size * (0.10 + 0.15 * math.sin(math.pi * (0.12 + 0.75 * along)))))
    spiked = rng.random() < 0.5
    banded = int(rng.integers(2, 5))
    for k, (px, py, r) in enumerate(spine):
        if spiked and k % 4 == 2:
            body.shape([(px - r, py), (px + r * 0.2, py - r * 2.1), (px + r, py)], accent)
        body.oval(px, py, r, r, accent if k % (2 * banded) == 0 else skin)
    hx, hy, _ = spine[-1]
    hw, hh = size * rng.uniform(0.28, 0.4), size * rng.uniform(0.24, 0.34)
    _ears(body, hx, hy, hw, hh, size * 0.8, rng, skin, accent)
    body.oval(hx, hy, hw, hh, skin)
    body.paint(brush, outline)
    _face(brush, hx, hy, hw, hh, size * 0.85, rng, accent, outline)


def fish(
    brush: Brush, x: float, y: float, size: float, rng: np.random.Generator, hue: float
) -> None:
    """A swimmer or flyer seen from the side."""
    skin = hsv(hue, rng.uniform(0.45, 0.9), rng.uniform(0.65, 1.0))
    accent = hsv(hue + rng.choice([0.1, 0.4, 0.5, 0.6]), 0.8, 0.95)
    light = mix(skin, (255, 250, 235), 0.6)
    outline = mix(skin, (15, 10, 25), 0.82)
    face = int(rng.choice([-1, 1]))
    long, tall = size * rng.uniform(0.7, 1.05), size * rng.uniform(0.35, 0.62)
    body = _Body()
    back = x - face * long
    fork = rng.uniform(0.3, 0.8)
    body.shape(
        [
            (back + face * long * 0.25, y),
            (back - face * size * 0.45, y - size * fork),
            (back - face * size * 0.15, y),
            (back - face * size * 0.45, y + size * fork),
        ],
        accent,
    )
    fin = rng.uniform(0.5, 1.2)
    lean = face * size * rng.uniform(0.1, 0.5)
    foot_left, foot_right = (x - long * 0.5, y - tall * 0.7), (x + long * 0.4, y - tall * 0.7)
    body.shape([foot_left, (x - lean, y - tall - size * fin * 0.5), foot_right], accent)
    if rng.random() < 0.6:
        body.shape(
            [(x - long * 0.3, y + tall * 0.7), (x - lean, y + tall * 1.7), (x + 4, y + tall * 0.7)],
            accent,
        )
    body.oval(x, y, long, tall, skin)
    body.paint(brush, outline)
    brush.ellipse(x + face * long * 0.1, y + tall * 0.4, long * 0.7, tall * 0.45, light)
    pattern = int(rng.integers(3))
    for k in range(int(rng.integers(2, 5))):
        at = x - face * long * (0.55 - 0.28 * k)
        if pattern == 0:
            brush.ellipse(at, y - tall * 0.1, long * 0.06, tall * 0.7, accent)
        elif pattern == 1:
            brush.ellipse(at, y - tall * 0.3, long * 0.09, long * 0.09, accent)
    wing = [
        (x + face * long * 0.25, y + tall * 0.1),
        (x - face * long * 0.35, y + tall * rng.uniform(-0.6, 0.2)),
        (x - face * long * 0.2, y + tall * 0.75),
    ]
    brush.polygon(wing, mix(accent, outline, 0.25))
    eye = x + face * long * 0.62
    r = size * rng.uniform(0.08, 0.13)
    brush.ellipse(eye, y - tall * 0.2, r, r, (255, 255, 255))
    brush.ellipse(eye + face * r * 0.3, y - tall * 0.2, r * 0.5, r * 0.6, (20, 16, 28))
    brush.line(
        [(x + face * long * 0.92, y + tall * 0.2), (x + face * long * 0.68, y + tall * 0.3)],
        outline,
        1.5,
    )
