"""Which cards are printings of one artwork.

Two cards whose scans show the same print cannot be told apart by a picture, whatever their ids are.
A chain of such pairs is one artwork, named by its first card id.
"""

from __future__ import annotations

from collections.abc import Iterable

from recognition.card_sets.pack import AnySet
from recognition.card_sets.same_print_pairs import same_print_pairs
from registry.contract import Contract


def artworks_of(cards: AnySet, contract: Contract, threads: int = 2) -> dict[str, str]:
    """By card id the name of its artwork, of cards that share theirs.

    Args:
        cards: The cards; all of their scans are compared.
        contract: Scans are compared at twice its size.
        threads: Scans that are alike are compared in parallel.
    """
    found = same_print_pairs(cards, cards.card_ids, contract, threads)
    return grouped((pair.one, pair.other) for pair in found)


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By card id the first id of all that pairs connect it with; cards of no pair are left out.

    Args:
        pairs: Of card ids, in any order.
    """
    first: dict[str, str] = {}

    def top(card_id: str) -> str:
        while first.setdefault(card_id, card_id) != card_id:
            card_id = first[card_id]
        return card_id

    for one, other in pairs:
        low, high = sorted((top(one), top(other)))
        first[high] = low
    return {card_id: top(card_id) for card_id in sorted(first)}
