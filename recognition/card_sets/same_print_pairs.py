"""Pairs of cards whose scans show the same print, in a set of any size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from recognition.card_sets.card_checks import NEAR, SamePrintPair, distances, thumbnail
from recognition.card_sets.pack import AnySet
from recognition.card_sets.same_print import compare_prints
from recognition.card_sets.scan import Scan
from registry.contract import Contract

#: Cards whose scans are in memory at a time.
_GROUP = 256
#: So many of the nearest other cards' scans are looked at closely.
_LOOKED_AT = 3


def same_print_pairs(
    cards: AnySet, of: Collection[str], contract: Contract, threads: int = 2
) -> tuple[SamePrintPair, ...]:
    """Pairs of a card and another one whose scans show the same print.

    As ``cards data prepare`` finds them (:mod:`recognition.card_sets.card_checks`), with a group of
    scans in memory at a time.

    Args:
        cards: The set.
        of: Cards of which one at least must be in a pair.
        contract: Scans are compared at twice its size.
        threads: Scans that are alike are looked at in parallel.
    """
    small, ids = _thumbnails(cards, contract)
    chosen = np.flatnonzero(np.isin(ids, list(of)))
    candidates = list(_candidates(small, ids, chosen))
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
            for index in near[np.argsort(others[near], kind="stable")[:_LOOKED_AT]]:
                yield int(row), int(index), float(others[index])


def _scan_reader(cards: AnySet, ids: NDArray[np.str_], contract: Contract) -> Callable[[int], Scan]:
    def read(row: int) -> Scan:
        card_id = str(ids[row])
        scans, _ = cards.only([card_id]).all_scans(contract, scale=2)
        return np.asarray(scans[row - int(np.argmax(ids == card_id))])

    return read
