"""Renders one scene: a table, things on it, cards, hands, light and camera; with the true corners.

Everything lies on one table before one pinhole camera, in millimetres, so that sizes and
perspective agree: a sheet of paper is larger than a card, and tilted with it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.scenes.lens import Camera, expose
from recognition.scenes.objects import Thing, draw_hand, rectangle, rounded, small_thing
from recognition.scenes.tables import draw_table

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

#: What a scene with a card shows beside it, or what is hard about it.
CardScene = Literal[
    "plain", "clutter", "hand", "glare", "sleeve", "dim", "dark on dark", "tilted", "two cards"
]
#: Scenes without any card.
EmptyScene = Literal["bare table", "small things", "rectangles", "hands"]
CARD_SCENES: tuple[CardScene, ...] = get_args(CardScene)
EMPTY_SCENES: tuple[EmptyScene, ...] = get_args(EmptyScene)

#: A trading card's height and the radius of its corners, in millimetres.
CARD_HEIGHT, CORNER_RADIUS = 88.0, 3.0


@dataclass(frozen=True)
class Scene:
    """A rendered frame and the truth about it.

    Attributes:
        frame: uint8 RGB (height, width, 3).
        cards: For each card its corners, float64 (4, 2), x and y in pixels with pixel centres at
            whole numbers: top left, top right, bottom right and bottom left of the upright card.
    """

    frame: Pixels
    cards: tuple[Doubles, ...]


@dataclass(frozen=True)
class _Placed:
    thing: Thing
    centre: tuple[float, float]
    turn: float


def render_scene(
    kind: CardScene | EmptyScene,
    scans: Sequence[Pixels],
    *,
    width: int,
    height: int,
    seed: int,
    number: int = 0,
) -> Scene:
    """Renders a scene; the same arguments give the same pixels.

    Args:
        kind: What is shown.
        scans: uint8 RGB (h, w, 3) in their own proportion: one card for each card of the scene
            (two for ``two cards``, none for an empty scene). Every card lies wholly in the frame.
        width, height: Of the frame in pixels.
        seed: Of table, things and places.
        number: Of the frame in a sequence: the camera moves a little from one to the next, and
            noise, focus and glare differ.

    Raises:
        ValueError: No such kind, or too few or too many scans.
    """
    wanted = 2 if kind == "two cards" else 1 if kind in CARD_SCENES else 0
    if kind not in (*CARD_SCENES, *EMPTY_SCENES):
        raise ValueError(f"scene {kind!r} is none of {', '.join((*CARD_SCENES, *EMPTY_SCENES))}")
    if len(scans) != wanted:
        raise ValueError(f"scene {kind!r} has {wanted} cards, {len(scans)} scans were given")
    layout, moment = _generator(seed, kind, "layout"), _generator(seed, kind, f"frame {number}")
    camera = Camera.draw(width, height, layout, moment, steep=kind == "tilted", moved=number > 0)
    canvas = draw_table(width, height, layout, dark=kind == "dark on dark")
    cards = [
        _card(_darkened(scan, layout) if kind == "dark on dark" else scan, layout) for scan in scans
    ]
    places = _places(camera, cards, layout)
    beside = _things(kind, camera, places, layout)
    for placed in beside:
        _lay(canvas, placed, camera, layout)
    for placed in places:
        _lay(canvas, placed, camera, layout)
        if kind == "sleeve":
            _sleeve(canvas, placed, camera, layout)
    for tip, inward in _hands(kind, camera, places, layout):
        finger = layout.uniform(14, 19)
        draw_hand(canvas, tip, inward, finger, layout, camera.point, camera.scale)
    corners = tuple(camera.points(_outline(placed)) for placed in places)
    frame = expose(
        canvas,
        moment,
        layout,
        glare_on=corners[0].mean(axis=0) if kind == "glare" else None,
        dim=kind == "dim",
    )
    return Scene(frame, corners)


def _generator(seed: int, kind: str, purpose: str) -> np.random.Generator:
    digest = hashlib.sha256(f"scene|{seed}|{kind}|{purpose}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def _card(scan: Pixels, rng: np.random.Generator) -> Thing:
    """A card of a scan. Most have round corners; scans and some prints have square ones."""
    height, width = scan.shape[:2]
    radius = CORNER_RADIUS / CARD_HEIGHT * height if rng.random() < 0.7 else 0.0
    wide = CARD_HEIGHT * width / height
    return Thing(scan, rounded(height, width, radius), wide, CARD_HEIGHT, 0.4)


def _darkened(scan: Pixels, rng: np.random.Generator) -> Pixels:
    """A card with a dark border, as many full-art and playing cards' backs have."""
    dark = np.asarray(scan * rng.uniform(0.45, 0.8), dtype=np.uint8)
    rim = max(2, round(scan.shape[1] * 0.04))
    shade = np.clip(rng.uniform(18, 60) + 6 * rng.standard_normal(3), 0, 255)
    for edge in (dark[:rim], dark[-rim:], dark[:, :rim], dark[:, -rim:]):
        edge[:] = shade.astype(np.uint8)
    return dark


def _places(camera: Camera, cards: list[Thing], rng: np.random.Generator) -> list[_Placed]:
    """Where cards lie: wholly in the frame, and not on one another."""
    margin = 0.012 * camera.width
    found: list[_Placed] = []
    for card in cards:
        spread = 1.0 if len(cards) > 1 else 0.7
        for attempt in range(400):
            if len(cards) > 1 and attempt % 40 == 39:
                camera.step_back(1.06)
                found = []  # begins again, from farther away
            x, y = spread * rng.uniform(-0.5, 0.5, 2) * camera.extent
            upright = rng.random() < 0.6
            turn = rng.normal(0, 0.12) if upright else rng.uniform(-math.pi, math.pi)
            placed = _Placed(card, (float(x), float(y)), float(turn))
            corners = camera.points(_outline(placed))
            inside = (corners > margin) & (
                corners < (camera.width - margin, camera.height - margin)
            )
            apart = all(math.dist(placed.centre, other.centre) > 112 for other in found)
            if inside.all() and apart:
                found.append(placed)
                break
        else:
            camera.step_back(1.2)
            found.append(_Placed(card, (130.0 * len(found) - 60.0 * (len(cards) - 1), 0.0), 0.0))
    if len(found) < len(cards):
        return _places(camera, cards, rng)
    return found


def _outline(placed: _Placed, grow: tuple[float, float] = (0.0, 0.0)) -> Doubles:
    """Corners on the table in millimetres, (4, 2)."""
    wide, high = placed.thing.wide / 2 + grow[0], placed.thing.high / 2 + grow[1]
    box = np.array([[-wide, -high], [wide, -high], [wide, high], [-wide, high]])
    cos, sin = math.cos(placed.turn), math.sin(placed.turn)
    turned: Doubles = box @ np.array([[cos, sin], [-sin, cos]]) + placed.centre
    return turned


def _things(
    kind: str, camera: Camera, cards: list[_Placed], rng: np.random.Generator
) -> list[_Placed]:
    """What lies beside and partly under the cards, never over them."""
    makers = []
    if kind == "clutter":
        makers = [rectangle] * int(rng.integers(1, 4)) + [small_thing] * int(rng.integers(2, 7))
    elif kind == "small things":
        makers = [small_thing] * int(rng.integers(1, 9))
    elif kind == "rectangles":
        makers = [rectangle] * int(rng.integers(1, 4)) + [small_thing] * int(rng.integers(0, 3))
    elif rng.random() < {"hands": 0.5, "plain": 0.0, "dark on dark": 0.0, "bare table": 0.0}.get(
        kind, 0.3
    ):
        makers = [small_thing] * int(rng.integers(1, 4))
    placed = []
    for make in makers:
        thing = make(rng)
        for _ in range(20):
            centre = rng.uniform(-0.75, 0.75, 2) * camera.extent
            # Small things beside a card, not on it. Larger ones may lie under it.
            near = (thing.wide + thing.high) / 4 + 48
            if make is rectangle or all(math.dist(centre, c.centre) > near for c in cards):
                turn = rng.normal(0, 0.1) if rng.random() < 0.4 else rng.uniform(0, 2 * math.pi)
                placed.append(_Placed(thing, (float(centre[0]), float(centre[1])), float(turn)))
                break
    return placed


def _hands(
    kind: str, camera: Camera, cards: list[_Placed], rng: np.random.Generator
) -> list[tuple[tuple[float, float], float]]:
    """Finger tips in millimetres, and the direction in which the fingers point."""
    if kind == "hand":
        card = cards[0]
        outline = _outline(card)
        side = int(rng.integers(4))
        along = rng.uniform(0.3, 0.7)
        edge = outline[side] * (1 - along) + outline[(side + 1) % 4] * along
        inward = math.atan2(card.centre[1] - edge[1], card.centre[0] - edge[0])
        reach = rng.uniform(3, 14)
        tip = edge + reach * np.array([math.cos(inward), math.sin(inward)])
        return [((float(tip[0]), float(tip[1])), inward + rng.normal(0, 0.2))]
    if kind == "hands":
        hands = []
        for _ in range(int(rng.integers(1, 3))):
            tip = rng.uniform(-0.35, 0.35, 2) * camera.extent
            hands.append(((float(tip[0]), float(tip[1])), rng.uniform(0, 2 * math.pi)))
        return hands
    return []


def _lay(canvas: Pixels, placed: _Placed, camera: Camera, rng: np.random.Generator) -> None:
    """Draws a thing's soft shadow, then the thing."""
    outline, lift = _outline(placed), placed.thing.lift
    angle, depth = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 0.5)
    moved = camera.points(outline + 0.6 * lift * np.array([math.cos(angle), math.sin(angle)]))
    soft = max(0.6, (0.5 + 0.5 * lift) * camera.scale)
    corner, area = _around(canvas, moved, 3 * soft)
    if area.size:
        shadow = np.zeros(area.shape[:2], np.uint8)
        cv2.fillConvexPoly(shadow, np.round(16 * (moved - corner)).astype(np.int32), 255, 8, 4)
        shadow = np.asarray(cv2.GaussianBlur(shadow, (0, 0), soft), dtype=np.uint8)
        area[:] = area * (1 - np.float32(depth / 255) * shadow.astype(np.float32)[..., None])
    _paste(canvas, placed.thing.texture, placed.thing.cover, camera.points(outline))


def _around(canvas: Pixels, corners: Doubles, margin: float) -> tuple[Doubles, Pixels]:
    """The part of a canvas about some points, and where it begins: only that is computed."""
    shape = np.array(canvas.shape[1::-1])
    first = np.clip(np.floor(corners.min(axis=0) - margin - 1), 0, shape).astype(int)
    last = np.clip(np.ceil(corners.max(axis=0) + margin + 2), 0, shape).astype(int)
    return first.astype(np.float64), canvas[first[1] : last[1], first[0] : last[0]]


def _paste(canvas: Pixels, texture: Pixels, cover: Pixels, corners: Doubles) -> None:
    """Warps a texture to its corners, its border smooth."""
    first, area = _around(canvas, corners, 1)
    if not area.size:
        return
    corners = corners - first
    size = max(math.dist(corners[0], corners[1]), math.dist(corners[1], corners[2]))
    shrink = size / max(texture.shape[:2])
    if shrink < 0.8:  # by area first, so that the warp skips no pixel
        shape = (max(2, round(texture.shape[1] * shrink)), max(2, round(texture.shape[0] * shrink)))
        texture = np.asarray(cv2.resize(texture, shape, interpolation=cv2.INTER_AREA), np.uint8)
        cover = np.asarray(cv2.resize(cover, shape, interpolation=cv2.INTER_AREA), np.uint8)
    right, low = texture.shape[1] - 0.5, texture.shape[0] - 0.5
    source = np.array([[-0.5, -0.5], [right, -0.5], [right, low], [-0.5, low]], np.float32)
    place = cv2.getPerspectiveTransform(source, corners.astype(np.float32))
    shape = (area.shape[1], area.shape[0])
    warped, alpha = (
        cv2.warpPerspective(
            each, place, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for each in (texture, cover)
    )
    # Along the straight edges the outline's own coverage counts, which is finer than the cover's.
    share = np.minimum(alpha.astype(np.float32) / 255, _coverage(area, corners))[..., None]
    area[:] = np.round(area * (1 - share) + warped * share)


def _coverage(area: Pixels, corners: Doubles) -> Floats:
    """Which share of each pixel lies in a convex outline; OpenCV's own polygons are half a pixel
    too large where they are smooth."""
    y, x = np.mgrid[: area.shape[0], : area.shape[1]].astype(np.float32)
    inside = np.full(area.shape[:2], np.inf, np.float32)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        right, down = (end - start) / math.dist(start, end)
        np.minimum(inside, (y - start[1]) * right - (x - start[0]) * down, out=inside)
    return np.asarray(np.clip(inside + np.float32(0.5), 0, 1), dtype=np.float32)


def _sleeve(canvas: Pixels, placed: _Placed, camera: Camera, rng: np.random.Generator) -> None:
    """A clear sleeve around a card: a veil, a bright welded edge, and a soft reflection."""
    side, end = rng.uniform(1.0, 2.2), rng.uniform(1.0, 3.0)
    outer = camera.points(_outline(placed, (side, end)))
    inner = camera.points(_outline(placed, (side - 0.7, end - 0.7)))
    first, area = _around(canvas, outer, 1)
    veil = np.zeros(area.shape[:2], np.float32)
    for corners, strength in ((outer, rng.uniform(0.15, 0.6)), (inner, rng.uniform(0.03, 0.12))):
        share = _coverage(area, corners - first)
        veil = veil * (1 - share) + np.float32(strength) * share
    y, x = np.mgrid[: area.shape[0], : area.shape[1]].astype(np.float32)
    angle, centre = rng.uniform(0, math.pi), outer.mean(axis=0) - first
    across = (x - centre[0]) * math.cos(angle) + (y - centre[1]) * math.sin(angle)
    wide, at = rng.uniform(6, 25) * camera.scale, rng.uniform(-30, 30) * camera.scale
    streak = np.float32(rng.uniform(0.05, 0.3)) * np.exp(-(((across - at) / wide) ** 2))
    veil = np.minimum(veil + (veil > 0) * streak, 0.9)[..., None]
    area[:] = np.round(area * (1 - veil) + 255 * veil)
