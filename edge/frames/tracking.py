"""Follows cards from frame to frame, and answers once for each, from several frames of it.

Noise, glare and blur differ from one frame to the next, a card does not: the mean of several
frames recognises and rejects better than one (``docs/training.md`` has the measurement). A track
is one card in one place. It is answered once, when it was seen in enough frames, and ends when the
card has been gone for some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.frames.finder import CardShape, Outline, find_alternatives
from edge.frames.quadrangles import overlap
from edge.frames.recognising import CardRecogniser, SeenCard, best_answer
from edge.frames.rectifying import rectified
from recognition.recogniser import Recognition

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]


class FramesRecogniser(CardRecogniser, Protocol):
    """Names a card from several images of it."""

    def recognise_frames(self, images: Sequence[Pixels]) -> Recognition:
        """Names the card of one or more uint8 RGB (h, w, 3)."""
        ...


@dataclass(frozen=True)
class Tracking:
    """When a card is answered and forgotten.

    Attributes:
        frames: Frames of a card that are averaged before it is answered.
        gone: Frames without a card after which it has left.
        same: Overlap (intersection over union) from which an outline is that of the frame before.
        alike: Difference of two pictures (:func:`difference`) up to which they show one card: of
            rendered sequences one card's differ by 1 to 16, two cards' by 23 to 34.
    """

    frames: int = 5
    gone: int = 4
    same: float = 0.3
    alike: float = 19.0


@dataclass(eq=False)
class Track:
    """One card that is being followed."""

    corners: Doubles
    upright: Doubles
    pictures: list[Pixels]
    outline_score: float
    missing: int = 0
    answer: SeenCard | None = None
    seen: int = field(default=1)


@dataclass(frozen=True)
class Change:
    """What a frame has changed.

    Attributes:
        answered: Cards whose answer is ready since this frame.
        empty: No card has been seen for long enough, since this frame.
    """

    answered: tuple[SeenCard, ...]
    empty: bool


class Tracker:
    """Takes frames one by one."""

    def __init__(
        self, shape: CardShape | None = None, tracking: Tracking | None = None, most: int = 4
    ) -> None:
        self._shape, self._most = shape, most
        self._tracking = tracking or Tracking()
        self._tracks: list[Track] = []
        self._blank, self._told_empty = 0, False

    def add(self, frame: Pixels, recogniser: FramesRecogniser) -> Change:
        """Looks at the next frame.

        Args:
            frame: uint8 RGB (h, w, 3).
            recogniser: Of the current release, which may be another than for the frame before.

        Raises:
            RecogniserError: No such image.
        """
        settings = self._tracking
        left = list(self._tracks)
        for outlines in find_alternatives(frame, self._shape, most=self._most, alternatives=2):
            track = self._matching(frame, outlines[0], left, recogniser.contract.size)
            if track is None:
                self._begin(frame, outlines, recogniser)
            else:
                left.remove(track)
        for track in left:
            track.missing += 1
        self._tracks = [track for track in self._tracks if track.missing < settings.gone]
        answered = []
        for track in self._tracks:
            # Of another release the pictures have another size: they begin anew.
            track.pictures = [
                each for each in track.pictures if each.shape == track.pictures[-1].shape
            ]
            if track.answer is None and len(track.pictures) >= settings.frames:
                track.answer = answer(track, recogniser)
                answered.append(track.answer)
        self._blank = 0 if self._tracks else self._blank + 1
        empty = self._blank >= 1 and not self._told_empty
        self._told_empty = self._blank >= 1
        return Change(tuple(answered), empty)

    def _begin(self, frame: Pixels, outlines: list[Outline], recogniser: FramesRecogniser) -> None:
        # Of the first frame both ways up and both outlines are tried; later ones follow it.
        first = best_answer(recogniser, frame, outlines)
        if first.corners is not None:
            self._tracks.append(
                Track(first.corners, first.corners, [first.picture], first.outline_score)
            )

    def _matching(
        self, frame: Pixels, outline: Outline, tracks: list[Track], size: int
    ) -> Track | None:
        """The track that an outline goes on with, which then has one picture more."""
        near = [
            track
            for track in tracks
            if overlap(track.corners, outline.corners) >= self._tracking.same
        ]
        for track in sorted(near, key=lambda each: -overlap(each.corners, outline.corners)):
            # The same way up as before: the order of the corners that has moved least.
            orders = [np.roll(outline.corners, k, axis=0) for k in range(4)]
            corners = min(orders, key=lambda each: float(np.abs(each - track.corners).sum()))
            picture = rectified(frame, corners, size)
            last = track.pictures[-1]
            if last.shape == picture.shape and difference(last, picture) > self._tracking.alike:
                continue  # another card was put where this one lay
            track.corners, track.missing = corners, 0
            track.seen += 1
            if track.answer is None:
                track.pictures.append(picture)
            else:
                track.pictures[-1] = picture
            return track
        return None


def answer(track: Track, recogniser: FramesRecogniser) -> SeenCard:
    """The answer for all pictures of a track."""
    found = recogniser.recognise_frames(track.pictures)
    return SeenCard(track.corners, track.outline_score, track.pictures[-1], found)


def difference(one: Pixels, other: Pixels) -> float:
    """Mean difference of two pictures' brightness in grey levels, once their means and contrasts
    are equal: light and exposure change, the card does not."""
    levels = []
    for picture in (one, other):
        grey = picture.astype(np.float32).mean(axis=2)
        # Coarse cells: an outline that is a pixel off moves fine print.
        step = max(1, grey.shape[0] // 16)
        cells = grey[: step * 16, : step * 16].reshape(16, step, 16, step).mean(axis=(1, 3))
        levels.append((cells - cells.mean()) / max(float(cells.std()), 4.0) * 50.0)
    return float(np.abs(levels[0] - levels[1]).mean())
