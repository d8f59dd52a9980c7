"""Drawn trading cards: a card set for trying everything out, free of anybody's rights.

Each card has a frame, a name, a picture, attacks, small print and a number of its own. Every
thirty-second card is a near-twin of the one before: the same picture and name in another frame,
with other attacks, values and number, as reprints are. A card depends on the seed and its number
alone, so a larger set begins with the smaller one.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from recognition.atomic_files import write_atomically
from recognition.sample_cards.illustration import illustrate
from recognition.sample_cards.shapes import Brush, Colour, Pixels, Point, gradient, hsv, mix

UNITS_HIGH, UNITS_WIDE = 320.0, 229.0
SMALLEST_HEIGHT, LARGEST_HEIGHT = 96, 2048
CARDS_PER_SET = 120
TWIN_EVERY = 32
SETS = ("aurora", "basalt", "cinder", "drift", "ember", "fjord", "grove", "harbor", "ivory")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST = _words(
    "Ar Bel Cor Dra Em Fen Gal Hel Ix Jor Kal Lum Mor Nix Or Pyr Quil Rav Syl Tor Um Vel Wis Xan "
    "Yor Zeph Bram Cind Dusk Frost Glim Thorn"
)
_MIDDLE = ("", "a", "o", "i", "e", "ana", "ori", "ulu", "ether", "ambi")
_LAST = _words(
    "bite claw dax fang fin fox gon horn kin lark leon lynx mite moth neth owl paw pup ray rex "
    "saur sprite tail thyst toad tusk wing wisp wyrm zard"
)
_VERBS = _words(
    "Aqua Blaze Crush Dark Double Echo Fury Gale Hidden Iron Jagged Lunar Mega Night Ocean Petal "
    "Quick Rock Shadow Solar Thunder Vine Wild Zen"
)
_NOUNS = _words("Beam Bolt Charge Dance Dive Fang Guard Lash Pulse Roar Rush Slam Song Spin Storm")
_WORDS = _words(
    "the moon river sleeps under old stone and sings at dawn when travellers pass it hides among "
    "tall grass its tail glows before rain falls no one has seen two of them fight they share "
    "berries with lost children of the valley"
)
_SPECIES = _words("Lantern Tide Moss Spark Dream Pebble Gust Ash Coral Quartz Vapor Bramble")


def card_id(number: int) -> str:
    """The id of a drawn card by its number from 0: ``aurora-001``, ``aurora-002``, ..."""
    place, within = divmod(number, CARDS_PER_SET)
    again, which = divmod(place, len(SETS))
    return f"{SETS[which]}{again + 1 if again else ''}-{within + 1:03d}"


def draw_card(number: int, seed: int = 0, height: int = 320) -> Pixels:
    """Draws one card.

    Args:
        number: The card's number in the set, from 0.
        seed: Seed of the whole set.
        height: Height in pixels; the width is 63/88 of it.

    Returns:
        uint8 RGB, shape (height, width, 3).

    Raises:
        ValueError: The height is out of bounds, or the number negative.
    """
    if not SMALLEST_HEIGHT <= height <= LARGEST_HEIGHT:
        raise ValueError(f"height {height} must be {SMALLEST_HEIGHT} to {LARGEST_HEIGHT} pixels")
    if number < 0:
        raise ValueError(f"card number {number} must not be negative")
    twin = number % TWIN_EVERY == TWIN_EVERY - 1
    art = _generator(seed, "art", number - 1 if twin else number)
    own = _generator(seed, "details", number)
    return _Card(number, height, art, own).draw()


def draw_card_set(
    root: Path,
    count: int,
    seed: int = 0,
    height: int = 320,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Writes ``root/<card_id>/front.png`` for cards 0 to count - 1.

    Files appear complete or not at all; existing ones are replaced.

    Args:
        root: Folder, made if it is missing.
        count: Number of cards, at least 1.
        seed: Another seed gives entirely other cards under the same ids.
        height: Height in pixels.
        progress: Called with 1 after each card.

    Returns:
        The card ids, in order.

    Raises:
        ValueError: The count or the height is out of bounds.
        OSError: The folder cannot be written to.
    """
    if count < 1:
        raise ValueError(f"{count} cards cannot be drawn: ask for at least 1")
    ids = []
    for number in range(count):
        picture = cv2.cvtColor(draw_card(number, seed, height), cv2.COLOR_RGB2BGR)
        encoded, content = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if not encoded:
            raise RuntimeError(f"OpenCV could not encode card {number}")
        folder = Path(root) / card_id(number)
        write_atomically(folder / "front.png", content.tobytes())
        ids.append(card_id(number))
        if progress is not None:
            progress(1)
    return ids


class _Card:
    """One card's choices and canvas; coordinates are units, 320 to the card's height."""

    def __init__(
        self, number: int, height: int, art: np.random.Generator, own: np.random.Generator
    ) -> None:
        self.number, self.art, self.own = number, art, own
        self.scale = height / UNITS_HIGH
        self.canvas: Pixels = np.zeros((height, round(height * 63 / 88), 3), dtype=np.uint8)
        self.brush = Brush(self.canvas, self.scale)
        self.element = int(art.integers(len(_SYMBOLS)))
        self.hue = self.element / len(_SYMBOLS) + art.uniform(-0.035, 0.035)
        middle = _MIDDLE[int(art.integers(len(_MIDDLE)))]
        self.name = _pick(art, _FIRST) + middle + _pick(art, _LAST)
        self.species = _pick(art, _SPECIES)
        # The frame is the print's own, so that a reprint can be distinguished from its near-twin.
        self.full_art = own.random() < 0.18
        self.dark = own.random() < 0.25
        body_hue = self.hue + own.normal(0.0, 0.06)
        self.border = _border_colour(own, body_hue)
        value = 0.32 if self.dark else 0.93
        self.body_top = hsv(body_hue, own.uniform(0.3, 0.7), value)
        self.body_bottom = hsv(body_hue + own.uniform(-0.08, 0.08), own.uniform(0.2, 0.6), value)
        self.ink: Colour = (245, 243, 235) if self.dark else (24, 20, 28)
        self.picture_top, self.picture_high = 34.0, own.uniform(112, 138)
        self.pattern = int(own.integers(5))

    def draw(self) -> Pixels:
        self._frame()
        self._picture()
        self._title()
        self._text()
        self._foot()
        return self.canvas

    def _frame(self) -> None:
        brush, rim = self.brush, 9.0
        gradient(self.canvas, self.border, mix(self.border, (0, 0, 0), 0.18))
        inner = self._area(rim, rim, UNITS_WIDE - 2 * rim, UNITS_HIGH - 2 * rim)
        gradient(inner, self.body_top, self.body_bottom)
        tint = mix(self.body_top, self.ink, 0.10)
        if self.pattern == 1:
            for k in range(-14, 18):
                x = k * 16.0
                brush.line([(x, UNITS_HIGH - rim), (x + 220, rim)], tint, 4)
        elif self.pattern == 2:
            for row in range(11):
                for column in range(8):
                    x, y = 20 + column * 28 + 14 * (row % 2), 20 + row * 28
                    brush.ellipse(x, y, 4, 4, tint)
        elif self.pattern == 3:
            for k in range(9, 0, -1):
                brush.ellipse(114, 235, k * 26, k * 26, tint if k % 2 else self.body_bottom)
        if self.pattern in (1, 2, 3):  # the pattern may have run over the border
            for box in (
                (0.0, 0.0, UNITS_WIDE, rim),
                (0.0, UNITS_HIGH - rim, UNITS_WIDE, rim + 2),
                (0.0, 0.0, rim, UNITS_HIGH),
                (UNITS_WIDE - rim, 0.0, rim + 2, UNITS_HIGH),
            ):
                area = self._area(*box)
                area[:] = np.array(mix(self.border, (0, 0, 0), 0.09)).astype(np.uint8)

    def _picture(self) -> None:
        if self.full_art:
            illustrate(self._area(9, 9, UNITS_WIDE - 18, 205), self.art, self.hue, self.scale)
            self.picture_high = 168.0
            return
        x, wide = 18.0, UNITS_WIDE - 36
        edge = mix(self.border, (255, 255, 255), 0.35)
        self.brush.box(x - 2.5, self.picture_top - 2.5, wide + 5, self.picture_high + 5, edge)
        area = self._area(x, self.picture_top, wide, self.picture_high)
        illustrate(area, self.art, self.hue, self.scale)

    def _title(self) -> None:
        ink = self.ink
        if self.full_art:
            plate = self._area(14, 12, UNITS_WIDE - 28, 20)
            plate[:] = cv2.addWeighted(plate, 0.35, np.full_like(plate, 255), 0.65, 0)
            ink = (24, 20, 28)
        points = 10 * int(self.own.integers(3, 30))
        self._write(self.name, 18, 27.5, 14.5, ink, 700)
        self._write(f"{points:>3d}", 164, 27.5, 13.5, (186, 26, 32) if not self.dark else ink, 700)
        self._write("HP", 151, 27.5, 7, ink, 600)
        self._symbol(204, 22, 8.2, self.element)

    def _text(self) -> None:
        own, ink = self.own, self.ink
        top = self.picture_top + self.picture_high + 5
        if self.full_art:
            panel = self._area(14, top, UNITS_WIDE - 28, 296 - top)
            paper = np.full_like(panel, 30 if self.dark else 250)
            panel[:] = cv2.addWeighted(panel, 0.22, paper, 0.78, 0)
        strip = mix(self.border, (255, 255, 255), 0.55)
        self.brush.box(24, top, UNITS_WIDE - 48, 9.5, strip)
        size = f"{own.uniform(0.2, 3.9):.1f} m   {own.uniform(1, 300):.0f} kg"
        label = f"No. {self.number + 1:04d}   {self.species} card   {size}"
        self._write(label, 30, top + 7.4, 6.8, (40, 34, 30), 500)
        y = top + 26
        attacks = int(own.integers(1, 3)) if top > 175 else 2
        for _ in range(attacks):
            cost = int(own.integers(1, 4))
            for k in range(cost):
                kind = self.element if own.random() < 0.6 else int(own.integers(len(_SYMBOLS)))
                self._symbol(25 + 11.5 * k, y - 3.5, 5, kind)
            title = f"{_pick(own, _VERBS)} {_pick(own, _NOUNS)}"
            self._write(title, 64, y, 10.5, ink, 650)
            self._write(f"{10 * int(own.integers(1, 25))}", 187, y, 13, ink, 700)
            self._write(self._sentence(own, 6), 26, y + 11.5, 7.2, ink, 400)
            y += 31
        lines_left = int((288 - y) // 9.5)
        for _ in range(max(0, min(lines_left, int(own.integers(1, 4))))):
            self._write(self._sentence(own, 7), 26, y, 7.2, mix(ink, self.body_bottom, 0.25), 400)
            y += 9.5

    def _foot(self) -> None:
        own = self.own
        y = 304.0
        self._write("weak", 18, y, 6.5, self.ink, 500)
        self._symbol(44, y - 2.5, 4.6, int(own.integers(len(_SYMBOLS))))
        self._write("retreat", 62, y, 6.5, self.ink, 500)
        for k in range(int(own.integers(0, 4))):
            self.brush.ellipse(96 + 9 * k, y - 2.5, 3.2, 3.2, self.ink)
        within = self.number % CARDS_PER_SET + 1
        self._write(f"{within:03d}/{CARDS_PER_SET}", 162, y, 7.5, self.ink, 600)
        rarity = int(own.integers(3))
        points = [(0.0, -4.0), (3.6, 0.0), (0.0, 4.0), (-3.6, 0.0)] if rarity == 1 else _star(4.4)
        if rarity == 0:
            self.brush.ellipse(206, y - 2.5, 3.2, 3.2, self.ink)
        else:
            self.brush.polygon([(206 + dx, y - 2.5 + dy) for dx, dy in points], self.ink)

    def _symbol(self, x: float, y: float, r: float, element: int) -> None:
        colour = hsv(element / len(_SYMBOLS), 0.75, 0.9)
        self.brush.ellipse(x, y, r + 0.9, r + 0.9, mix(colour, (0, 0, 0), 0.55))
        self.brush.ellipse(x, y, r, r, colour)
        points = [(x + r * dx, y + r * dy) for dx, dy in _SYMBOLS[element]]
        self.brush.polygon(points, (255, 252, 240))

    def _write(
        self, text: str, x: float, y: float, size: float, colour: Colour, weight: int
    ) -> None:
        pixels = max(4, round(size * self.scale))
        if size < 9:  # the font's spaces close up when it is small
            text = text.replace(" ", "  ")
        position = (round(x * self.scale), round(y * self.scale))
        cv2.putText(self.canvas, text, position, colour, _font(), pixels, weight)

    def _area(self, x: float, y: float, width: float, height: float) -> Pixels:
        left, top = round(x * self.scale), round(y * self.scale)
        right, bottom = round((x + width) * self.scale), round((y + height) * self.scale)
        return self.canvas[top:bottom, left:right]

    @staticmethod
    def _sentence(rng: np.random.Generator, words: int) -> str:
        start = int(rng.integers(len(_WORDS)))
        chosen = [_WORDS[(start + k) % len(_WORDS)] for k in range(words)]
        return " ".join(chosen).capitalize()[:44]


def _border_colour(rng: np.random.Generator, hue: float) -> Colour:
    kind = rng.random()
    if kind < 0.35:
        return hsv(0.135 + rng.uniform(-0.02, 0.02), rng.uniform(0.55, 0.85), 0.95)
    if kind < 0.5:
        return (rng.uniform(185, 215),) * 3
    if kind < 0.62:
        return (rng.uniform(18, 45),) * 3
    if kind < 0.72:
        return (246.0, 244.0, 238.0)
    return hsv(hue + rng.choice([0.0, 0.5, 0.33]), rng.uniform(0.5, 0.9), rng.uniform(0.45, 0.9))


def _star(radius: float, points: int = 5, inner: float = 0.42, turn: float = -0.25) -> list[Point]:
    corners = []
    for k in range(2 * points):
        r = radius * (1.0 if k % 2 == 0 else inner)
        angle = 2 * math.pi * (k / (2 * points) + turn)
        corners.append((r * math.cos(angle), r * math.sin(angle)))
    return corners


_SYMBOLS: tuple[list[Point], ...] = (
    [(0, -0.75), (0.45, 0.0), (0.35, 0.55), (0, 0.7), (-0.4, 0.5), (-0.45, 0.1), (-0.15, -0.1)],
    [(-0.1, -0.75), (0.5, -0.75), (0.1, -0.1), (0.45, -0.1), (-0.25, 0.8), (-0.05, 0.1), (-0.4, 0)],
    _star(0.75),
    [(-0.6, 0.5), (-0.5, -0.3), (0.65, -0.65), (0.5, 0.3), (0.0, 0.6)],
    _star(0.75, 4, 0.3),
    [(0, -0.75), (0.5, 0.15), (0.3, 0.6), (-0.3, 0.6), (-0.5, 0.15)],
    _star(0.72, 6, 0.45),
    [(-0.7, 0.1), (-0.2, -0.5), (0.7, -0.1), (0.2, 0.0), (0.6, 0.45), (-0.2, 0.3)],
    [(0.3, -0.7), (-0.3, -0.5), (-0.55, 0.0), (-0.3, 0.5), (0.3, 0.7), (0, 0.25), (0, -0.25)],
    _star(0.75, 3, 0.35),
    [(0, -0.7), (0.55, 0.0), (0, 0.7), (-0.55, 0.0)],
    [(-0.55, -0.45), (0.0, -0.2), (0.55, -0.45), (0.4, 0.4), (0.0, 0.65), (-0.4, 0.4)],
)


@functools.cache
def _font() -> cv2.FontFace:
    """OpenCV's built-in sans serif: no font file of the machine is needed."""
    return cv2.FontFace("sans")


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def _generator(seed: int, purpose: str, number: int) -> np.random.Generator:
    digest = hashlib.sha256(f"card|{seed}|{purpose}|{number}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
