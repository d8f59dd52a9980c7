"""Surfaces that a card may lie on, drawn at the size of the frame."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def draw_table(width: int, height: int, rng: np.random.Generator, *, dark: bool = False) -> Pixels:
    """Draws a table: plain, wood, cloth, a printed mat, tiles or speckled stone.

    Args:
        width, height: Of the frame in pixels.
        rng: Source of every random choice.
        dark: A table of 8 to 50 grey levels, as under a dark card.

    Returns:
        uint8 RGB (height, width, 3).
    """
    kinds: tuple[Callable[..., Floats], ...] = (_plain, _wood, _cloth, _mat, _tiles, _stone)
    base = rng.uniform(25, 225) + 24.0 * rng.standard_normal(3)
    kind = kinds[int(rng.choice(len(kinds), p=(0.2, 0.25, 0.2, 0.15, 0.08, 0.12)))]
    table = kind(width, height, base.astype(np.float32), rng)
    if dark:
        table = (table - table.mean()) * 0.3 + np.float32(rng.uniform(14, 44))
        table = np.maximum(table, 6)
    return np.asarray(np.clip(table, 0, 255), dtype=np.uint8)


def noise_field(
    width: int, height: int, cells: tuple[float, float], rng: np.random.Generator
) -> Floats:
    """Smooth noise of deviation about 1, float32 (height, width), ``cells`` (across, down)."""
    shape = (max(2, round(cells[1])), max(2, round(cells[0])))
    coarse = rng.standard_normal(shape).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def _filled(width: int, height: int, base: Floats) -> Floats:
    return np.asarray(np.broadcast_to(base, (height, width, 3)), dtype=np.float32).copy()


def _plain(width: int, height: int, base: Floats, rng: np.random.Generator) -> Floats:
    table = _filled(width, height, base)
    table += rng.uniform(0, 8) * noise_field(width, height, (4, 3), rng)[..., None]
    return table


def _wood(width: int, height: int, base: Floats, rng: np.random.Generator) -> Floats:
    """Boards with grain along them and dark joints between them, at any angle."""
    brown = np.array([150, 104, 66], np.float32) * np.float32(rng.uniform(0.35, 1.5))
    side = int(math.hypot(width, height)) + 2
    table = _filled(side, side, brown)
    for across, weight in ((side / 3, 7.0), (side / 14, 9.0)):
        table += weight * noise_field(side, side, (6, across), rng)[..., None]
    boards = int(rng.integers(0, 7))
    for edge in np.sort(rng.uniform(0, side, boards)):
        thick = max(1, round(side * rng.uniform(0.001, 0.004)))
        table[int(edge) : int(edge) + thick] *= np.float32(rng.uniform(0.35, 0.8))
        table[int(edge) + thick :] += np.float32(rng.normal(0, 9))
    angle = (
        rng.choice([0.0, 90.0]) + rng.normal(0, 6) if rng.random() < 0.6 else rng.uniform(0, 180)
    )
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(angle), 1.0)
    turn = turn + np.array([[0, 0, (width - side) / 2], [0, 0, (height - side) / 2]])
    turned = cv2.warpAffine(table, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, dtype=np.float32)


def _cloth(width: int, height: int, base: Floats, rng: np.random.Generator) -> Floats:
    """A weave of threads, and soft folds."""
    table = _filled(width, height, base)
    thread = max(2.0, width / rng.uniform(120, 300))
    x = np.arange(width, dtype=np.float32)[None, :] / np.float32(thread)
    y = np.arange(height, dtype=np.float32)[:, None] / np.float32(thread)
    weave = np.sin(2 * np.pi * x) * np.sin(2 * np.pi * y)
    table += np.float32(rng.uniform(2, 9)) * weave[..., None]
    cells = (rng.uniform(2, 6), rng.uniform(2, 6))
    table += np.float32(rng.uniform(3, 14)) * noise_field(width, height, cells, rng)[..., None]
    return table


def _mat(width: int, height: int, base: Floats, rng: np.random.Generator) -> Floats:
    """A play mat with a picture: soft colours, and some printed shapes and lines."""
    table = _filled(width, height, base)
    for channel in range(3):
        for cells in ((3, 2), (9, 7)):
            table[..., channel] += 26 * noise_field(width, height, cells, rng)
    canvas = np.clip(table, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(3, 12))):
        colour = tuple(float(c) for c in rng.uniform(20, 235, 3))
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        size = rng.uniform(0.03, 0.25) * width
        if rng.random() < 0.5:
            cv2.circle(canvas, centre, int(size), colour, int(rng.integers(1, 4)), cv2.LINE_AA)
        else:
            end = (int(centre[0] + 3 * rng.normal(0, size)), int(centre[1] + rng.normal(0, size)))
            cv2.line(canvas, centre, end, colour, int(rng.integers(1, 6)), cv2.LINE_AA)
    return canvas.astype(np.float32)


def _tiles(width: int, height: int, base: Floats, rng: np.random.Generator) -> Floats:
    """Square tiles or a checked cloth, aligned with the frame or nearly so."""
    side = int(math.hypot(width, height)) + 2
    table = _filled(side, side, base)
    step = max(12, round(width * rng.uniform(0.08, 0.3)))
    checked = rng.random() < 0.5
    if checked:
        cells = (np.arange(side)[:, None] // step + np.arange(side)[None, :] // step) % 2
        table += np.float32(rng.uniform(-45, 45)) * cells[..., None].astype(np.float32)
    else:
        joint, shade = max(1, step // 40), np.float32(rng.uniform(0.55, 1.3))
        for start in range(0, side, step):
            table[start : start + joint] *= shade
            table[:, start : start + joint] *= shade
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(rng.normal(0, 20)), 1.0)
    turn = turn + np.array([[0, 0, (width - side) / 2], [0, 0, (height - side) / 2]])
    return np.asarray(cv2.warpAffine(table, turn, (width, height)), dtype=np.float32)


def _stone(width: int, height: int, base: Floats, rng: np.random.Generator) -> Floats:
    """Speckles of several sizes."""
    table = _filled(width, height, base)
    for cells in (width / 3, width / 8, width / 40):
        speckle = noise_field(width, height, (cells, cells * height / width), rng)
        table += np.float32(rng.uniform(3, 11)) * speckle[..., None]
    return table
