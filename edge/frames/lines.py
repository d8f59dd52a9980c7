"""Quadrangles from straight lines: an edge that a finger or a lamp interrupts stays one line."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frames.edges import EdgeMap

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

#: Lines below this share of the frame's short side are noise and print.
_SHORTEST = 0.07
#: Lines that are tried: two directions of a dozen each, as one card's print has some of its own.
_MOST_LINES = 40
#: Pixels of a cell of the Hough transform, and by how many degrees a line may differ from the
#: direction that a pixel's gradient shows.
_CELL, _SWING = 2.0, 8


def quads_of_lines(edges: EdgeMap, most: int = 4000) -> Doubles:
    """Quadrangles that four of the frame's strongest lines form.

    Args:
        edges: Of the frame at working size.
        most: Of the quadrangles, those of the strongest lines.

    Returns:
        (n, 4, 2), corners in order around the outline, neither checked for convexity nor for size.
    """
    lines, strength = strongest_lines(edges)
    if len(lines) < 4:
        return np.empty((0, 4, 2))
    height, width = edges.right.shape
    first, second = np.triu_indices(len(lines), 1)
    between = np.abs(lines[first, 0] * lines[second, 0] + lines[first, 1] * lines[second, 1])
    # Two opposite sides: nearly parallel, and so far apart as a card is wide.
    direction = np.column_stack([lines[:, 1], -lines[:, 0]])
    middle = np.array([width, height]) / 2
    feet = _feet(lines, middle)
    gap = np.abs(((feet[first] - feet[second]) * lines[second, :2]).sum(axis=1))
    opposite = (between > np.cos(np.radians(32))) & (gap > 0.06 * min(width, height))
    first, second = first[opposite], second[opposite]
    order = np.argsort(-np.minimum(strength[first], strength[second]))[:260]
    first, second = first[order], second[order]
    one, other = np.triu_indices(len(first), 1)
    across = np.abs((direction[first[one]] * direction[first[other]]).sum(axis=1))
    crossed = across < np.cos(np.radians(50))
    one, other = one[crossed], other[crossed]
    weakest = np.minimum(
        np.minimum(strength[first[one]], strength[second[one]]),
        np.minimum(strength[first[other]], strength[second[other]]),
    )
    total = (
        strength[first[one]]
        + strength[second[one]]
        + strength[first[other]]
        + strength[second[other]]
    )
    order = np.argsort(-(total + weakest))[: 8 * most]
    one, other = one[order], other[order]
    quads = np.stack(
        [
            _crossing(lines[first[one]], lines[first[other]]),
            _crossing(lines[second[one]], lines[first[other]]),
            _crossing(lines[second[one]], lines[second[other]]),
            _crossing(lines[first[one]], lines[second[other]]),
        ],
        axis=1,
    )
    slack = 0.02 * max(width, height)
    inside = (quads > -slack).all(axis=(1, 2)) & (
        (quads[..., 0] < width + slack) & (quads[..., 1] < height + slack)
    ).all(axis=1)
    kept: Doubles = quads[inside][:most]
    return kept


def strongest_lines(edges: EdgeMap) -> tuple[Doubles, Doubles]:
    """Straight lines in the frame, by a Hough transform in which a pixel votes near its gradient.

    Returns:
        Lines (n, 3) as a, b, c of ``a x + b y + c = 0`` with a unit normal, strongest first, and
        the number of edge pixels on each (n,).
    """
    height, width = edges.right.shape
    y, x = np.nonzero(edges.thin())
    if not len(x):
        return np.empty((0, 3)), np.empty(0)
    right, down = edges.right[y, x], edges.down[y, x]
    angle = np.degrees(np.arctan2(down, right)) % 180
    across, below = x - width / 2, y - height / 2
    reach = int(np.hypot(width, height) / 2 / _CELL) + 2
    near = np.arange(-_SWING, _SWING + 1)
    bins = (np.rint(angle)[:, None] + near).astype(np.intp)
    turned = np.radians(np.arange(-_SWING - 1, 180 + _SWING + 2))
    place = bins + _SWING + 1
    offset = across[:, None] * np.cos(turned)[place] + below[:, None] * np.sin(turned)[place]
    # Beyond half a turn the normal points the other way.
    around = (bins < 0) | (bins >= 180)
    offset = np.where(around, -offset, offset)
    cells = (bins % 180) * (2 * reach) + (np.rint(offset / _CELL).astype(np.intp) + reach)
    votes = np.bincount(cells.ravel(), minlength=180 * 2 * reach).astype(np.float32)
    board: Floats = np.asarray(
        cv2.GaussianBlur(votes.reshape(180, 2 * reach), (3, 3), 0.8), dtype=np.float32
    )
    shortest = _SHORTEST * min(width, height)
    found = [
        line
        for peak in _peaks(board, 0.25 * shortest)
        if (line := _on_line(peak, reach, across, below, angle))[3] >= shortest
    ]
    if not found:
        return np.empty((0, 3)), np.empty(0)
    lines = np.array(found)
    lines[:, 2] -= lines[:, 0] * width / 2 + lines[:, 1] * height / 2
    order = np.argsort(-lines[:, 3], kind="stable")
    return lines[order, :3], lines[order, 3]


def _peaks(board: Floats, least: float) -> list[tuple[int, int]]:
    """Highest cells of the votes, each with its surroundings taken away: (angle, offset)."""
    peaks = []
    angles = len(board)
    for _ in range(_MOST_LINES):
        angle, offset = np.unravel_index(int(board.argmax()), board.shape)
        if board[angle, offset] < least:
            break
        peaks.append((int(angle), int(offset)))
        for turn in range(-5, 6):
            index, flipped = (angle + turn) % angles, not 0 <= angle + turn < angles
            middle = board.shape[1] - offset if flipped else offset
            board[index, max(0, middle - 2) : middle + 3] = 0
    return peaks


def _on_line(
    peak: tuple[int, int], reach: int, across: Doubles, below: Doubles, angle: Doubles
) -> tuple[float, float, float, float]:
    """The line through the edge pixels near a peak, about the frame's middle, and their number."""
    turn = np.radians(peak[0])
    a, b, c = float(np.cos(turn)), float(np.sin(turn)), -_CELL * float(peak[1] - reach)
    along = np.abs((angle - peak[0] + 90) % 180 - 90) <= _SWING
    x, y = across[along], below[along]
    count = 0
    for apart in (3.0, 1.5):
        on = np.abs(a * x + b * y + c) <= apart
        count = int(on.sum())
        if count < 8:
            break
        a, b, c = _fitted(x[on], y[on])
    return a, b, c, float(count)


def _fitted(x: Doubles, y: Doubles) -> tuple[float, float, float]:
    """The line through points by total least squares."""
    dx, dy = x - x.mean(), y - y.mean()
    angle = 0.5 * np.arctan2(2 * (dx * dy).sum(), (dx * dx - dy * dy).sum())
    a, b = -float(np.sin(angle)), float(np.cos(angle))
    return a, b, -(a * float(x.mean()) + b * float(y.mean()))


def _feet(lines: Doubles, point: Doubles) -> Doubles:
    """The point of each line that is nearest to a point: (n, 2)."""
    off = lines[:, :2] @ point + lines[:, 2]
    feet: Doubles = point - off[:, None] * lines[:, :2]
    return feet


def _crossing(one: Doubles, other: Doubles) -> Doubles:
    """Where pairs of lines (n, 3) cross: (n, 2)."""
    x, y, w = np.cross(one, other).T
    w = np.where(np.abs(w) < 1e-12, 1e-12, w)
    return np.column_stack([x / w, y / w])
