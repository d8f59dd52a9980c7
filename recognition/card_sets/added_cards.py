"""Cards that are added to a card set: what is new, what is refused, and the set with them.

A set that a model was trained and measured with may grow, and nothing in it may change: its scans
are rows of an index, and its views are what figures were measured on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recognition.card_sets.card_checks import NEAR, SamePrintPair, distances, thumbnail
from recognition.card_sets.card_set import CardSet, CardSetError, ListedCards, digest_of
from recognition.card_sets.pack import AnySet
from recognition.card_sets.same_print import compare_prints
from recognition.card_sets.scan import Scan
from registry.contract import Contract

#: Card ids that a message names.
_NAMED = 5
#: Cards whose scans are in memory at a time.
_GROUP = 256
#: So many of the nearest other cards' scans are looked at closely.
_LOOKED_AT = 3


@dataclass(frozen=True)
class AddedCards:
    """What of a folder is new to a card set.

    Attributes:
        new: Ids that the set does not have.
        present: Ids that the set has with the very same scans.
    """

    new: tuple[str, ...]
    present: tuple[str, ...]


def compare(old: ListedCards, given: ListedCards) -> AddedCards:
    """Says which cards are new.

    Args:
        old: The set that is to grow.
        given: The cards to add; cards of the old set may be among them, unchanged.

    Raises:
        CardSetError: A card of the old set has other scans here, or an id differs from one of the
            old set, or from another, in upper and lower case alone; names them.
    """
    scans = {card.card_id: sorted(card.digests) for card in old.cards}
    present = [card for card in given.cards if card.card_id in scans]
    changed = [c.card_id for c in present if sorted(c.digests) != scans[c.card_id]]
    if changed:
        raise CardSetError(
            f"{_some(changed)} in the card set already, with other scans: added cards may not "
            "change or remove what a model was measured with; give each a new id, or leave it out"
        )
    new = tuple(card.card_id for card in given.cards if card.card_id not in scans)
    spelled = {card_id.casefold(): card_id for card_id in scans}
    for card_id in new:
        other = spelled.setdefault(card_id.casefold(), card_id)
        if other != card_id:
            raise CardSetError(
                f"{card_id}: differs from {other} in upper and lower case alone, which is one "
                "folder on some machines; give it another id"
            )
    return AddedCards(new, tuple(card.card_id for card in present))


def merged(old: CardSet, given: CardSet, added: AddedCards) -> CardSet:
    """The set with the new cards; every scan stays where it is."""
    cards = (*old.cards, *given.only(added.new).cards)
    pairs = ((card.card_id, digest) for card in cards for digest in card.digests)
    return replace(
        old,
        cards=tuple(sorted(cards, key=lambda card: card.card_id)),
        digest=digest_of(pairs),
    )


def twins_of_added(
    cards: AnySet, added: AddedCards, contract: Contract, threads: int = 2
) -> tuple[SamePrintPair, ...]:
    """Pairs of a new card and another one whose scans show the same print.

    As ``cards data prepare`` finds them (:mod:`recognition.card_sets.card_checks`), among the new
    cards and between them and the others only.

    Args:
        cards: The set with the new cards.
        added: Which are new.
        contract: Scans are compared at twice its size.
        threads: Scans that are alike are looked at in parallel.
    """
    small, ids = _thumbnails(cards, contract)
    new = np.isin(ids, added.new)
    candidates = list(_candidates(small, ids, np.flatnonzero(new)))
    scan = _scan_reader(cards, ids, contract)

    def compared(candidate: tuple[int, int, float]) -> SamePrintPair | None:
        row, other, distance = candidate
        one, two = (row, other) if ids[row] < ids[other] else (other, row)
        found = compare_prints(scan(one), scan(two))
        if not found.same_print:
            return None
        return SamePrintPair(str(ids[one]), str(ids[two]), distance, found.agreement, (one, two))

    pairs: dict[tuple[str, str], SamePrintPair] = {}
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for pair in pool.map(compared, candidates):
            if pair is not None:
                known = pairs.setdefault((pair.one, pair.other), pair)
                pairs[pair.one, pair.other] = min(known, pair, key=lambda each: each.distance)
    return tuple(sorted(pairs.values(), key=lambda pair: (pair.distance, pair.one, pair.other)))


def _thumbnails(cards: AnySet, contract: Contract) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """float32 (scans, 768), and the card id of each row."""
    rows, ids = list[NDArray[np.float32]](), list[str]()
    for start in range(0, len(cards.cards), _GROUP):
        part = cards.only(cards.card_ids[start : start + _GROUP])
        scans, names = part.all_scans(contract, scale=2)
        rows += [thumbnail(scans[row]) for row in range(len(scans))]
        ids += names
    return np.stack(rows), np.asarray(ids)


def _candidates(
    small: NDArray[np.float32], ids: NDArray[np.str_], chosen: NDArray[np.int64]
) -> Iterator[tuple[int, int, float]]:
    """(row, row of another card, distance) of the few nearest ones of each chosen row."""
    for start in range(0, len(chosen), _GROUP):
        part = chosen[start : start + _GROUP]
        for row, line in zip(part, distances(small[part], small), strict=True):
            others = np.where(ids == ids[row], np.inf, line)
            near = np.flatnonzero(others < NEAR)
            for at in near[np.argsort(others[near], kind="stable")[:_LOOKED_AT]]:
                yield int(row), int(at), float(others[at])


def _scan_reader(cards: AnySet, ids: NDArray[np.str_], contract: Contract) -> Callable[[int], Scan]:
    def read(row: int) -> Scan:
        card_id = str(ids[row])
        scans, _ = cards.only([card_id]).all_scans(contract, scale=2)
        return np.asarray(scans[row - int(np.argmax(ids == card_id))])

    return read


def _some(card_ids: list[str]) -> str:
    named = ", ".join(card_ids[:_NAMED])
    more = len(card_ids) - _NAMED
    rest = f" and {more} more" if more > 0 else ""
    return f"{named}{rest}: {'are' if len(card_ids) > 1 else 'is'}"
