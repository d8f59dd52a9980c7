"""What the page is told: the cards in a photograph, and which release has named them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frames.finder import CardShape
from edge.frames.recognising import SeenCard, recognise_frame
from recognition.card_sets.scan import decode_image
from recognition.recogniser import Recogniser

Pixels = NDArray[np.uint8]
Answer = TypeVar("Answer")


class Guarded(Protocol):
    """The current release's recogniser: :class:`edge.guarded_recogniser.GuardedRecogniser`."""

    def refresh(self) -> bool:
        """Takes the current release where an update has changed it."""
        ...

    def guarded(self, work: Callable[[Recogniser], Answer]) -> Answer:
        """Runs something with the recogniser."""
        ...


def answer_photograph(
    recogniser: Guarded, content: bytes, shape: CardShape | None = None
) -> dict[str, Any]:
    """The cards in an image file, as the page shows them.

    Args:
        recogniser: Of the current release, which is looked up again first.
        content: The file's bytes, not trusted.
        shape: Of the cards.

    Raises:
        ScanError: No image that can be read.
    """
    image = decode_image(content)
    recogniser.refresh()

    def work(loaded: Recogniser) -> dict[str, Any]:
        seen = recognise_frame(loaded, image, shape, whole_image=True)
        return {
            "release": loaded.release,
            "compared_with": len(set(loaded.index.card_ids)),
            "cards": [_shown(card) for card in seen],
        }

    return recogniser.guarded(work)


def _shown(card: SeenCard) -> dict[str, Any]:
    return {**card.to_dict(), "picture": _data_address(card.picture)}


def _data_address(picture: Pixels) -> str:
    """A picture as a ``data:`` address, in a trading card's proportion."""
    side = len(picture)
    shown = cv2.resize(picture, (round(side * 63 / 88), side), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
