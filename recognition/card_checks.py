"""What a card set should be asked before anything is trained on it.

Scans are compared as small colour pictures: 16 × 16 averages, each picture less its own mean
brightness, so that two scanners' exposures do not make two cards of one. Distances are root mean
squares over those 768 numbers, in grey levels of 0 to 255.

The nearest two of 676 real playing-card designs lie 5.3 grey levels apart, the nearest two of
1,000 drawn cards 13.1 (the medians: 15 and 29); the same scan at another size, exposure and JPEG
quality lies below 2 (`tests/recognition/test_card_checks.py`). Two prints that differ in a line of
text may still be nearer than that: a distance shows what is suspicious and decides nothing.
Everything here is reported, and kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.pack import PackedSet
from registry.contract import Contract

#: Two cards nearer than this may be one card under two ids.
ALIKE = 4.0
_SIDE = 16
_CHUNK = 512


@dataclass(frozen=True)
class Alike:
    """Two cards whose scans are nearly the same picture.

    Attributes:
        one: A card's id.
        other: Another's.
        distance: In grey levels.
        rows: Of the two scans, among all of the set's.
    """

    one: str
    other: str
    distance: float
    rows: tuple[int, int]


@dataclass(frozen=True)
class Stray:
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
class Findings:
    """What is suspicious about a card set that can be used."""

    alike: tuple[Alike, ...]
    strays: tuple[Stray, ...]
    misnamed: tuple[tuple[str, str, str], ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def __bool__(self) -> bool:
        return any((self.alike, self.strays, self.misnamed, self.missing, self.unexpected))


def examine(cards: PackedSet, expected: Sequence[str] | None = None) -> Findings:
    """Compares every scan with every other.

    Args:
        cards: A packed set; its pixels are read once.
        expected: Ids of the cards that should be there; None where nobody said.
    """
    contract = Contract(size=cards.side // 2)
    rows, ids = cards.all_scans(contract, scale=2)
    names = [scan.name for card in cards.cards for scan in card.scans]
    small = np.stack([thumbnail(rows[row]) for row in range(len(rows))])
    alike, strays = _compare(small, ids, names)
    there = set(cards.card_ids)
    wanted = there if expected is None else set(expected)
    return Findings(
        alike=alike,
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
) -> tuple[tuple[Alike, ...], tuple[Stray, ...]]:
    numbers = np.unique(np.asarray(ids), return_inverse=True)[1]
    several = np.bincount(numbers)[numbers] > 1
    pairs: dict[tuple[int, int], Alike] = {}
    strays = []
    for start in range(0, len(small), _CHUNK):
        distances = _distances(small[start : start + _CHUNK], small)
        for offset, line in enumerate(distances):
            row = start + offset
            same = numbers == numbers[row]
            others = np.where(same, np.inf, line)
            for near in np.flatnonzero(others < ALIKE).tolist():
                one, other = (row, near) if ids[row] < ids[near] else (near, row)
                pair = Alike(ids[one], ids[other], float(others[near]), (one, other))
                known = pairs.setdefault((numbers[one], numbers[other]), pair)
                if pair.distance < known.distance:
                    pairs[numbers[one], numbers[other]] = pair
            if several[row]:
                own = np.where(same, line, np.inf)
                own[row] = np.inf
                nearest = int(others.argmin())
                if others[nearest] < own.min():
                    far, close = float(own.min()), float(others[nearest])
                    strays.append(
                        Stray(ids[row], names[row], ids[nearest], far, close, (row, nearest))
                    )
    alike = sorted(pairs.values(), key=lambda pair: (pair.distance, pair.one))
    return tuple(alike), tuple(strays)


def _distances(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
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
            head = re.split(r"_", scan.stem, maxsplit=1)[0]
            if head != card.card_id and head in there:
                yield card.card_id, scan.name, head
