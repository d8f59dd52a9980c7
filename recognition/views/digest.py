"""Telling rendered views from others: another OpenCV may render other pixels.

The digest is made of each card's digest, so that several processes, or one with little memory,
can make it of parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from recognition.card_sets.card_set import Card


def card_digest(views: NDArray[np.uint8]) -> str:
    """SHA-256 (hex) of one card's views, uint8 (n, S, S, 3), in the order of their numbers."""
    return hashlib.sha256(np.ascontiguousarray(views).data).hexdigest()


def scans_digest(cards: Iterable[Card]) -> str:
    """SHA-256 (hex) over the ids of cards and the file digests of every scan of each.

    Args:
        cards: Cards, in the order of their ids.
    """
    lines = (f"{card.card_id} {' '.join(sorted(card.digests))}\n" for card in cards)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def views_digest(cards: Iterable[str]) -> str:
    """SHA-256 (hex) over :func:`card_digest` of each card, in the cards' order."""
    return hashlib.sha256("\n".join(cards).encode()).hexdigest()
