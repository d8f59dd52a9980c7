"""The reference index: one embedding a scan, searched by cosine.

Four files make an index: ``embeddings.npy`` (float32, rows of length 1), ``usearch.index`` (an
HNSW graph over them), ``index.json`` (row -> card id) and ``metadata.json``, which is written last
and holds the SHA-256 of the other three, so that a half-written or mixed index is refused. Where
cards are printings of one artwork, ``metadata.json`` names it under ``artworks``, by card id.

A loaded index may be larger than memory: its embeddings and its graph are checked a block at a time
and mapped, so that a search reads what it needs of them. Writing holds the graph alone.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

# ONNX Runtime must be loaded before usearch: the other way round the process crashes (both bring
# a C++ runtime of their own).
import onnxruntime  # noqa: F401
from numpy.typing import ArrayLike, NDArray
from usearch.index import Index

from recognition.atomic_files import atomic_file, write_atomically
from recognition.card_sets.card_set import CARD_ID
from recognition.file_digest import file_sha256
from recognition.search.gallery import l2_normalise

Floats = NDArray[np.float32]

EMBEDDINGS = "embeddings.npy"
GRAPH = "usearch.index"
ROWS = "index.json"
METADATA = "metadata.json"
FILES = (EMBEDDINGS, GRAPH, ROWS, METADATA)
#: Key of the metadata.
ARTWORKS = "artworks"

SCHEMA = 1
LARGEST_JSON_BYTES = 256 * 2**20
# Up to here one matrix product is exact and takes milliseconds; beyond it the graph finds the
# candidates and the product ranks them.
EXACT_ROWS = 20_000
#: Of the graph's vectors: a quarter of float32's size, and found as well, since the candidates are
#: ranked by their float32 rows (``docs/index.md``).
GRAPH_DTYPE = "i8"
CANDIDATES = 128
#: Of how many rows each further candidate is asked for: at a million 128 find 96 % of the right
#: rows, and 2,048 all of 500.
ROWS_A_CANDIDATE = 512
UNIT_TOLERANCE = 1e-3
#: Numbers of a block of rows: 4 MiB of float32.
BLOCK = 2**20


class IndexFileError(ValueError):
    """A reference index that cannot be trusted; the message names the file and what is wrong."""


def write_index(
    directory: Path,
    card_ids: Sequence[str],
    embeddings: ArrayLike,
    metadata: Mapping[str, Any] | None = None,
    artworks: Mapping[str, str] | None = None,
) -> None:
    """Writes the four files of an index; each appears whole, ``metadata.json`` last.

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
    clash = {*document, "graph", "sha256", ARTWORKS} & set(metadata or {})
    if clash:
        raise ValueError(f"index: metadata may not set {', '.join(sorted(clash))}")
    directory = Path(directory)
    graph = _write_rows(directory, rows)
    by_row = {str(row): card_id for row, card_id in enumerate(card_ids)}
    write_atomically(directory / ROWS, json.dumps(by_row, indent=0) + "\n")
    document |= {
        "graph": {"dtype": GRAPH_DTYPE, "connectivity": int(graph.connectivity)},
        "sha256": {name: file_sha256(directory / name) for name in (EMBEDDINGS, GRAPH, ROWS)},
        **(metadata or {}),
        **({ARTWORKS: dict(artworks)} if artworks else {}),
    }
    write_atomically(directory / METADATA, json.dumps(document, indent=2, sort_keys=True) + "\n")


def _write_rows(directory: Path, rows: Floats) -> Index:
    """Writes rows and graph, a block at a time; neither appears where a row has no direction."""
    graph = Index(ndim=rows.shape[1], metric="cos", dtype=GRAPH_DTYPE)
    header = {"descr": "<f4", "fortran_order": False, "shape": rows.shape}
    with atomic_file(directory / EMBEDDINGS) as partial:
        # Written, not mapped: where the disk is full a mapping kills the process without a message.
        with partial.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start, block in _blocks(rows):
                unit = l2_normalise(block)
                file.write(unit.tobytes())
                keys = np.arange(start, start + len(unit), dtype=np.uint64)
                # One thread, so that the same embeddings give the same file.
                graph.add(keys, unit, threads=1)
        with atomic_file(directory / GRAPH) as saved:
            graph.save(saved)
    return graph


class ReferenceIndex:
    """A loaded and checked index.

    Attributes:
        card_ids: Card id of each row.
        embeddings: float32 (rows, dimensions), rows of length 1; read-only, mapped from its file.
        metadata: The content of ``metadata.json``.
        artworks: By card id the name of its artwork, of cards that say so.
    """

    def __init__(
        self, card_ids: tuple[str, ...], embeddings: Floats, graph: Index, metadata: dict[str, Any]
    ) -> None:
        self.card_ids = card_ids
        self.embeddings = embeddings
        self.metadata = metadata
        self.artworks: dict[str, str] = metadata.get(ARTWORKS, {})
        self._graph = graph

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
    def load(cls, directory: Path) -> ReferenceIndex:
        """Checks that an index's files belong together, and maps them.

        What happens to a file in place after it was checked is not noticed: other values are
        believed, and where it was cut short the process dies. Replacing it, as
        :func:`write_index` does, is safe.

        Raises:
            IndexFileError: A file is missing, changed, of the wrong form, or does not fit.
        """
        directory = Path(directory)
        metadata = _json(_read(directory, METADATA, LARGEST_JSON_BYTES), METADATA)
        if metadata.get("schema") != SCHEMA:
            raise IndexFileError(
                f"{METADATA}: schema {metadata.get('schema')!r}, this code follows {SCHEMA}"
            )
        digests = metadata.get("sha256")
        if not isinstance(digests, dict):
            raise IndexFileError(f"{METADATA}: sha256 of the files is missing")
        for name in (EMBEDDINGS, GRAPH, ROWS):
            try:
                found = file_sha256(directory / name)
            except OSError as error:
                raise _unreadable(directory / name, error) from None
            if found != digests.get(name):
                raise IndexFileError(
                    f"{name}: not the file that {METADATA} describes (SHA-256 differs); "
                    "fetch or build the index again"
                )
        card_ids = _card_ids(_json(_read(directory, ROWS, None), ROWS))
        embeddings = _embeddings(directory / EMBEDDINGS)
        rows, dimensions = embeddings.shape
        if rows != len(card_ids):
            raise IndexFileError(f"{ROWS}: {len(card_ids)} rows, {EMBEDDINGS} has {rows}")
        for key, value in (("rows", rows), ("dimensions", dimensions)):
            if metadata.get(key) != value:
                raise IndexFileError(
                    f"{METADATA}: {key} is {metadata.get(key)!r}, the files have {value}"
                )
        _check_artworks(metadata.get(ARTWORKS, {}), card_ids)
        try:
            graph = Index.restore(directory / GRAPH, view=True)
        except Exception as error:
            raise IndexFileError(f"{GRAPH}: not a usearch index ({error})") from None
        if graph is None or len(graph) != rows or graph.ndim != dimensions:
            raise IndexFileError(f"{GRAPH}: does not hold {rows} rows of {dimensions} dimensions")
        return cls(card_ids, embeddings, graph, metadata)

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return int(self.embeddings.shape[1])

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
            found[card_id] = _cosine((self.embeddings[rows] @ vector).max())
        return found

    def _vector(self, query: ArrayLike) -> Floats:
        vector = np.asarray(query, dtype=np.float32)
        if vector.shape != (self.dimensions,):
            raise ValueError(f"query: shape {vector.shape}, the index has ({self.dimensions},)")
        return l2_normalise(vector)

    def search(
        self, query: ArrayLike, k: int = 5, *, exact: bool | None = None
    ) -> list[tuple[str, float]]:
        """The most similar cards, best first, each card once, with exact cosines.

        Args:
            query: (dimensions,); normalised here.
            k: Number of cards at most.
            exact: Compare with every row (True) or with the graph's candidates (False); by
                default every row up to 20,000 rows.

        Returns:
            Pairs of card id and cosine in [-1, 1], at most k of them.

        Raises:
            ValueError: The query does not fit or has no direction, or k is below 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        vector = self._vector(query)
        if exact is None:
            exact = len(self.embeddings) <= EXACT_ROWS
        if exact:
            return self._search_all(vector, k)
        wanted = max(CANDIDATES, 8 * k, len(self.embeddings) // ROWS_A_CANDIDATE)
        while wanted < 4 * len(self.embeddings):
            found = self._search_graph(vector, wanted)
            if len(found) >= k:
                return found[:k]
            wanted *= 4  # many scans of few cards: look further
        # Fewer cards than were asked for, or some that no link of the graph leads to.
        return self._search_all(vector, k)

    def _search_all(self, vector: Floats, k: int) -> list[tuple[str, float]]:
        by_card, starts = self._grouped
        best = np.maximum.reduceat((self.embeddings @ vector)[by_card], starts)
        # Stable, so that equal cosines come in the order of the card ids.
        order = np.argsort(-best, kind="stable")[:k]
        return [(self._cards[card], _cosine(best[card])) for card in order]

    def _search_graph(self, vector: Floats, wanted: int) -> list[tuple[str, float]]:
        count = min(wanted, len(self.embeddings))
        rows = np.asarray(self._graph.search(vector, count).keys, dtype=np.int64)
        best: dict[str, float] = {}
        for row, cosine in zip(rows, self.embeddings[rows] @ vector, strict=True):
            card_id = self.card_ids[row]
            best[card_id] = max(best.get(card_id, -1.0), _cosine(cosine))
        return sorted(best.items(), key=lambda item: (-item[1], item[0]))


def _cosine(value: np.float32) -> float:
    """A float that rounding has not carried beyond 1."""
    return max(-1.0, min(1.0, float(value)))


def _blocks(rows: Floats) -> Iterator[tuple[int, Floats]]:
    """Some rows at a time, with the number of the first."""
    step = max(1, BLOCK // rows.shape[1])
    for start in range(0, len(rows), step):
        yield start, rows[start : start + step]


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


def _embeddings(path: Path) -> Floats:
    try:
        # Only the header is read; an array of Python objects is refused.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise IndexFileError(f"{EMBEDDINGS}: not a NumPy array ({error})") from None
    if not isinstance(mapped, np.ndarray) or mapped.dtype != np.float32 or mapped.ndim != 2:
        raise IndexFileError(f"{EMBEDDINGS}: must be a float32 array of (rows, dimensions)")
    if not mapped.size:
        raise IndexFileError(f"{EMBEDDINGS}: empty")
    if not mapped.flags.c_contiguous:
        raise IndexFileError(f"{EMBEDDINGS}: must be stored row by row")
    values = mapped.view(np.ndarray)
    for start, block in _blocks(values):
        if not np.isfinite(block).all():
            raise IndexFileError(f"{EMBEDDINGS}: a value is not finite")
        lengths = np.linalg.norm(block, axis=1)
        worst = int(np.abs(lengths - 1).argmax())
        if abs(lengths[worst] - 1) > UNIT_TOLERANCE:
            raise IndexFileError(
                f"{EMBEDDINGS}: row {start + worst} has length {lengths[worst]:.4g}, not 1"
            )
    return values


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
