"""Camera views: what a phone or a Pi camera sees of a card that is roughly framed.

A view is rendered from a scan: the card is turned and tilted in front of a pinhole camera, lies
on a table, is lit unevenly, may shine, may be held by a finger, and comes back blurred, noisy and
JPEG-compressed. Nothing flips or mirrors the card. Views are drawn at one and a half times their
size and then averaged down, so that fine print turns into grey and not into aliasing.

Hand-written OpenCV, because rendering is what a training job on CPUs waits for.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Stream = Literal["train", "validation", "query", "calibration"]

# A trading card is 63 x 88 mm. Scans come stretched to a square, so the geometry puts the
# proportion back before it turns the card, and stretches the result as the contract does.
CARD_WIDTH, CARD_HEIGHT = 63.0, 88.0
RENDER_SCALE = 1.5
NOISE_BANK = 2**20

# Light changes slowly over a card: it is computed on a coarse grid and scaled up.
_GRID = 8
_LINE = np.linspace(-1.0, 1.0, _GRID)
_X, _Y = _LINE[None, :], _LINE[:, None]
_LUMA = np.array([0.299, 0.587, 0.114])


def camera_view(scan: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    """Renders one camera view of a scan.

    Args:
        scan: uint8 RGB (h, w, 3), preferably twice as large as the view.
        size: Side of the square view in pixels.
        rng: Source of every random choice; the same state gives the same view.

    Returns:
        uint8 RGB, shape (size, size, 3).
    """
    canvas_side = _canvas_side(size)
    source = _fit_source(scan, canvas_side)
    canvas = _table(canvas_side, rng)
    cv2.warpPerspective(
        source,
        _pose(source.shape[1], source.shape[0], canvas_side, rng),
        (canvas_side, canvas_side),
        dst=canvas,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    if rng.random() < 0.2:
        _finger(canvas, rng)
    # At two thirds, bilinear takes in every pixel, and is four times as fast as the area method.
    seen = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_LINEAR)
    view = _blur(np.asarray(seen, dtype=np.uint8), size, rng)
    view = _light(view, size, rng)
    return _jpeg(view, rng)


def camera_views(
    scans: Pixels,
    card_ids: Sequence[str],
    *,
    size: int,
    seed: int,
    stream: Stream,
    per_card: int,
    first: int = 0,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> tuple[Pixels, NDArray[np.int64]]:
    """Renders views ``first`` to ``first + per_card - 1`` of every scan.

    A view depends on (seed, stream, card id, number of the view) and the scan alone: not on the
    other cards, the order or the number of threads. The stream is part of the random seed, so
    views for training, validation, queries and calibration are different draws.

    Args:
        scans: uint8 RGB (N, h, w, 3).
        card_ids: One id a row. A repeated id is a second scan of one card.
        size: Side of the square views in pixels.
        seed: The run's seed.
        stream: What the views are for.
        per_card: Views of each row.
        first: Number of the first view; a later epoch asks for later views.
        threads: Rows are rendered in parallel.
        progress: Called now and then with the number of views finished since the last call.

    Returns:
        views uint8 (N * per_card, size, size, 3), row after row, and labels int64: the place of
        the row's id among the distinct ids in order of first appearance.

    Raises:
        ValueError: Rows and ids differ in number, or the stream is unknown.
    """
    if len(scans) != len(card_ids):
        raise ValueError(f"{len(scans)} scans but {len(card_ids)} card ids")
    if stream not in get_args(Stream):
        raise ValueError(f"stream {stream!r} is none of {', '.join(get_args(Stream))}")
    if per_card < 0 or first < 0:
        raise ValueError("per_card and first must not be negative")
    label_of: dict[str, int] = {}
    copies: dict[str, int] = {}
    keys = []
    for card_id in card_ids:
        label_of.setdefault(card_id, len(label_of))
        copies[card_id] = copies.get(card_id, -1) + 1
        keys.append(f"{card_id}|{copies[card_id]}")
    labels = np.repeat(np.array([label_of[i] for i in card_ids], dtype=np.int64), per_card)
    views: Pixels = np.empty((len(scans) * per_card, size, size, 3), dtype=np.uint8)

    def render(row: int) -> int:
        source = _fit_source(scans[row], _canvas_side(size))
        for k in range(per_card):
            rng = view_generator(seed, stream, keys[row], first + k)
            views[row * per_card + k] = camera_view(source, size, rng)
        return per_card

    with single_threaded_opencv(), ThreadPoolExecutor(max(1, threads)) as pool:
        for finished in pool.map(render, range(len(scans))):
            if progress is not None:
                progress(finished)
    return views, labels


def view_generator(seed: int, stream: str, card: str, number: int) -> np.random.Generator:
    """The random generator of one view, seeded by the SHA-256 of what names the view."""
    digest = hashlib.sha256(f"view|{seed}|{stream}|{number}|{card}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Keeps OpenCV's own thread pool away: on images this small it costs more than it gives."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _canvas_side(size: int) -> int:
    return math.ceil(RENDER_SCALE * size)


def _fit_source(scan: Pixels, canvas_side: int) -> Pixels:
    """Shrinks a scan that is much larger than the canvas, or the warp would skip pixels."""
    height, width = scan.shape[:2]
    if max(height, width) <= 1.25 * canvas_side:
        return scan
    shape = (min(width, canvas_side), min(height, canvas_side))
    return np.asarray(cv2.resize(scan, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _bell(rng: np.random.Generator, deviation: float, limit: float) -> float:
    """A normal number around 0, held within the limits (as plain floats, which are faster)."""
    return max(-limit, min(limit, deviation * float(rng.standard_normal())))


def _pose(width: int, height: int, side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The homography from the scan's pixels to the canvas's, of a card before a pinhole camera."""
    roll = math.radians(_bell(rng, 5.0, 15.0))
    pitch, yaw = math.radians(_bell(rng, 10.0, 24.0)), math.radians(_bell(rng, 10.0, 24.0))
    fill = rng.uniform(0.80, 1.04)
    distance = rng.uniform(2.2, 4.5) * CARD_HEIGHT
    right, down = _bell(rng, 0.025, 0.06), _bell(rng, 0.025, 0.06)
    seen = []
    for corner_x, corner_y in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
        flat_x, flat_y = corner_x * CARD_WIDTH, corner_y * CARD_HEIGHT
        x = flat_x * math.cos(roll) - flat_y * math.sin(roll)
        y = flat_x * math.sin(roll) + flat_y * math.cos(roll)
        depth = distance / (distance + y * math.sin(pitch) + x * math.sin(yaw))
        u = 0.5 + right + fill * depth * x * math.cos(yaw) / CARD_WIDTH
        v = 0.5 + down + fill * depth * y * math.cos(pitch) / CARD_HEIGHT
        seen.append((u * side - 0.5, v * side - 0.5))
    # Pixel centres lie at whole numbers, so an image's corner is half a pixel outside of them.
    w, h = width - 0.5, height - 0.5
    corners = np.array([(-0.5, -0.5), (w, -0.5), (w, h), (-0.5, h)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(corners, np.array(seen, dtype=np.float32))
    return np.asarray(matrix, dtype=np.float64)


def _table(side: int, rng: np.random.Generator) -> Pixels:
    """What the card lies on: plain, blotchy or streaked (cloth, wood), any colour."""
    base = rng.uniform(15, 235) + 22.0 * rng.standard_normal(3)
    kind = rng.random()
    if kind < 0.25:
        coarse = base + _LINE[:4, None, None] * rng.uniform(-30, 30) + np.zeros((4, 4, 1))
    else:
        if kind < 0.65:
            shape = (int(rng.integers(4, 24)),) * 2
        elif kind < 0.82:
            shape = (int(rng.integers(16, 64)), 3)
        else:
            shape = (3, int(rng.integers(16, 64)))
        texture = rng.uniform(4, 36) * rng.standard_normal((*shape, 1))
        coarse = base + texture * rng.uniform(0.7, 1, 3)
    small = np.maximum(np.minimum(coarse, 255), 0).astype(np.uint8)
    table = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(table, dtype=np.uint8)


def _finger(canvas: Pixels, rng: np.random.Generator) -> None:
    """A finger that holds the card at its edge and covers a little of it."""
    side = canvas.shape[0]
    along = rng.uniform(0.15, 0.85)
    reach = rng.uniform(0.04, 0.14)
    half_width = rng.uniform(0.05, 0.085)
    shade = rng.uniform(0.35, 1.0)
    colour = np.clip(np.array([232, 184, 154]) * shade + rng.normal(0, 6, 3), 0, 255)
    edge = int(rng.integers(4))
    lean = rng.uniform(-0.25, 0.25)
    # Around the tip, a darker line first: the finger's contact shadow on the card.
    tip = np.array([along, reach]) * side
    root = np.array([along + lean, -0.6]) * side
    for widen, tint in ((1.18, colour * 0.55), (1.0, colour)):
        ends = [_turn(point, edge, side) for point in (root, tip)]
        cv2.line(
            canvas,
            ends[0],
            ends[1],
            [float(c) for c in tint],
            max(1, int(2 * half_width * widen * side)),
            cv2.LINE_AA,
        )


def _turn(point: NDArray[np.float64], edge: int, side: int) -> tuple[int, int]:
    """Moves a point given relative to the top edge to one of the four edges."""
    x, y = int(point[0]), int(point[1])
    return [(x, y), (side - 1 - y, x), (x, side - 1 - y), (y, x)][edge]


def _blur(view: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    """Out of focus, moved, or (most often) neither."""
    kind = rng.random()
    if kind < 0.35:
        sigma = rng.uniform(0.003, 0.011) * size
        return np.asarray(cv2.GaussianBlur(view, (0, 0), sigma))
    if kind < 0.55:
        length = rng.uniform(0.015, 0.045) * size
        angle = rng.uniform(0, math.pi)
        return np.asarray(cv2.filter2D(view, -1, _motion_kernel(length, angle)))
    return view


def _motion_kernel(length: float, angle: float) -> Floats:
    """A line of the given length in pixels, anti-aliased, summing to 1."""
    radius = max(1, math.ceil(length / 2))
    offsets = np.linspace(-length / 2, length / 2, 4 * radius + 1)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), dtype=np.float32)
    x, y = radius + offsets * math.cos(angle), radius + offsets * math.sin(angle)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
        inside = (left + dx <= 2 * radius) & (top + dy <= 2 * radius)
        np.add.at(kernel, ((top + dy)[inside], (left + dx)[inside]), weight[inside])
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _light(view: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    """Exposure, white balance, uneven light, a shadow's edge, glare and sensor noise."""
    field = 1.0 + rng.uniform(0, 0.3) * _across(rng)
    if rng.random() < 0.3:
        edge = _across(rng) - rng.uniform(-0.9, 0.9)
        field *= 1.0 - rng.uniform(0.15, 0.5) / (1.0 + np.exp(-rng.uniform(4, 14) * edge))
    field *= math.exp(rng.normal(-0.06, 0.16))
    coloured = cv2.transform(view.astype(np.float32), _colour_matrix(rng))
    pixels: Floats = np.asarray(coloured, dtype=np.float32)
    pixels *= _over_view(field, size)
    haze = rng.uniform(0, 22) if rng.random() < 0.4 else 0.0
    if rng.random() < 0.35:
        pixels += _over_view(haze + _glare(rng), size)
    elif haze:
        pixels += haze
    noise = _noise(pixels.shape, rng)
    # Adds the noise, rounds, and holds the result within 0-255, in one pass.
    noisy = cv2.addWeighted(pixels, 1.0, noise, rng.uniform(0.5, 7.0), 0.0, dtype=cv2.CV_8U)
    return np.asarray(noisy, dtype=np.uint8)


def _across(rng: np.random.Generator) -> NDArray[np.float64]:
    """The coordinate along a random direction, on the coarse grid."""
    angle = rng.uniform(0, 2 * math.pi)
    return np.asarray(_X * math.cos(angle) + _Y * math.sin(angle))


def _glare(rng: np.random.Generator) -> NDArray[np.float64]:
    """A lamp's reflection: a bright, oblong spot."""
    angle = rng.uniform(0, math.pi)
    cos, sin = math.cos(angle), math.sin(angle)
    dx, dy = _X - rng.uniform(-0.9, 0.9), _Y - rng.uniform(-0.9, 0.9)
    along = (dx * cos + dy * sin) / rng.uniform(0.25, 1.2)
    across = (dy * cos - dx * sin) / rng.uniform(0.12, 0.35)
    return np.asarray(rng.uniform(40, 190) * np.exp(-(along**2) - across**2))


def _over_view(coarse: NDArray[np.float64], size: int) -> Floats:
    """Scales a coarse grid (g, g) up to (size, size, 3), the same in each channel."""
    wide = cv2.resize(coarse.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.merge([wide, wide, wide]), dtype=np.float32)


def _colour_matrix(rng: np.random.Generator) -> Floats:
    """White balance after saturation: rows give R, G, B out of R, G, B."""
    saturation = rng.uniform(0.65, 1.25)
    matrix = saturation * np.eye(3) + (1 - saturation) * _LUMA
    warmth, tint = _bell(rng, 0.07, 0.2), _bell(rng, 0.035, 0.1)
    balance = np.array([[math.exp(warmth)], [math.exp(tint)], [math.exp(-warmth)]])
    return np.asarray(balance * matrix, dtype=np.float32)


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Standard normal values; a random stretch of a bank, as drawing them would take longer
    than everything else."""
    count = math.prod(shape)
    if count > NOISE_BANK // 2:
        return rng.standard_normal(shape, dtype=np.float32)
    start = int(rng.integers(0, NOISE_BANK - count))
    return _noise_bank()[start : start + count].reshape(shape)


@functools.cache
def _noise_bank() -> Floats:
    return np.random.default_rng(20240229).standard_normal(NOISE_BANK, dtype=np.float32)


def _jpeg(view: Pixels, rng: np.random.Generator) -> Pixels:
    """The camera's compression, its chroma taken from the right channels."""
    quality = int(rng.integers(40, 96))
    _, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(view, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
