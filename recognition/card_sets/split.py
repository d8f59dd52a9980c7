"""Which cards are trained on, and which are held out: by hash, so that adding cards moves none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from recognition.card_sets.card_set import CardSetError

FEWEST_CARDS_TO_SPLIT = 8
UNSEEN_SHARE = 0.05


@dataclass(frozen=True)
class Split:
    """Which cards are trained on, and which no training and no gallery ever sees."""

    known: tuple[str, ...]
    unseen_validation: tuple[str, ...]
    unseen_test: tuple[str, ...]

    def to_dict(self) -> dict[str, list[str]]:
        """The form of ``split.json``."""
        return {
            "known": list(self.known),
            "unseen_validation": list(self.unseen_validation),
            "unseen_test": list(self.unseen_test),
        }


def split_cards(
    card_ids: Sequence[str],
    seed: int,
    share: float = UNSEEN_SHARE,
    validation_share: float | None = None,
) -> Split:
    """Holds out about a share of the cards for validation and one for test, by hash.

    A card's part follows from the seed and its own id, so adding cards moves none. Only where a
    set is so small that the hash leaves a part empty does the card with the lowest hash fill it
    (such a card goes back when the set grows).

    Args:
        card_ids: Of the whole set.
        seed: Another seed, another split.
        share: Of the cards, for test.
        validation_share: Of the cards, for validation; None for as many as for test.

    Raises:
        CardSetError: Fewer than 8 distinct cards: nothing could be held out.
    """
    first = share if validation_share is None else validation_share
    ids = sorted(set(card_ids))
    if len(ids) < FEWEST_CARDS_TO_SPLIT:
        raise CardSetError(
            f"{len(ids)} cards cannot be split: add cards until there are at least "
            f"{FEWEST_CARDS_TO_SPLIT}, so that some can be held out"
        )
    place = {card_id: _unit_hash(f"split|{seed}|{card_id}") for card_id in ids}
    validation = {card_id for card_id in ids if place[card_id] < first}
    test = {card_id for card_id in ids if first <= place[card_id] < first + share}
    for part in (validation, test):
        if not part:
            part.add(min(set(ids) - validation - test, key=place.__getitem__))
    held = validation | test
    if len(held) * 2 > len(ids):
        # A tiny set may by chance hash mostly into the held-out parts; keep the lowest of each.
        validation = {min(validation, key=place.__getitem__)}
        test = {min(test, key=place.__getitem__)}
        held = validation | test
    known = tuple(card_id for card_id in ids if card_id not in held)
    return Split(known, tuple(sorted(validation)), tuple(sorted(test)))


def _unit_hash(text: str) -> float:
    """A number in [0, 1) that depends on the text alone, on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56
