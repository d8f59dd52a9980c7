"""From a frame to answers: which cards lie where in it, and which way up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.frames.finder import CardShape, Outline, find_alternatives
from edge.frames.quadrangles import shared_area, signed_areas
from edge.frames.rectifying import rectified, turned
from recognition.recogniser import Recognition
from registry.contract import Contract

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]

#: Outlines of one place that are tried: a card's own, and a sleeve's or a printed frame's.
ALTERNATIVES = 2


class CardRecogniser(Protocol):
    """What names a card that fills an image: :class:`recognition.recogniser.Recogniser`."""

    contract: Contract

    def recognise(self, image: Pixels) -> Recognition:
        """Names the card in uint8 RGB (h, w, 3)."""
        ...


@dataclass(frozen=True)
class SeenCard:
    """A card in a frame, and its answer.

    Attributes:
        corners: float64 (4, 2), x and y in the frame's pixels: top left, top right, bottom right
            and bottom left of the upright card; None where the image shows the card alone.
        outline_score: How well the outline is seen, 0 to 1.
        picture: The straightened card, uint8 RGB (size, size, 3).
        recognition: Its answer.
    """

    corners: Doubles | None
    outline_score: float
    picture: Pixels
    recognition: Recognition

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the picture."""
        corners = None if self.corners is None else np.round(self.corners, 2).tolist()
        return {
            **self.recognition.to_dict(),
            "corners": corners,
            "outline_score": round(self.outline_score, 4),
        }


def recognise_frame(
    recogniser: CardRecogniser,
    frame: Pixels,
    shape: CardShape | None = None,
    *,
    most: int = 4,
    whole_image: bool = False,
) -> list[SeenCard]:
    """Names the cards in a frame.

    Args:
        recogniser: A release's.
        frame: uint8 RGB (h, w, 3).
        shape: Of the cards.
        most: Cards at most.
        whole_image: Where no outline is found or none is known, look whether the image shows one
            card that fills it, as scans and cropped photographs do.

    Returns:
        Cards, known ones first; empty where no card is seen. A card that the release does not know
        is among them, without a ``card_id``.

    Raises:
        RecogniserError: No such image.
    """
    seen: list[SeenCard] = []
    for outlines in find_alternatives(frame, shape, most=most, alternatives=ALTERNATIVES):
        # Print on a known card may look like a smaller card.
        if any(_covers(card, outlines[0]) for card in seen):
            continue
        seen.append(best_answer(recogniser, frame, outlines))
    seen.sort(key=lambda card: card.recognition.card_id is None)
    if whole_image and not any(card.recognition.card_id for card in seen):
        whole = recognise_framed(recogniser, frame)
        if whole[0].recognition.card_id is not None:
            return whole
    return seen


def recognise_framed(recogniser: CardRecogniser, image: Pixels) -> list[SeenCard]:
    """Names the one card that fills an image, uint8 RGB (h, w, 3), upright.

    Raises:
        RecogniserError: No such image.
    """
    answer = recogniser.recognise(image)
    height, width = image.shape[:2]
    edge = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    return [SeenCard(None, 1.0, rectified(image, edge, recogniser.contract.size), answer)]


def best_answer(recogniser: CardRecogniser, frame: Pixels, outlines: list[Outline]) -> SeenCard:
    """The answer for one place: the most similar of its outlines, each way up.

    An outline does not tell a card's top from its bottom. The first way up that is known well
    enough ends the search.
    """
    best: SeenCard | None = None
    for outline in outlines:
        square = rectified(frame, outline.corners, recogniser.contract.size)
        for half in (0, 2):
            picture = turned(square, half)
            answer = recogniser.recognise(picture)
            if best is None or answer.similarity > best.recognition.similarity:
                corners = np.roll(outline.corners, -half, axis=0)
                best = SeenCard(corners, outline.score, picture, answer)
        if best is not None and best.recognition.card_id is not None:
            break
    if best is None:
        raise ValueError("no outline was given")
    return best


def _covers(card: SeenCard, outline: Outline) -> bool:
    if card.corners is None or card.recognition.card_id is None:
        return False
    area = float(signed_areas(outline.corners[None])[0])
    return shared_area(card.corners, outline.corners) > 0.7 * area
