"""Quadrangles from contours: a card as one closed shape of its own brightness or colour."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frames.edges import EdgeMap

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]

#: Shares of the outline's length by which a contour is simplified.
_SIMPLIFIED = (0.015, 0.03, 0.05)


def quads_of_contours(frame: Pixels, edges: EdgeMap, smallest: float) -> Doubles:
    """Quadrangles about the closed shapes of a frame.

    Args:
        frame: uint8 RGB (h, w, 3) at working size.
        edges: Its edges.
        smallest: Area in square pixels below which a shape is not looked at.

    Returns:
        (n, 4, 2), corners in order around the outline.
    """
    quads: list[Doubles] = []
    for mask in _masks(frame, edges):
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            box = cv2.boundingRect(contour)
            if box[2] * box[3] < smallest:
                continue
            hull = np.asarray(cv2.convexHull(contour), dtype=np.int32)
            if cv2.contourArea(hull) < smallest:
                continue
            quads.extend(_quads(hull))
    return np.array(quads) if quads else np.empty((0, 4, 2))


def _masks(frame: Pixels, edges: EdgeMap) -> list[Pixels]:
    """Binary images: closed edges at three strengths, and Otsu's parts of each channel."""
    size = np.hypot(edges.right, edges.down)
    masks = []
    close = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    for above in (1.0, 2.5, 6.0):
        strong = np.asarray((size >= above) * 255, dtype=np.uint8)
        masks.append(cv2.morphologyEx(strong, cv2.MORPH_CLOSE, close))
        # What no edge divides: the flat inside of a frame, and the table around the card.
        masks.append(cv2.bitwise_not(cv2.dilate(strong, close)))
    lab = cv2.cvtColor(cv2.GaussianBlur(frame, (0, 0), 2.0), cv2.COLOR_RGB2LAB)
    for channel in cv2.split(lab):
        _, mask = cv2.threshold(channel, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        masks += [mask, cv2.bitwise_not(mask)]
    return [np.asarray(mask, dtype=np.uint8) for mask in masks]


def _quads(hull: NDArray[np.int32]) -> list[Doubles]:
    length = cv2.arcLength(hull, True)
    found = []
    for share in _SIMPLIFIED:
        corners = cv2.approxPolyDP(hull, share * length, True)
        if len(corners) == 4:
            found.append(corners.reshape(4, 2).astype(np.float64))
            break
    box = cv2.minAreaRect(hull)
    if cv2.contourArea(hull) > 0.8 * box[1][0] * box[1][1]:
        found.append(cv2.boxPoints(box).astype(np.float64))
    return found
