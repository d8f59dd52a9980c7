"""A card set decoded once: shards of pixels that training maps into memory.

Decoding 17,592 scans takes minutes of every core, again in every job and every process, and their
pixels (10.6 GB at twice 224 px) may be more than a machine has. A pack holds them as NumPy files of
about 256 MiB, which are mapped: rows are read when they are asked for, by the operating system's
page cache, and shared by all processes of a machine.

``pack.json`` is written last. A shard's name is made from what is in it, so a shard that is there
under its name is a shard that is done, and packing goes on where it was interrupted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recognition.card_sets.card_id import CARD_ID
from recognition.card_sets.card_set import (
    PROBLEM_KINDS,
    Card,
    CardSet,
    CardSetError,
    ListedCards,
    Problem,
    digest_of,
    read_card_set,
    read_licence,
)
from recognition.card_sets.pack_shard import map_shard
from recognition.card_sets.scan import Scan, stretch
from recognition.file_digest import file_sha256
from registry.contract import Contract
from registry.untrusted.text import printable

PACK = "pack.json"
FORMAT = 1
#: Scans are packed at this multiple of the network's input: camera views are rendered from it.
SCALE = 2
_LARGEST_INDEX = 256 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHARD = re.compile(r"scans-[0-9]{5}-[0-9a-f]{12}\.npy")


class PixelRows:
    """uint8 (rows, side, side, 3), read from mapped shards when rows are asked for.

    Args:
        shards: Mapped arrays, uint8 (n, packed side, packed side, 3).
        rows: Number of each row over all shards.
        side: Side of the squares that are wanted, at most the packed one.
    """

    def __init__(self, shards: Sequence[Scan], rows: Sequence[int], side: int) -> None:
        self._shards, self._side = shards, side
        self._rows = np.asarray(rows, dtype=np.int64)
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As an array's."""
        return len(self._rows), self._side, self._side, 3

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: Any) -> Scan:
        """One row (side, side, 3), or the rows of a slice or an array of numbers."""
        if isinstance(which, int | np.integer):
            return self._row(int(self._rows[which]))
        chosen = self._rows[which]
        found: Scan = np.empty((len(chosen), self._side, self._side, 3), np.uint8)
        for place, row in enumerate(chosen):
            found[place] = self._row(int(row))
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Scan:
        return self[:] if dtype is None else self[:].astype(dtype)

    def _row(self, row: int) -> Scan:
        shard = int(np.searchsorted(self._starts, row, side="right")) - 1
        pixels = self._shards[shard][row - self._starts[shard]]
        if pixels.shape[0] == self._side:
            return np.asarray(pixels)
        return stretch(np.ascontiguousarray(pixels), self._side)


@dataclass(frozen=True)
class PackedSet(ListedCards):
    """A packed card set; to its users what a ``CardSet`` is.

    Its scans' paths are names alone, and its digest is the card set's own, whatever it was packed
    from or at which size.

    Attributes:
        side: Of the packed squares, in pixels.
        files: What the pack consists of, its index last.
        sha256s: Of the shards, as the index has them.
    """

    side: int
    files: tuple[Path, ...]
    sha256s: tuple[str, ...]
    _shards: tuple[Scan, ...]
    _first: dict[str, int]

    @property
    def shard_rows(self) -> tuple[int, ...]:
        """How many scans each shard holds."""
        return tuple(map(len, self._shards))

    def first_row(self, card_id: str) -> int:
        """Where a card's scans begin, counted over all shards."""
        return self._first[card_id]

    def first_scans(self, contract: Contract, scale: int = 1, threads: int = 2) -> PixelRows:
        """The first scan of each card, uint8 (cards, S, S, 3) with S = size * scale."""
        del threads  # nothing is decoded
        rows = [self._first[card.card_id] for card in self.cards]
        return PixelRows(self._shards, rows, self._wanted(contract, scale))

    def all_scans(
        self, contract: Contract, scale: int = 1, threads: int = 2
    ) -> tuple[PixelRows, tuple[str, ...]]:
        """Every scan, uint8 (scans, S, S, 3), and the card id of each row."""
        del threads
        rows = [
            self._first[card.card_id] + place
            for card in self.cards
            for place in range(len(card.scans))
        ]
        ids = tuple(card.card_id for card in self.cards for _ in card.scans)
        return PixelRows(self._shards, rows, self._wanted(contract, scale)), ids

    def _wanted(self, contract: Contract, scale: int) -> int:
        side = contract.size * scale
        if side > self.side:
            raise CardSetError(
                f"the pack holds scans of {self.side} px and {side} are needed ({scale} times the "
                f"network's input of {contract.size}); prepare it anew: cards data prepare … "
                f"--size {pack_size(side)}"
            )
        return side


def pack_size(side: int) -> int:
    """The least size of a pack whose scans have at least this side: a multiple of 8."""
    return -(-side // (SCALE * 8)) * 8


AnySet = CardSet | PackedSet


def open_card_set(root: Path, contract: Contract) -> AnySet:
    """The card set of a folder, packed or not.

    Raises:
        CardSetError: Nothing in it can be used.
    """
    return open_pack(root) if (Path(root) / PACK).is_file() else read_card_set(root, contract)


def open_pack(root: Path) -> PackedSet:
    """Opens a pack, checking everything but the pixels.

    Raises:
        CardSetError: It is damaged, incomplete, or of another format; names what and the remedy.
    """
    root = Path(root)
    try:
        index = _read_index(root / PACK)
        side = int(index["side"])
        shards = tuple(_map_listed(root, entry, side) for entry in index["shards"])
        scans = [(str(a), str(b), str(c)) for a, b, c in index["scans"]]
        problems = tuple(_problem(*map(str, problem)) for problem in index["problems"])
        if sum(len(shard) for shard in shards) != len(scans) or not scans:
            raise ValueError("its shards hold another number of scans than it lists")
        for card_id, _, sha256 in scans:
            if not CARD_ID.fullmatch(card_id) or not _SHA256.fullmatch(sha256):
                raise ValueError(f"{card_id[:40]!r} is no card id, or its scan has no SHA-256")
        if digest_of((card_id, sha256) for card_id, _, sha256 in scans) != index["digest"]:
            raise ValueError("its digest is not that of the scans that it lists")
        cards: dict[str, list[int]] = {}
        for row, (card_id, _, _) in enumerate(scans):
            cards.setdefault(card_id, []).append(row)
        if any(rows[-1] - rows[0] >= len(rows) for rows in cards.values()):
            raise ValueError("the scans of one of its cards do not follow each other")
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        cause = f"has no {error}" if isinstance(error, KeyError) else error
        raise CardSetError(
            f"pack {root}: {cause}; make it anew: cards data prepare SOURCE --out {root.name}"
        ) from None
    licence, faults = read_licence(root)
    return PackedSet(
        cards=tuple(
            Card(
                card_id,
                tuple(Path(scans[row][1]) for row in rows),
                tuple(scans[row][2] for row in rows),
            )
            for card_id, rows in sorted(cards.items())
        ),
        problems=tuple(sorted((*problems, *faults), key=lambda problem: problem.subject)),
        digest=str(index["digest"]),
        licence=licence,
        side=side,
        files=(*(root / str(entry["name"]) for entry in index["shards"]), root / PACK),
        sha256s=tuple(str(entry["sha256"]) for entry in index["shards"]),
        _shards=shards,
        _first={card_id: rows[0] for card_id, rows in cards.items()},
    )


def verify_pack(packed: PackedSet) -> list[str]:
    """Names of the shards whose bytes are not those that were packed; reads all of them."""
    *shards, _ = packed.files
    pairs = zip(shards, packed.sha256s, strict=True)
    return [path.name for path, sha256 in pairs if file_sha256(path) != sha256]


def is_pack_index(path: Path) -> bool:
    """Whether a file is the index of a pack (:mod:`recognition.card_sets.pack_writing`)."""
    try:
        _read_index(path)
    except (OSError, ValueError, RecursionError):
        return False
    return True


def is_shard_name(name: str) -> bool:
    """Whether a file of this name is a pack's shard."""
    return _SHARD.fullmatch(name) is not None


def _read_index(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST_INDEX:
        raise ValueError(f"{PACK} is larger than {_LARGEST_INDEX // 2**20} MiB")
    index = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise ValueError(f"{PACK} is not of format {FORMAT}")
    if not isinstance(index.get("side"), int) or not 1 <= index["side"] <= 8192:
        raise ValueError("its side is no number of pixels")
    return index


def _map_listed(root: Path, entry: Any, side: int) -> Scan:
    name = str(entry["name"])
    if not _SHARD.fullmatch(name) or not _SHA256.fullmatch(str(entry["sha256"])):
        raise ValueError(f"{printable(name)[:60]!r} is no shard's name, or it has no SHA-256")
    return map_shard(root / name, int(entry["rows"]), side)


def _problem(subject: str, reason: str, kind: str) -> Problem:
    for known in PROBLEM_KINDS:
        if kind == known:
            return Problem(printable(subject), printable(reason), known)
    raise ValueError(f"{printable(kind)[:40]!r} is no kind of problem")
