"""A card's corners to a fraction of a pixel: straight lines through where each side's edge lies."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]

_SAMPLES, _CORNER_SHARE = 48, 0.08


def refined(frame: Pixels, quad: Doubles, reach: float) -> tuple[Doubles, float]:
    """Moves each side of a quadrangle onto the edge that it lies near.

    Across each side brightness and colour are read along some fifty short lines; in each the place
    of the steepest change is taken, and a line fitted through these places from which single ones
    that lie apart (a finger, print, glare) are left out.

    Args:
        frame: uint8 RGB (h, w, 3) at full size.
        quad: (4, 2) corners in its pixels, clockwise.
        reach: How far off the edge may lie, in pixels.

    Returns:
        The corners (4, 2), and which share of the short lines agrees with the sides' edges, 0 to 1.
        A side on which no edge shows stays where it was.
    """
    height, width = frame.shape[:2]
    steps = np.arange(-np.ceil(reach) - 1, np.ceil(reach) + 2, 0.5)
    places = np.linspace(_CORNER_SHARE, 1 - _CORNER_SHARE, _SAMPLES)
    lines, agreement = [], 0.0
    for k in range(4):
        start, end = quad[k], quad[(k + 1) % 4]
        along = end - start
        length = float(np.hypot(*along))
        if length < 8:
            return quad, 0.0
        normal = np.array([-along[1], along[0]]) / length
        points = start + along * places[:, None]
        positions = points[:, None] + normal * steps[:, None]
        inside = (
            (positions >= 0).all(axis=2)
            & (positions[..., 0] <= width - 1)
            & (positions[..., 1] <= height - 1)
        )
        values = cv2.remap(
            frame,
            positions[..., 0].astype(np.float32),
            positions[..., 1].astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.float64)
        # Averaged along the side: print and noise are not.
        even = np.asarray(cv2.blur(values.reshape(_SAMPLES, -1), (1, 5)), dtype=np.float64)
        smooth = cv2.GaussianBlur(even.reshape(_SAMPLES, len(steps), 3), (5, 1), 1.0)
        change = np.abs(np.gradient(smooth, axis=1)).sum(axis=2) * inside
        found = _edge_line(points, normal, steps, change)
        lines.append(found[0] if found else _line(start, end))
        agreement += found[1] / 4 if found else 0.0
    corners = []
    for k in range(4):
        a, b, c = np.cross(lines[k - 1], lines[k])
        if abs(c) < 1e-9:
            return quad, 0.0
        corners.append((a / c, b / c))
    moved = np.array(corners)
    # A side that ran away to another edge is no refinement.
    away = np.linalg.norm(moved - quad, axis=1).max()
    return (moved, agreement) if away <= 2.5 * reach + 2 else (quad, 0.0)


def _edge_line(
    points: Doubles, normal: Doubles, steps: Doubles, change: Doubles
) -> tuple[tuple[float, float, float], float] | None:
    """The line through the steepest places, and which share of them agrees; None where too few
    do."""
    best = change.argmax(axis=1)
    strength = change[np.arange(len(change)), best]
    usable = (best > 0) & (best < len(steps) - 1) & (strength > 0)
    if usable.sum() < len(change) // 3:
        return None
    rows = np.flatnonzero(usable)
    before, peak, after = (change[rows, best[rows] + k] for k in (-1, 0, 1))
    curve = before - 2 * peak + after
    shift = np.where(
        np.abs(curve) > 1e-9, 0.5 * (before - after) / np.where(curve == 0, 1, curve), 0
    )
    offsets = steps[best[rows]] + np.clip(shift, -1, 1) * (steps[1] - steps[0])
    positions = np.linspace(0, 1, len(change))[rows]
    weights = np.minimum(strength[rows], 3 * np.median(strength[rows]))
    fit, keep = np.array([0.0, float(np.median(offsets))]), np.ones(len(rows), dtype=bool)
    for width in (3.0, 1.5, 1.0, 0.75):
        keep = np.abs(offsets - np.polyval(fit, positions)) <= width
        if keep.sum() < len(change) // 3:
            return None
        fit = np.polyfit(positions[keep], offsets[keep], 1, w=np.sqrt(weights[keep]))
    first = points[0] + normal * np.polyval(fit, 0.0)
    last = points[-1] + normal * np.polyval(fit, 1.0)
    return _line(first, last), float(keep.sum()) / len(change)


def _line(start: Doubles, end: Doubles) -> tuple[float, float, float]:
    a, b = start[1] - end[1], end[0] - start[0]
    length = float(np.hypot(a, b)) or 1.0
    a, b = a / length, b / length
    return float(a), float(b), float(-(a * start[0] + b * start[1]))
