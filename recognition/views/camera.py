"""Camera views: what a phone or a Pi camera sees of a card.

Half of the cards are roughly framed, half were found in the picture and rectified. A view is
rendered at the camera's resolution and then brought to the network's size by the contract, as a
device does. In it the card is turned and tilted in front of a pinhole camera, lies on a table, is
lit unevenly, may shine, may be of foil or in a sleeve, may be held by a finger, and comes back
blurred, noisy and JPEG-compressed. Nothing flips or mirrors the card.

What a view is like is drawn first (``recognition.views.parameters``), then rendered
(``recognition.views.camera_opencv``, or ``training.data.gpu_views`` in batches on a GPU).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.card_sets.scan import stretch
from recognition.views.camera_opencv import fit_source, render_view
from recognition.views.parameters import Framing, Pixels, draw_view, view_generator
from recognition.views.scales import canvas_side, scan_scale

Stream = Literal["train", "validation", "query", "calibration"]

__all__ = [
    "Framing",
    "Pixels",
    "Stream",
    "camera_view",
    "camera_views",
    "scan_scale",
    "single_threaded_opencv",
    "view_generator",
    "views_per_card",
]


def camera_view(
    scan: Pixels,
    size: int,
    rng: np.random.Generator,
    *,
    camera_side: int = 0,
    framing: Framing = "mixed",
) -> Pixels:
    """Draws and renders one camera view of a scan.

    Args:
        scan: uint8 RGB (h, w, 3), preferably :func:`scan_scale` times as large as the view.
        size: Side of the square view in pixels.
        rng: Source of every random choice; the same state gives the same view.
        camera_side: Side in pixels of the camera's picture of the card, which is then brought to
            ``size``; where it is not larger, the picture has that size.
        framing: How the card comes into the view.

    Returns:
        uint8 RGB, shape (size, size, 3).
    """
    seen = render_view(scan, draw_view(rng, framing), max(size, camera_side))
    return stretch(seen, size) if camera_side > size else seen


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
    camera_side: int = 0,
    framing: Framing = "mixed",
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
        camera_side: As in :func:`camera_view`.
        framing: Likewise.
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
        source = fit_source(scans[row], canvas_side(max(size, camera_side)))
        for k in range(per_card):
            rng = view_generator(seed, stream, keys[row], first + k)
            views[row * per_card + k] = camera_view(
                source, size, rng, camera_side=camera_side, framing=framing
            )
        return per_card

    with single_threaded_opencv(), ThreadPoolExecutor(max(1, threads)) as pool:
        for finished in pool.map(render, range(len(scans))):
            if progress is not None:
                progress(finished)
    return views, labels


def views_per_card(total: int, cards: int, fewest: int = 1) -> int:
    """How many views of each card come nearest to a total, at least the fewest."""
    return max(fewest, round(total / cards))


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Keeps OpenCV's own thread pool away: on images this small it costs more than it gives."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
