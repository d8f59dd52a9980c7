"""Drawn cards as a card set without files: strangers, by which thresholds are chosen.

Nobody trains on them and no index holds them, so they are unknown to every model. How well they
stand for the unknown cards of a set is measured with the set's own held-out cards.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from recognition.card_sets.card_set import Card, ListedCards
from recognition.card_sets.scan import Scan, stretch
from recognition.sample_cards.drawing import TWIN_EVERY, draw_card
from registry.contract import Contract

#: So many of the cards have views for several frames; the others have one each, for a view of
#: another card says more about a threshold than another view of one.
SEVERAL_VIEWS = 300
#: Another seed than any set of drawn cards that is trained on has: other cards throughout.
SEED = 1_700_000_017
_PREFIX = "drawn-stranger-"


@dataclass(frozen=True)
class DrawnSet(ListedCards):
    """Cards that are drawn when their scans are asked for; to its users what a ``CardSet`` is."""

    def first_scans(self, contract: Contract, scale: int = 1, threads: int = 2) -> Scan:
        """The scan of each card, uint8 RGB (cards, S, S, 3) with S = size * scale."""
        del threads  # drawing holds Python's lock
        side = contract.size * scale
        numbers = [int(card_id.removeprefix(_PREFIX)) for card_id in self.card_ids]
        if not numbers:
            return np.empty((0, side, side, 3), np.uint8)
        return np.stack([stretch(draw_card(number, SEED), side) for number in numbers])

    def all_scans(
        self, contract: Contract, scale: int = 1, threads: int = 2
    ) -> tuple[Scan, tuple[str, ...]]:
        """As :meth:`first_scans`, and the card id of each row."""
        return self.first_scans(contract, scale, threads), self.card_ids

    @classmethod
    def of(cls, count: int) -> Self:
        """So many cards, the same at every call."""
        # Without near-twins: two printings of one artwork are hardly two strangers.
        numbers = [place + place // (TWIN_EVERY - 1) for place in range(count)]
        ids = [f"{_PREFIX}{number:06d}" for number in numbers]
        digest = hashlib.sha256(f"drawn|{SEED}|{count}".encode()).hexdigest()
        return cls(tuple(Card(card_id, (Path(card_id),), ("",)) for card_id in ids), (), digest)


def views_of_strangers(count: int, frames: int) -> list[int]:
    """How many views each of so many drawn strangers has, in the order of their ids."""
    return [frames if place < SEVERAL_VIEWS else 1 for place in range(count)]
