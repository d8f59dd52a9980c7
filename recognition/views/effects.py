"""The small arrays that views are made with, of many views at once, from their parameters.

Homographies, light on a coarse grid, blur kernels, colour matrices, a finger's outline, foil and
sleeve: all that is neither random nor of the view's own size. Both renderers take them from
here, so that they cannot disagree about what an effect is.

A new effect begins in ``recognition/views/parameters.py`` with its random numbers; then come its
arrays here, and its pixels in ``camera_opencv.py`` and ``training/data/gpu_views.py``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recognition.views.parameters import (
    CARD_HEIGHT,
    CARD_WIDTH,
    Colour,
    Finger,
    Glare,
    Holo,
    Light,
    Motion,
    Pixels,
    Pose,
    Shadow,
    Sleeve,
)

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

#: Light changes slowly over a card: it is computed on this grid and scaled up; the foil's
#: rainbow needs a finer one.
LIGHT_GRID, HOLO_GRID = 8, 24
_LUMA = (0.299, 0.587, 0.114)
#: How far beyond the card the sleeve's grid reaches on every side, in shares of the card.
_SLEEVE_REACH = 0.06


def _columns(effects: Sequence[tuple[float, ...]], extra: int = 0) -> Doubles:
    """(fields, B, 1, ...): each field of B effects, with that many axes to spread over."""
    table = np.array(effects, dtype=np.float64)
    shape = (table.shape[1], table.shape[0], *(1,) * extra)
    columns: Doubles = table.T.reshape(shape)
    return columns


def _line(cells: int) -> Doubles:
    return np.asarray(np.linspace(-1.0, 1.0, cells), dtype=np.float64)


def _centres(cells: int) -> Doubles:
    """The cells' centres in -1 to 1, for a grid whose cells cover all of what it stands for."""
    return np.asarray((np.arange(cells) + 0.5) * (2.0 / cells) - 1.0, dtype=np.float64)


_LIGHT_X, _LIGHT_Y = _line(LIGHT_GRID)[None, None, :], _line(LIGHT_GRID)[None, :, None]
_THIRDS = (2 * np.pi / 3 * np.arange(3)).astype(np.float32)
_HOLO_LINE = _centres(HOLO_GRID).astype(np.float32)


def homographies(poses: Sequence[Pose], width: int, height: int, side: int) -> Doubles:
    """The maps from a scan's pixels to the canvas's, of cards before a pinhole camera.

    Scans come stretched to a square, so the geometry puts the card's proportion back before it
    turns the card, and stretches the result as the contract does. Pixel centres lie at whole
    numbers.

    Args:
        poses: Of B views.
        width, height: The scans' size in pixels.
        side: The square canvas's in pixels.

    Returns:
        float64 (B, 3, 3).
    """
    rows = [_homography(pose, width, height, side) for pose in poses]
    return np.array(rows, dtype=np.float64)


def _homography(pose: Pose, width: int, height: int, side: int) -> list[list[float]]:
    """One view's; plain floats, which for nine numbers are faster than arrays."""
    if pose.corners:
        return _rectified(pose.corners, width, height, side)
    cos_roll, sin_roll = math.cos(pose.roll), math.sin(pose.roll)
    # On the card in millimetres from its centre: scale * pixel + shift.
    scale_x, shift_x = CARD_WIDTH / width, CARD_WIDTH * (0.5 / width - 0.5)
    scale_y, shift_y = CARD_HEIGHT / height, CARD_HEIGHT * (0.5 / height - 0.5)
    turned = (
        (cos_roll * scale_x, sin_roll * scale_x),
        (-sin_roll * scale_y, cos_roll * scale_y),
        (cos_roll * shift_x - sin_roll * shift_y, sin_roll * shift_x + cos_roll * shift_y),
    )
    away = 1.0 / (pose.distance * CARD_HEIGHT)
    deeper_x, deeper_y = math.sin(pose.yaw) * away, math.sin(pose.pitch) * away
    wide = pose.fill * math.cos(pose.yaw) * side / CARD_WIDTH
    high = pose.fill * math.cos(pose.pitch) * side / CARD_HEIGHT
    centre_x, centre_y = (0.5 + pose.right) * side - 0.5, (0.5 + pose.down) * side - 0.5
    depth = [x * deeper_x + y * deeper_y for x, y in turned]
    depth[2] += 1.0
    return [
        [x * wide + d * centre_x for (x, _), d in zip(turned, depth, strict=True)],
        [y * high + d * centre_y for (_, y), d in zip(turned, depth, strict=True)],
        depth,
    ]


def _rectified(corners: tuple[float, ...], width: int, height: int, side: int) -> list[list[float]]:
    """The map that puts a scan's corners where a card finder's error has left them.

    Source: P. Heckbert, "Fundamentals of Texture Mapping and Image Warping" (1989), 2.2.3: the
    unit square to a quadrilateral.
    """
    x0, y0, x1, y1, x2, y2, x3, y3 = corners
    right_x, right_y, left_x, left_y = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    sum_x, sum_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    area = right_x * left_y - left_x * right_y
    g, h = (sum_x * left_y - left_x * sum_y) / area, (right_x * sum_y - sum_x * right_y) / area
    rows = (
        (x1 - x0 + g * x1, x3 - x0 + h * x3, x0),
        (y1 - y0 + g * y1, y3 - y0 + h * y3, y0),
        (g, h, 1.0),
    )
    # From pixel centres of the scan to the unit square; from there to those of the canvas.
    placed = [[u / width, v / height, 0.5 * (u / width + v / height) + w] for u, v, w in rows]
    across, down, depth = placed
    return [
        [side * a - 0.5 * d for a, d in zip(across, depth, strict=True)],
        [side * b - 0.5 * d for b, d in zip(down, depth, strict=True)],
        depth,
    ]


def finger_strokes(fingers: Sequence[Finger], side: int) -> Doubles:
    """Each finger as two thick lines with round ends: its contact shadow and, over it, itself.

    Args:
        fingers: Of B views.
        side: The canvas's in pixels.

    Returns:
        float64 (B, 2, 8): x and y of both ends, thickness (whole pixels), red, green, blue.
    """
    return np.array([_strokes(finger, side) for finger in fingers], dtype=np.float64)


def _strokes(finger: Finger, side: int) -> list[tuple[float, ...]]:
    ends: list[int] = []
    for across, down in ((finger.along + finger.lean, -0.6), (finger.along, finger.reach)):
        x, y = int(across * side), int(down * side)
        ends += ((x, y), (side - 1 - y, x), (x, side - 1 - y), (y, x))[finger.edge]
    return [
        (
            *ends,
            max(1, int(2 * finger.half_width * widen * side)),
            *(tint * channel for channel in (finger.red, finger.green, finger.blue)),
        )
        for widen, tint in ((1.18, 0.55), (1.0, 1.0))
    ]


def gaussian_radius(deviation: float) -> int:
    """Half of the side, rounded down, of the kernel that OpenCV takes for 8-bit pixels."""
    return (round(6 * deviation + 1) | 1) // 2


def motion_kernels(motions: Sequence[Motion], size: int) -> tuple[Floats, list[int]]:
    """Lines of the motions' lengths, anti-aliased, each summing to 1.

    Args:
        motions: Of B views, none of length 0.
        size: The view's side in pixels.

    Returns:
        float32 (B, 2R + 1, 2R + 1), and each kernel's own radius: outside of it there are zeros.
    """
    length, angle = _columns(motions, 1)
    length = length * size
    radius = np.maximum(1, np.ceil(length / 2)).astype(int)
    largest = int(radius.max())
    step = np.arange(4 * largest + 1)[None, :]
    offset = length * (step / (4.0 * radius) - 0.5)
    x, y = largest + offset * np.cos(angle), largest + offset * np.sin(angle)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    # One more row and column, which may be hit with weight 0.
    side = 2 * largest + 2
    right, low = x - left, y - top
    weights = np.stack([(1 - right) * (1 - low), right * (1 - low), (1 - right) * low, right * low])
    weights *= step <= 4 * radius
    first = (np.arange(len(motions))[:, None] * side + top) * side + left
    places = np.stack([first, first + 1, first + side, first + side + 1])
    count = len(motions) * side * side
    inside = np.clip(places, 0, count - 1)
    kernels = np.bincount(inside.ravel(), weights.ravel(), count)
    kernels = kernels.reshape(-1, side, side)[:, :-1, :-1]
    kernels = kernels / kernels.sum(axis=(1, 2), keepdims=True)
    return kernels.astype(np.float32), radius[:, 0].tolist()


def light_fields(lights: Sequence[Light], shadows: Sequence[Shadow]) -> Floats:
    """What the light multiplies pixels with: float32 (B, LIGHT_GRID, LIGHT_GRID)."""
    slopes = [(e, e * s * math.cos(a), e * s * math.sin(a)) for e, s, a in lights]
    even, right, down = _columns(slopes, 2)
    field = even + right * _LIGHT_X + down * _LIGHT_Y
    if any(shadow.depth for shadow in shadows):
        edges = [(d, k * math.cos(a), k * math.sin(a), k * p) for d, a, p, k in shadows]
        depth, right, down, place = _columns(edges, 2)
        field *= 1.0 - depth / (1.0 + np.exp(place - right * _LIGHT_X - down * _LIGHT_Y))
    return np.asarray(field, dtype=np.float32)


def added_light(hazes: Sequence[float], glares: Sequence[Glare]) -> Floats:
    """Grey levels that haze and glare add: float32 (B, LIGHT_GRID, LIGHT_GRID)."""
    strength, angle, x, y, length, width = _columns(glares, 2)
    cos, sin = np.cos(angle), np.sin(angle)
    dx, dy = _LIGHT_X - x, _LIGHT_Y - y
    along, across = (dx * cos + dy * sin) / length, (dy * cos - dx * sin) / width
    spots = strength * np.exp(-(along**2) - across**2)
    haze = np.array(hazes, dtype=np.float64)[:, None, None]
    return np.asarray(spots + haze, dtype=np.float32)


def colour_matrices(colours: Sequence[Colour]) -> Floats:
    """White balance after saturation, float32 (B, 3, 3): rows give R, G, B out of R, G, B."""
    return np.array([_colour_matrix(colour) for colour in colours], dtype=np.float32)


def _colour_matrix(colour: Colour) -> list[list[float]]:
    gains = math.exp(colour.warmth), math.exp(colour.tint), math.exp(-colour.warmth)
    return [
        [
            gain * (colour.saturation * (row == column) + (1 - colour.saturation) * luma)
            for column, luma in enumerate(_LUMA)
        ]
        for row, gain in enumerate(gains)
    ]


def holo_sheen(holos: Sequence[Holo]) -> Pixels:
    """What foil would do everywhere on the card: its rainbow adds light and veils the print.

    White print takes the hue too, as ink on foil is translucent; it loses half of what a share
    of the rainbow would take, and dark print gains all of it.

    Returns:
        uint8 (B, HOLO_GRID, HOLO_GRID, 4): red, green and blue that are added, and the share of
        255 of the pixel that is lost.
    """
    fields = _columns(holos, 2).astype(np.float32)
    strength, angle, orders, phase, bend, band, band_width, *_ = fields
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = _HOLO_LINE, _HOLO_LINE[:, None]
    across, along = x * cos + y * sin, y * cos - x * sin
    across = across + bend * along**2
    lamp = 127.5 * strength * np.exp(-(((across - band) / band_width) ** 2))
    turns = 2 * np.pi * (orders * across + phase)
    sheen = np.empty((*lamp.shape, 4), dtype=np.float32)
    sheen[..., :3] = lamp[..., None] * (1 + np.cos(turns[..., None] - _THIRDS))
    sheen[..., 3] = lamp
    return np.asarray(sheen + 0.5, dtype=np.uint8)


def foil_area(holo: Holo, width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns of a scan that the foil's rectangle takes."""
    rows = slice(round(holo.top * height), round(holo.bottom * height))
    return rows, slice(round(holo.left * width), round(holo.right * width))


def sleeve_grid(side: int) -> int:
    """Cells along a side of the sleeve's veil for a canvas; its bright edge needs about as many
    as the canvas has pixels, but is soft enough where that is large."""
    return max(48, min(160, side))


def sleeve_veils(sleeves: Sequence[Sleeve], grid: int) -> Pixels:
    """How much of the way to white a sleeve takes what is under it.

    Args:
        sleeves: Of B views.
        grid: Cells along a side, as of :func:`sleeve_grid`.

    Returns:
        uint8 (B, grid, grid), share of 255, over the card and a little beyond it;
        :func:`sleeve_map` says where its cells lie.
    """
    fields = _columns(sleeves, 2).astype(np.float32)
    haze, rim, edge, edge_width, side, top, bottom, streak, angle, place, width = fields
    line = _sleeve_line(grid)
    # The sleeve, the sleeve within its weld, and the card are rectangles. Cells on a border are
    # covered in part, so a weld narrower than a cell is fainter.
    right, low = CARD_WIDTH + side, CARD_HEIGHT + bottom
    sleeve = _rectangle(line, -side, right, -top, low)
    weld = edge_width
    within = _rectangle(line, weld - side, right - weld, weld - top, low - weld)
    x, y = 2 * line - 1, 2 * line[:, None] - 1
    distance = x * (np.cos(angle) / width) + (y * np.sin(angle) - place) / width
    distance *= distance
    np.negative(distance, out=distance)
    veil = np.exp(distance, out=distance)
    veil *= streak
    veil += haze + rim + edge
    veil -= rim * _sleeved_card(grid)
    veil *= sleeve
    within *= edge
    veil -= within
    np.minimum(veil, 0.9, out=veil)
    veil *= 255
    veil += 0.5
    return np.asarray(veil, dtype=np.uint8)


@functools.cache
def _sleeve_line(grid: int) -> Floats:
    """Centres of the veil's cells in shares of the card, which lies at 0 to 1."""
    step = (1 + 2 * _SLEEVE_REACH) / grid
    return np.asarray((np.arange(grid) + 0.5) * step - _SLEEVE_REACH, dtype=np.float32)


def _rectangle(
    line: Floats,
    left: Floats | float,
    right: Floats | float,
    top: Floats | float,
    bottom: Floats | float,
) -> Floats:
    """Which share of each of the veil's cells lies in a rectangle given in millimetres."""
    x, y, cell = line * CARD_WIDTH, line[:, None] * CARD_HEIGHT, line[1] - line[0]
    across = np.minimum(x - left, right - x) / (cell * CARD_WIDTH) + 0.5
    along = np.minimum(y - top, bottom - y) / (cell * CARD_HEIGHT) + 0.5
    return np.asarray(across.clip(0.0, 1.0) * along.clip(0.0, 1.0), dtype=np.float32)


@functools.cache
def _sleeved_card(grid: int) -> Floats:
    return _rectangle(_sleeve_line(grid), 0.0, CARD_WIDTH, 0.0, CARD_HEIGHT)


def sleeve_map(width: int, height: int, grid: int) -> Doubles:
    """float64 (3, 3): from the veil's cells to the pixels of a scan of that size."""
    step = (1 + 2 * _SLEEVE_REACH) / grid
    first = step / 2 - _SLEEVE_REACH
    return np.array(
        [
            [step * width, 0.0, first * width - 0.5],
            [0.0, step * height, first * height - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )
