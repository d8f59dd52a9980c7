"""How likely a quadrangle is a card's outline: a logistic regression over what is seen of it.

The weights were fitted on rendered scenes (``bench/frames/outline_weights.py`` fits them again);
the seeds that results are reported on are not among them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frames.edges import EdgeMap
from edge.frames.quadrangles import side_lengths, signed_areas

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

#: Weight of each feature, and the constant.
WEIGHTS = {
    "weakest side": 1.69,
    "second side": 5.12,
    "third side": 0.38,
    "strongest side": -4.39,
    "proportion off": -1.41,
    "skew": -0.59,
    "sides go on": -6.59,
    "two sides go on most": -0.64,
    "size": 0.93,
    "size squared": 0.59,
    "one border inside": -4.83,
    "border unlike outside": 0.76,
    "least unlike side": 2.44,
    "even outside": 1.27,
    "larger one around it": -0.38,
    "smaller one in it": 2.8,
    "print": 1.52,
    "light and dark": 1.49,
    "colours": 1.72,
}
CONSTANT = -7.89
FEATURES = tuple(WEIGHTS)
#: How far beside a side its border and what lies beyond are read, in shares of the short side.
_BESIDE = 0.03
_GRID = 20


def features(
    quads: Doubles, seen: Doubles, beyond: Doubles, off: Doubles, skew: Doubles, lab: Floats,
    edges: EdgeMap,
) -> Doubles:  # fmt: skip
    """What is seen of each quadrangle, in the order of :data:`FEATURES`.

    Args:
        quads: (n, 4, 2), clockwise, in the frame's pixels.
        seen: (n, 4): shares of the sides on which an edge lies.
        beyond: (n, 8): the same past the corners.
        off, skew: (n,): how far the proportion and the angle are from a card's, 0 to 1.
        lab: float32 (h, w, 3): the frame's colours, smoothed.
        edges: Of the frame.

    Returns:
        (n, 19), each about 0 to 1.
    """
    sides = np.sort(seen, axis=1)
    areas = np.sqrt(signed_areas(quads) / (lab.shape[0] * lab.shape[1]))
    inside, outside = _beside(quads, lab)
    middle = np.median(inside, axis=(1, 2), keepdims=True)
    one_border = np.median(np.abs(inside - middle).sum(axis=3), axis=(1, 2))
    unlike = np.median(np.abs(inside - outside).sum(axis=3), axis=2)
    around = np.median(outside, axis=2, keepdims=True)
    uneven = np.median(np.abs(outside - around).sum(axis=3), axis=(1, 2))
    larger, smaller = _nested(quads, seen.mean(axis=1))
    printed, light, colours = _within(quads, lab, edges)
    return np.column_stack(
        [
            sides,
            off**2,
            skew**2,
            beyond.mean(axis=1),
            np.sort(beyond, axis=1)[:, -2:].mean(axis=1),
            areas,
            areas**2,
            np.log1p(one_border) / 4,
            np.log1p(np.median(unlike, axis=1)) / 4,
            np.log1p(unlike.min(axis=1)) / 4,
            np.log1p(uneven) / 4,
            larger,
            smaller,
            printed,
            np.log1p(light) / 4,
            np.log1p(colours) / 4,
        ]
    )


def likelihood(values: Doubles) -> Doubles:
    """How likely quadrangles of such features (n, 19) are cards' outlines: (n,), 0 to 1."""
    weighed = values @ np.array(list(WEIGHTS.values())) + CONSTANT
    likely: Doubles = 1 / (1 + np.exp(-np.clip(weighed, -50, 50)))
    return likely


def _beside(quads: Doubles, lab: Floats) -> tuple[Doubles, Doubles]:
    """Colours just inside and just outside of each side: (n, 4, 12, 3) each."""
    along = np.roll(quads, -1, axis=1) - quads
    length = np.maximum(np.linalg.norm(along, axis=2, keepdims=True), 1e-9)
    # Clockwise as seen: the inside lies to the right of the way along a side.
    normal = np.stack([-along[..., 1], along[..., 0]], axis=2) / length
    reach = np.maximum(_BESIDE * side_lengths(quads).min(axis=1), 2.0)[:, None, None, None]
    places = np.linspace(0.1, 0.9, 12)[:, None]
    points = quads[:, :, None] + along[:, :, None] * places
    inside = points + normal[:, :, None] * reach
    outside = points - normal[:, :, None] * reach
    return _read(lab, inside), _read(lab, outside)


def _read(values: Floats, points: Doubles) -> Doubles:
    height, width = values.shape[:2]
    x = np.clip(np.rint(points[..., 0]), 0, width - 1).astype(np.intp)
    y = np.clip(np.rint(points[..., 1]), 0, height - 1).astype(np.intp)
    return np.asarray(values[y, x], dtype=np.float64)


def _nested(quads: Doubles, seen: Doubles) -> tuple[Doubles, Doubles]:
    """How well the best slightly larger outline around each is seen, and the best slightly smaller
    one in it: (n,) each, 0 where there is none."""
    first = quads.sum(axis=2).argmin(axis=1)
    turned = quads[np.arange(len(quads))[:, None], (first[:, None] + np.arange(4)) % 4]
    centre = turned.mean(axis=1, keepdims=True)
    away = turned - centre
    size = np.maximum(np.linalg.norm(away, axis=2, keepdims=True), 1e-9)
    # Of each other one's corners, how far out they lie as shares of the half diagonal.
    out = ((turned[None] - turned[:, None]) * (away / size)[:, None]).sum(axis=3) / size[
        :, None, :, 0
    ]
    low, high = out.min(axis=2), out.max(axis=2)
    around = (low > 0.012) & (high < 0.17)
    within = (high < -0.012) & (low > -0.17)
    return (around * seen).max(axis=1, initial=0), (within * seen).max(axis=1, initial=0)


def _within(quads: Doubles, lab: Floats, edges: EdgeMap) -> tuple[Doubles, Doubles, Doubles]:
    """Of the inside: the share of edges, the deviation of brightness and that of colour: (n,)."""
    share = np.linspace(0.1, 0.9, _GRID)
    right, down = share[None, :, None], share[:, None, None]
    corners = quads[:, :, None, None]
    points = (
        corners[:, 0] * (1 - right) * (1 - down)
        + corners[:, 1] * right * (1 - down)
        + corners[:, 2] * right * down
        + corners[:, 3] * (1 - right) * down
    )
    colours = _read(lab, points).reshape(len(quads), -1, 3)
    strong = _read(edges.strength[..., None], points).reshape(len(quads), -1) >= 1
    deviation = colours.std(axis=1)
    return strong.mean(axis=1), deviation[:, 0], deviation[:, 1:].sum(axis=1)


def smoothed_lab(frame: Pixels) -> Floats:
    """Colours of a frame as float32 (h, w, 3), smoothed over a pixel or two."""
    lab = cv2.cvtColor(cv2.GaussianBlur(frame, (0, 0), 1.2), cv2.COLOR_RGB2LAB)
    return np.asarray(lab, dtype=np.float32)
