"""The reference index: one embedding a scan, every one compared with a query, by cosine.

Three files make an index: ``embeddings.npy`` (8-bit integers,
:mod:`recognition.search.index_rows`), ``index.json`` (row -> card id) and ``metadata.json``, which
is written last and holds the format's version and the SHA-256 of the other two, so that a
half-written or mixed index is refused. Where cards are printings of one artwork, ``metadata.json``
names it under ``artworks``, by card id.

Format 1 is read, too: float32 rows, and a fourth file, a search graph that nothing needs any more.

A loaded index may be larger than memory: its embeddings are checked a block at a time and mapped.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recognition.atomic_files import atomic_file, write_atomically
from recognition.card_sets.card_id import CARD_ID
from recognition.file_digest import file_sha256
from recognition.search.gallery import l2_normalise
from recognition.search.index_rows import FloatRows, Int8Rows, Rows, RowsError, blocks, to_int8

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

EMBEDDINGS = "embeddings.npy"
ROWS = "index.json"
METADATA = "metadata.json"
FILES = (EMBEDDINGS, ROWS, METADATA)
#: Key of the metadata.
ARTWORKS = "artworks"

#: The format that is written, and all that are read, with the type of their rows.
SCHEMA = 2
FORMATS: dict[int, np.dtype[Any]] = {1: np.dtype(np.float32), SCHEMA: np.dtype(np.int8)}
LARGEST_JSON_BYTES = 256 * 2**20
#: Two float32 cosines of the same pair, computed in another order, differ by less.
ROUNDING = 1e-6


class IndexFileError(ValueError):
    """A reference index that cannot be trusted; the message names the file and what is wrong."""


def write_index(
    directory: Path,
    card_ids: Sequence[str],
    embeddings: ArrayLike,
    metadata: Mapping[str, Any] | None = None,
    artworks: Mapping[str, str] | None = None,
) -> None:
    """Writes the files of an index; each appears whole, ``metadata.json`` last.

    Args:
        directory: Made if it is missing.
        card_ids: Card id of each row; a card with several scans has several rows.
        embeddings: (rows, dimensions); normalised here.
        metadata: More to say in ``metadata.json``, JSON values only.
        artworks: By card id the name of the artwork that it is a printing of.

    Raises:
        ValueError: Rows and ids differ in number, no rows, a bad id, a row without direction, an
            artwork of a card that is not in the index, or metadata that would overwrite the
            index's own keys.
    """
    rows = np.asarray(embeddings, dtype=np.float32)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"index: expected (rows, dimensions), got shape {rows.shape}")
    if len(card_ids) != len(rows):
        raise ValueError(f"index: {len(rows)} embeddings but {len(card_ids)} card ids")
    for card_id in card_ids:
        if not CARD_ID.fullmatch(card_id):
            raise ValueError(f"index: {card_id!r} is not a card id")
    strange = set(artworks or {}) - set(card_ids)
    if strange:
        raise ValueError(f"index: an artwork of {min(strange)}, which is not in the index")
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "metric": "cosine",
        "rows": len(rows),
        "cards": len(set(card_ids)),
        "dimensions": int(rows.shape[1]),
    }
    clash = {*document, "sha256", ARTWORKS} & set(metadata or {})
    if clash:
        raise ValueError(f"index: metadata may not set {', '.join(sorted(clash))}")
    directory = Path(directory)
    _write_rows(directory / EMBEDDINGS, rows)
    by_row = {str(row): card_id for row, card_id in enumerate(card_ids)}
    write_atomically(directory / ROWS, json.dumps(by_row, indent=0) + "\n")
    document |= {
        "sha256": {name: file_sha256(directory / name) for name in (EMBEDDINGS, ROWS)},
        **(metadata or {}),
        **({ARTWORKS: dict(artworks)} if artworks else {}),
    }
    write_atomically(directory / METADATA, json.dumps(document, indent=2, sort_keys=True) + "\n")


def _write_rows(path: Path, rows: Floats) -> None:
    """Writes rows a block at a time; the file does not appear where a row has no direction."""
    header = {"descr": "|i1", "fortran_order": False, "shape": rows.shape}
    # Written, not mapped: where the disk is full a mapping kills the process without a message.
    with atomic_file(path) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for _, block in blocks(rows):
            file.write(to_int8(l2_normalise(block)).tobytes())


class ReferenceIndex:
    """A loaded and checked index.

    Attributes:
        card_ids: Card id of each row.
        rows: The embeddings, mapped from their file.
        metadata: The content of ``metadata.json``.
        artworks: By card id the name of its artwork, of cards that say so.
    """

    def __init__(self, card_ids: tuple[str, ...], rows: Rows, metadata: dict[str, Any]) -> None:
        self.card_ids = card_ids
        self.rows = rows
        self.metadata = metadata
        self.artworks: dict[str, str] = metadata.get(ARTWORKS, {})

    @cached_property
    def _cards(self) -> list[str]:
        return sorted(set(self.card_ids))

    @cached_property
    def _grouped(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows in the order of their cards, and where each card's begin."""
        place = {card_id: number for number, card_id in enumerate(self._cards)}
        of = np.fromiter(map(place.__getitem__, self.card_ids), np.int64, len(self.card_ids))
        by_card = np.argsort(of, kind="stable")
        return by_card, np.searchsorted(of[by_card], np.arange(len(place)))

    @classmethod
    def load(cls, directory: Path, known: Mapping[str, str] | None = None) -> ReferenceIndex:
        """Checks that an index's files belong together, and maps them.

        What happens to a file in place after it was checked is not noticed: other values are
        believed, and where it was cut short the process dies. Replacing it, as
        :func:`write_index` does, is safe.

        Args:
            directory: Where the files lie.
            known: SHA-256 of files that the caller has computed just now, by name.

        Raises:
            IndexFileError: A file is missing, changed, of the wrong form, or does not fit.
        """
        directory = Path(directory)
        metadata = _json(_read(directory, METADATA, LARGEST_JSON_BYTES), METADATA)
        schema = metadata.get("schema")
        if type(schema) is not int or schema not in FORMATS:
            raise IndexFileError(
                f"{METADATA}: schema {schema!r}, this code reads {' and '.join(map(str, FORMATS))}"
            )
        digests = metadata.get("sha256")
        if not isinstance(digests, dict):
            raise IndexFileError(f"{METADATA}: sha256 of the files is missing")
        for name in (EMBEDDINGS, ROWS):
            try:
                found = (known or {}).get(name) or file_sha256(directory / name)
            except OSError as error:
                raise _unreadable(directory / name, error) from None
            if found != digests.get(name):
                raise IndexFileError(
                    f"{name}: not the file that {METADATA} describes (SHA-256 differs); "
                    "fetch or build the index again"
                )
        card_ids = _card_ids(_json(_read(directory, ROWS, None), ROWS))
        rows = _rows(directory / EMBEDDINGS, FORMATS[schema])
        count, dimensions = rows.shape
        if count != len(card_ids):
            raise IndexFileError(f"{ROWS}: {len(card_ids)} rows, {EMBEDDINGS} has {count}")
        for key, value in (("rows", count), ("dimensions", dimensions)):
            if metadata.get(key) != value:
                raise IndexFileError(
                    f"{METADATA}: {key} is {metadata.get(key)!r}, the files have {value}"
                )
        _check_artworks(metadata.get(ARTWORKS, {}), card_ids)
        return cls(card_ids, rows, metadata)

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self.rows.shape[1]

    @cached_property
    def _by_artwork(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for card_id, name in sorted(self.artworks.items()):
            found.setdefault(name, []).append(card_id)
        return found

    def artwork(self, card_id: str) -> str:
        """What tells a card's artwork from others'; a card without one has its own."""
        named = self.artworks.get(card_id)
        return f"artwork {named}" if named is not None else f"card {card_id}"

    def printings(self, card_id: str) -> list[str]:
        """All cards of a card's artwork, itself among them, in the order of their ids."""
        named = self.artworks.get(card_id)
        return [card_id] if named is None else self._by_artwork[named]

    def cosines(self, query: ArrayLike, card_ids: Sequence[str]) -> dict[str, float]:
        """Exact cosine of some cards, each by its best row.

        Args:
            query: (dimensions,); normalised here.
            card_ids: Cards of the index.

        Raises:
            ValueError: A card that is not in the index, or as in :meth:`search`.
        """
        vector = self._vector(query)
        by_card, starts = self._grouped
        ends = [*starts[1:], len(by_card)]
        found = {}
        for card_id in card_ids:
            place = bisect_left(self._cards, card_id)
            if place == len(self._cards) or self._cards[place] != card_id:
                raise ValueError(f"card {card_id} is not in the index")
            rows = by_card[starts[place] : ends[place]]
            found[card_id] = _cosine(self.rows.cosines(rows, vector).max())
        return found

    def _vector(self, query: ArrayLike) -> Floats:
        vector = np.asarray(query, dtype=np.float32)
        if vector.shape != (self.dimensions,):
            raise ValueError(f"query: shape {vector.shape}, the index has ({self.dimensions},)")
        return l2_normalise(vector)

    def search(self, query: ArrayLike, k: int = 5) -> list[tuple[str, float]]:
        """The most similar cards, best first, each card once, with exact cosines.

        Every row is compared: by integers first, which may be wrong by a bound that is known; what
        the bound leaves open is compared exactly.

        Args:
            query: (dimensions,); normalised here.
            k: Number of cards at most.

        Returns:
            Pairs of card id and cosine in [-1, 1], at most k of them.

        Raises:
            ValueError: The query does not fit or has no direction, or k is below 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        vector = self._vector(query)
        by_card, starts = self._grouped
        scanned, error = self.rows.scan(vector)
        best = scanned[by_card]
        if len(starts) < len(by_card):
            best = np.maximum.reduceat(best, starts)
        if error:
            last = max(0, len(best) - k)
            bound = np.partition(best, last)[last] - 2 * (error + ROUNDING)
            cards = np.flatnonzero(best >= bound)
            best = self._best_of(cards, vector)
        else:
            cards = np.arange(len(best))
        # Stable, so that equal cosines come in the order of the card ids.
        order = np.argsort(-best, kind="stable")[:k]
        return [(self._cards[cards[place]], _cosine(best[place])) for place in order]

    def _best_of(self, cards: Numbers, vector: Floats) -> Floats:
        """The exact cosine of each of some cards, by its best row."""
        by_card, starts = self._grouped
        counts = np.append(starts[1:], len(by_card))[cards] - starts[cards]
        begins = np.cumsum(counts) - counts
        # The rows of one card after the other.
        within = np.arange(counts.sum()) - np.repeat(begins, counts)
        rows = by_card[np.repeat(starts[cards], counts) + within]
        found: Floats = np.maximum.reduceat(self.rows.cosines(rows, vector), begins)
        return found


def _cosine(value: np.float32) -> float:
    """A float that rounding has not carried beyond 1."""
    return max(-1.0, min(1.0, float(value)))


def _card_ids(document: dict[str, Any]) -> tuple[str, ...]:
    ids = []
    for row in range(len(document)):
        card_id = document.get(str(row))
        if not isinstance(card_id, str) or not CARD_ID.fullmatch(card_id):
            raise IndexFileError(f"{ROWS}: row {row} has no valid card id")
        ids.append(card_id)
    return tuple(ids)


def _check_artworks(artworks: Any, card_ids: tuple[str, ...]) -> None:
    if not isinstance(artworks, dict):
        raise IndexFileError(f"{METADATA}: {ARTWORKS} is not a JSON object")
    there = set(card_ids) if artworks else set()
    for card_id, name in artworks.items():
        if card_id not in there:
            raise IndexFileError(f"{METADATA}: {ARTWORKS} names a card that has no row")
        if not isinstance(name, str) or not CARD_ID.fullmatch(name):
            raise IndexFileError(f"{METADATA}: {ARTWORKS}: a name has not the form of a card id")


def _rows(path: Path, dtype: np.dtype[Any]) -> Rows:
    try:
        # Only the header is read; an array of Python objects is refused.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise IndexFileError(f"{EMBEDDINGS}: not a NumPy array ({error})") from None
    if not isinstance(mapped, np.ndarray) or mapped.dtype != dtype or mapped.ndim != 2:
        raise IndexFileError(f"{EMBEDDINGS}: must be a {dtype.name} array of (rows, dimensions)")
    if not mapped.size:
        raise IndexFileError(f"{EMBEDDINGS}: empty")
    if not mapped.flags.c_contiguous:
        raise IndexFileError(f"{EMBEDDINGS}: must be stored row by row")
    values = mapped.view(np.ndarray)
    try:
        return FloatRows(values) if dtype == np.float32 else Int8Rows(values)
    except RowsError as error:
        raise IndexFileError(f"{EMBEDDINGS}: {error}") from None


def _read(directory: Path, name: str, limit: int | None) -> bytes:
    path = directory / name
    try:
        if limit is not None and path.stat().st_size > limit:
            raise IndexFileError(f"{path}: larger than {limit // 2**20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> IndexFileError:
    return IndexFileError(f"{path}: cannot be read ({error.strerror or error})")


def _json(body: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise IndexFileError(f"{name}: not JSON") from None
    if not isinstance(document, dict):
        raise IndexFileError(f"{name}: not a JSON object")
    return document
