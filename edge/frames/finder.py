"""Finds the outlines of cards in a whole camera frame.

Quadrangles are proposed twice, by closed contours and by straight lines, as each sees what the
other misses: a contour breaks where a finger or a lamp interrupts it, and lines are not found on
a small card with round corners. A proposal counts by how much of its sides lies on edges, and
only where a camera could see a flat rectangle of a card's proportion that way. Of outlines within
one another the outermost that is about as well seen counts: cards have frames printed on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frames.contours import quads_of_contours
from edge.frames.edges import EdgeMap
from edge.frames.likelihood import FEATURES, features, likelihood, smoothed_lab
from edge.frames.lines import quads_of_lines
from edge.frames.quadrangles import (
    clockwise,
    convex,
    overlap,
    proportions,
    signed_areas,
)
from edge.frames.refinement import refined

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]

#: Long side in pixels at which outlines are searched; they are refined at full size.
WORKING_SIDE = 640
#: Focal length in long sides of the frame: between a telephone's and a wide camera's.
FOCAL = 1.0
#: Pixels of a side below which a frame shows nothing.
_SMALLEST_FRAME = 32
#: Outlines that overlap so much (intersection over union) are of one place.
_SAME_PLACE = 0.4
#: Outlines of a place that are refined, and how far their sides may move, in pixels of the working
#: size: a side that lies near its edge agrees with it, one that lies apart does not.
_REFINED, _REACH = 6, 2.5
#: What that agreement is worth, in logarithms of the odds, and what a larger area is, by its
#: logarithm: a frame printed along the border lies within the card.
_AGREEMENT, _LARGER = 3.0, 10.0
#: Likelihood from which a quadrangle is taken for a card.
AT_LEAST = 0.27


@dataclass(frozen=True)
class CardShape:
    """What cards look like before a camera.

    Attributes:
        proportion: Width by height; 63 by 88 mm for trading cards.
        tolerance: By which share the proportion may differ; bridge cards are a tenth narrower.
        smallest: Height in shares of the frame's short side below which nothing is taken for a
            card: it would have too few pixels to be recognised.
    """

    proportion: float = 63 / 88
    tolerance: float = 0.11
    smallest: float = 0.2


@dataclass(frozen=True)
class Outline:
    """A quadrangle that may be a card's outline.

    Attributes:
        corners: float64 (4, 2), x and y in the frame's pixels, clockwise; the first side is a
            short one, so that corner 0 is the upright card's top left corner or its bottom right.
        score: 0 to 1: how likely it is a card's outline.
    """

    corners: Doubles
    score: float


@dataclass(frozen=True)
class Candidates:
    """What may be a card in a frame at working size.

    Attributes:
        quads: (n, 4, 2), clockwise.
        features: (n, features), see :mod:`edge.frames.likelihood`.
    """

    quads: Doubles
    features: Doubles


def find_cards(
    frame: Pixels, shape: CardShape | None = None, *, most: int = 4, at_least: float = AT_LEAST
) -> list[Outline]:
    """Finds cards in a frame.

    Args:
        frame: uint8 RGB (h, w, 3).
        shape: Of the cards.
        most: Number of outlines at most.
        at_least: Likelihood below which an outline is not returned.

    Returns:
        Outlines of different places, best first; empty where no card is seen.
    """
    return [places[0] for places in find_alternatives(frame, shape, most=most, at_least=at_least)]


def find_alternatives(
    frame: Pixels,
    shape: CardShape | None = None,
    *,
    most: int = 4,
    alternatives: int = 1,
    at_least: float = AT_LEAST,
) -> list[list[Outline]]:
    """Like :func:`find_cards`, and for each place further outlines, such as a sleeve's."""
    shape = shape or CardShape()
    if min(frame.shape[:2]) < _SMALLEST_FRAME:
        return []
    scale = min(1.0, WORKING_SIDE / max(frame.shape[:2]))
    small = frame
    if scale < 1:
        size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
        small = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    proposed = candidates(small, shape)
    quads, scores = proposed.quads, likelihood(proposed.features)
    order = np.argsort(-scores, kind="stable")
    quads, scores = quads[order], scores[order]
    found: list[list[Outline]] = []
    factor = np.array([frame.shape[1] / small.shape[1], frame.shape[0] / small.shape[0]])
    for group in _places(quads, scores, at_least)[:most]:
        fine = []
        for k in group[:_REFINED]:
            full = (quads[k] + 0.5) * factor - 0.5
            corners, agreement = refined(frame, full, reach=_REACH * float(factor.max()))
            odds = float(np.log(scores[k] / max(1 - scores[k], 1e-9)))
            larger = float(np.log(signed_areas(corners[None])[0]))
            worth = odds + _AGREEMENT * agreement + _LARGER * larger
            fine.append((worth, float(scores[k]), corners))
        fine.sort(key=lambda each: -each[0])
        outlines: list[Outline] = []
        for _, score, corners in fine:
            if all(overlap(corners, other.corners) < 0.96 for other in outlines):
                outlines.append(Outline(short_side_first(corners, shape, frame.shape), score))
        found.append(outlines[:alternatives])
    return found


def candidates(small: Pixels, shape: CardShape) -> Candidates:
    """Every quadrangle of a frame at working size that may be a card.

    The frame is looked at twice, at half the size too: there noise is a quarter, and a faint edge
    in the dark still shows.
    """
    height, width = small.shape[:2]
    smallest = (shape.smallest * min(height, width)) ** 2 * shape.proportion
    half = np.asarray(
        cv2.resize(small, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8
    )
    looks = [(1.0, small, EdgeMap.of(small)), (2.0, half, EdgeMap.of(half))]
    proposed = []
    for scale, frame, edges in looks:
        found = (quads_of_contours(frame, edges, 0.8 * smallest / scale**2), quads_of_lines(edges))
        proposed += [(each + 0.5) * scale - 0.5 for each in found]
    quads = clockwise(np.concatenate(proposed))
    areas = signed_areas(quads)
    quads = quads[convex(quads) & (areas > smallest) & (areas < 0.98 * height * width)]
    off, skew = misfits(quads, shape, (height, width))
    possible = (off < 1) & (skew < 1)
    quads, off, skew = quads[possible], off[possible], skew[possible]
    seen, beyond = np.zeros((len(quads), 4)), np.zeros((len(quads), 8))
    for scale, _, edges in looks:
        own = (quads + 0.5) / scale - 0.5
        np.maximum(seen, edges.support(own), out=seen)
        np.maximum(beyond, edges.beyond(own), out=beyond)
    first = (1 - 0.12 * off**2 - 0.12 * skew**2) * _seen(seen) - 0.6 * beyond.mean(axis=1)
    kept = _distinct(quads, np.maximum(first, 0))
    if not kept:
        return Candidates(np.empty((0, 4, 2)), np.empty((0, len(FEATURES))))
    feature_rows = features(
        quads[kept], seen[kept], beyond[kept], off[kept], skew[kept], smoothed_lab(small),
        looks[0][2],
    )  # fmt: skip
    return Candidates(quads[kept], feature_rows)


def _distinct(quads: Doubles, scores: Doubles, most: int = 150, apart: float = 2.5) -> list[int]:
    """The best of quadrangles whose corners all lie within some pixels; larger ones first, as a
    card has many lines of print that form smaller ones with its sides."""
    worth = scores * signed_areas(quads) ** 0.3
    order = [k for k in np.argsort(-worth, kind="stable") if scores[k] > 0]
    # Begun at the corner nearest to the frame's own, so that equal outlines compare equal.
    first = quads.sum(axis=2).argmin(axis=1)
    turned = quads[np.arange(len(quads))[:, None], (first[:, None] + np.arange(4)) % 4]
    kept: list[int] = []
    for k in order:
        if len(kept) == most:
            break
        if not kept or np.abs(turned[kept] - turned[k]).max(axis=(1, 2)).min() > apart:
            kept.append(int(k))
    return kept


def misfits(quads: Doubles, shape: CardShape, frame: tuple[int, int]) -> tuple[Doubles, Doubles]:
    """How far each quadrangle's proportion and angle are from a card's: 0 to 1 for what may be a
    card, more for what is none; (n,) each."""
    height, width = frame
    middle = ((width - 1) / 2, (height - 1) / 2)
    ratio, cosine = proportions(quads, FOCAL * max(frame), middle)
    ratio = np.minimum(ratio, 1 / np.maximum(ratio, 1e-9))
    proportion = min(shape.proportion, 1 / shape.proportion)
    off = np.abs(np.log(np.maximum(ratio, 1e-9) / proportion)) / np.log1p(shape.tolerance)
    return off, np.abs(cosine) / np.sin(np.radians(9))


def _seen(sides: Doubles) -> Doubles:
    """One figure of the shares (n, 4) of the sides that are seen; one side may be half hidden."""
    ordered = np.sort(sides, axis=1)
    score: Doubles = 0.2 * ordered[:, 0] + 0.25 * ordered[:, 1] + 0.275 * ordered[:, 2:].sum(axis=1)
    return np.where((ordered[:, 0] >= 0.2) & (ordered[:, 1] >= 0.45), score, 0.0)


def _places(quads: Doubles, scores: Doubles, at_least: float) -> list[list[int]]:
    """Groups outlines of one place; places and the outlines of each with the likeliest first.

    A card on a sheet of paper is another place than the sheet.
    """
    left = [k for k in range(len(quads)) if scores[k] >= at_least]
    groups: list[list[int]] = []
    while left:
        near = {k: overlap(quads[left[0]], quads[k]) for k in left}
        distinct: list[int] = []
        for k in left:
            same = near[k] > _SAME_PLACE
            if same and all(overlap(quads[k], quads[other]) < 0.985 for other in distinct):
                distinct.append(k)
        groups.append(distinct)
        left = [k for k in left if near[k] <= _SAME_PLACE]
    return groups


def short_side_first(quad: Doubles, shape: CardShape, frame: tuple[int, ...]) -> Doubles:
    """The same clockwise corners, beginning with a short side of the card; the upper one of the
    two where they differ in height."""
    height, width = frame[:2]
    middle = ((width - 1) / 2, (height - 1) / 2)
    ratio, _ = proportions(quad[None], FOCAL * max(height, width), middle)
    # The proportion of sides 0 and 2 by the others, that of the card or its inverse.
    lying = (ratio[0] > 1) != (shape.proportion > 1)
    turned = np.roll(quad, -int(lying), axis=0)
    upper = turned[:2, 1].sum() <= turned[2:, 1].sum()
    result: Doubles = turned if upper else np.roll(turned, 2, axis=0)
    return result
