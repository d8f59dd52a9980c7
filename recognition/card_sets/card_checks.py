"""Checks of a card set before anything is trained on it.

Scans are compared as small colour pictures: 16 × 16 averages, each picture less its own mean
brightness, so that two scanners' exposures do not make two cards of one. Distances are root mean
squares over those 768 numbers, in grey levels of 0 to 255.

The nearest two of 676 real playing-card designs lie 5.3 grey levels apart, the nearest two of
1,000 drawn cards 13.1 (the medians: 15 and 29). A saved copy of a scan lies below 2 from it, a
second scan of the card, made as `recognition.card_sets.same_print` says, up to 14. So a distance
alone does not tell a second scan from another card: it says which pairs are looked at closely, and
`same_print` says which of them are one print. As the first look it finds every second scan: of 85
made among the 676 designs the right one was the nearest every time, with a 64-bit perceptual hash
of the brightness 71 % of the time (93 % among the nearest five).

Everything here is reported, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.card_sets.pack import PackedSet
from recognition.card_sets.same_print import PrintComparison, compare_prints
from registry.contract import Contract
from registry.untrusted.text import printable

#: Scans nearer than this are looked at closely: second scans of one card are.
NEAR = 16.0
#: So many of the nearest other cards' scans are looked at.
_LOOKED_AT = 3
_SIDE = 16
_CHUNK = 512


@dataclass(frozen=True)
class SamePrintPair:
    """Two cards with scans of the same print.

    Attributes:
        one: A card's id.
        other: Another's.
        distance: In grey levels.
        agreement: Of the squares that agree least, -1 to 1.
        rows: Of the two scans, among all of the set's.
    """

    one: str
    other: str
    distance: float
    agreement: float
    rows: tuple[int, int]


@dataclass(frozen=True)
class MisfiledScan:
    """A scan that looks more like another card than like its own.

    Attributes:
        card_id: Whose folder it is in.
        scan: Its file name.
        nearer: The other card.
        own_distance: To the nearest other scan of its card, in grey levels.
        distance: To the nearest scan of the other card.
        rows: Of the two scans, among all of the set's.
    """

    card_id: str
    scan: str
    nearer: str
    own_distance: float
    distance: float
    rows: tuple[int, int]


@dataclass(frozen=True)
class CardSetFindings:
    """What is suspicious about a card set that can be used."""

    alike: tuple[SamePrintPair, ...]
    strays: tuple[MisfiledScan, ...]
    misnamed: tuple[tuple[str, str, str], ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def __bool__(self) -> bool:
        return any((self.alike, self.strays, self.misnamed, self.missing, self.unexpected))


def examine(
    cards: PackedSet, expected: Sequence[str] | None = None, threads: int = 2
) -> CardSetFindings:
    """Compares every scan with every other.

    Args:
        cards: A packed set; its pixels are read once, and those of scans that are alike again.
        expected: Ids of the cards that should be there; None where that is not known.
        threads: Scans that are alike are looked at in parallel.
    """
    contract = Contract(size=cards.side // 2)
    rows, ids = cards.all_scans(contract, scale=2)
    names = [printable(scan.name) for card in cards.cards for scan in card.scans]
    digests = [digest for card in cards.cards for digest in card.digests]
    small = np.stack([thumbnail(rows[row]) for row in range(len(rows))])
    candidates, strays = _compare(small, ids, names)

    def compared(pair: tuple[int, int]) -> PrintComparison:
        one, other = pair
        if digests[one] == digests[other]:
            return PrintComparison(1.0, 0.0)
        return compare_prints(rows[one], rows[other])

    # A scan that is far from its own card's is misfiled; its two cards are not one.
    misfiled = {stray.rows[0] for stray in strays if stray.own_distance > NEAR}
    twins = _twins(candidates, ids, compared, threads)
    there = set(cards.card_ids)
    wanted = there if expected is None else set(expected)
    return CardSetFindings(
        alike=tuple(pair for pair in twins if not misfiled & set(pair.rows)),
        strays=strays,
        misnamed=tuple(_misnamed(cards)),
        missing=tuple(sorted(wanted - there)),
        unexpected=tuple(sorted(there - wanted)),
    )


def thumbnail(scan: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(768,) float32: what of a scan is compared."""
    small = cv2.resize(scan, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray((small - small.mean()).ravel(), dtype=np.float32)


def _compare(
    small: NDArray[np.float32], ids: Sequence[str], names: Sequence[str]
) -> tuple[dict[int, list[tuple[float, int]]], tuple[MisfiledScan, ...]]:
    """For each row the few near rows of other cards, (distance, row), nearest first; the strays."""
    numbers = np.unique(np.asarray(ids), return_inverse=True)[1]
    several = np.bincount(numbers)[numbers] > 1
    candidates: dict[int, list[tuple[float, int]]] = {}
    strays: dict[int, tuple[MisfiledScan, int]] = {}
    for start in range(0, len(small), _CHUNK):
        between = distances(small[start : start + _CHUNK], small)
        for offset, line in enumerate(between):
            row = start + offset
            same = numbers == numbers[row]
            others = np.where(same, np.inf, line)
            near = np.flatnonzero(others < NEAR)
            if len(near):
                order = np.argsort(others[near], kind="stable")[:_LOOKED_AT]
                candidates[row] = [(float(others[index]), int(index)) for index in near[order]]
            if several[row]:
                own = np.where(same, line, np.inf)
                own[row] = np.inf
                mate, nearest = int(own.argmin()), int(others.argmin())
                if others[nearest] < own[mate]:
                    far, close = float(own[mate]), float(others[nearest])
                    stray = MisfiledScan(
                        ids[row], names[row], ids[nearest], far, close, (row, nearest)
                    )
                    strays[row] = (stray, mate)
    # Of two scans of a card that are unlike, both may be nearer to others: the worse one is meant.
    meant = [
        stray
        for stray, mate in strays.values()
        if mate not in strays or stray.distance <= strays[mate][0].distance
    ]
    return candidates, tuple(sorted(meant, key=lambda s: (s.distance / s.own_distance, s.rows)))


def _twins(
    candidates: dict[int, list[tuple[float, int]]],
    ids: Sequence[str],
    compared: Callable[[tuple[int, int]], PrintComparison],
    threads: int,
) -> tuple[SamePrintPair, ...]:
    """The pairs of cards with the same print, at most one for each scan, most alike first."""

    def first_twin(row: int) -> SamePrintPair | None:
        for distance, near in candidates[row]:
            one, other = (row, near) if ids[row] < ids[near] else (near, row)
            found = compared((one, other))
            if found.same_print:
                return SamePrintPair(ids[one], ids[other], distance, found.agreement, (one, other))
        return None

    pairs: dict[tuple[str, str], SamePrintPair] = {}
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for pair in pool.map(first_twin, candidates):
            if pair is not None:
                known = pairs.setdefault((pair.one, pair.other), pair)
                pairs[pair.one, pair.other] = min(known, pair, key=lambda each: each.distance)
    return tuple(sorted(pairs.values(), key=lambda pair: (pair.distance, pair.one, pair.other)))


def distances(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, M): how far each row of :func:`thumbnail` is from each other one, in grey levels."""
    squares = (
        (one.astype(np.float64) ** 2).sum(axis=1)[:, None]
        + (other.astype(np.float64) ** 2).sum(axis=1)
        - 2 * one.astype(np.float64) @ other.T.astype(np.float64)
    )
    return np.asarray(np.sqrt(np.maximum(squares, 0) / one.shape[1]))


def _misnamed(cards: PackedSet) -> Iterator[tuple[str, str, str]]:
    """(card, scan, the other card that its name begins with), as in ``base1-1_Alakazam.png``."""
    there = set(cards.card_ids)
    for card in cards.cards:
        for scan in card.scans:
            parts = scan.stem.split("_")
            heads = ["_".join(parts[:end]) for end in range(len(parts), 0, -1)]
            # The longest counts: an id may have an underscore itself.
            named = next((head for head in heads if head in there), card.card_id)
            if named != card.card_id and card.card_id not in heads:
                yield card.card_id, printable(scan.name), named
