"""The reference index: one embedding a scan, searched by cosine.

Four files make an index: ``embeddings.npy`` (float32, rows of length 1), ``usearch.index`` (an
HNSW graph over them), ``index.json`` (row -> card id) and ``metadata.json``, which is written last
and holds the SHA-256 of the other three, so that a half-written or mixed index is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# ONNX Runtime must be loaded before usearch: the other way round the process crashes (both bring
# a C++ runtime of their own).
import onnxruntime  # noqa: F401
from numpy.typing import ArrayLike, NDArray
from usearch.index import Index

from recognition.cardset import CARD_ID
from recognition.retrieval import l2_normalise
from recognition.whole_files import write_whole

Floats = NDArray[np.float32]

EMBEDDINGS = "embeddings.npy"
GRAPH = "usearch.index"
ROWS = "index.json"
METADATA = "metadata.json"
FILES = (EMBEDDINGS, GRAPH, ROWS, METADATA)

SCHEMA = 1
LARGEST_JSON_BYTES = 256 * 2**20
# Up to here one matrix product is exact and takes milliseconds; beyond it the graph finds the
# candidates and the product ranks them.
EXACT_ROWS = 20_000
#: Of the graph's vectors: a quarter of float32's size, and found as well, since the candidates are
#: ranked by their float32 rows (``docs/index.md``).
GRAPH_DTYPE = "i8"
CANDIDATES = 128
UNIT_TOLERANCE = 1e-3


class IndexFileError(ValueError):
    """A reference index that cannot be trusted; the message names the file and what is wrong."""


def write_index(
    directory: Path,
    card_ids: Sequence[str],
    embeddings: ArrayLike,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes the four files of an index; each appears whole, ``metadata.json`` last.

    Args:
        directory: Made if it is missing.
        card_ids: Card id of each row; a card with several scans has several rows.
        embeddings: (rows, dimensions); normalised here.
        metadata: More to say in ``metadata.json``, JSON values only.

    Raises:
        ValueError: Rows and ids differ in number, no rows, a bad id, a row without direction, or
            metadata that would overwrite the index's own keys.
    """
    rows = np.asarray(embeddings, dtype=np.float32)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"index: expected (rows, dimensions), got shape {rows.shape}")
    if len(card_ids) != len(rows):
        raise ValueError(f"index: {len(rows)} embeddings but {len(card_ids)} card ids")
    for card_id in card_ids:
        if not CARD_ID.fullmatch(card_id):
            raise ValueError(f"index: {card_id!r} is not a card id")
    rows = l2_normalise(rows)

    graph = Index(ndim=rows.shape[1], metric="cos", dtype=GRAPH_DTYPE)
    # One thread, so that the same embeddings give the same file.
    graph.add(np.arange(len(rows), dtype=np.uint64), rows, threads=1)
    buffer = io.BytesIO()
    np.save(buffer, rows, allow_pickle=False)
    by_row = {str(row): card_id for row, card_id in enumerate(card_ids)}
    contents = {
        EMBEDDINGS: buffer.getvalue(),
        GRAPH: _saved(graph),
        ROWS: (json.dumps(by_row, indent=0) + "\n").encode(),
    }
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "metric": "cosine",
        "rows": len(rows),
        "cards": len(set(card_ids)),
        "dimensions": int(rows.shape[1]),
        "graph": {"dtype": GRAPH_DTYPE, "connectivity": int(graph.connectivity)},
        "sha256": {name: hashlib.sha256(body).hexdigest() for name, body in contents.items()},
    }
    clash = set(document) & set(metadata or {})
    if clash:
        raise ValueError(f"index: metadata may not set {', '.join(sorted(clash))}")
    document.update(metadata or {})
    contents[METADATA] = (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for name, body in contents.items():
        write_whole(directory / name, body)


class ReferenceIndex:
    """A loaded and checked index.

    Attributes:
        card_ids: Card id of each row.
        embeddings: float32 (rows, dimensions), rows of length 1.
        metadata: The content of ``metadata.json``.
    """

    def __init__(
        self, card_ids: tuple[str, ...], embeddings: Floats, graph: Index, metadata: dict[str, Any]
    ) -> None:
        self.card_ids = card_ids
        self.embeddings = embeddings
        self.metadata = metadata
        self._graph = graph
        ids = np.asarray(card_ids, dtype=np.str_)
        self._by_card = np.argsort(ids, kind="stable")
        self._cards, self._starts = np.unique(ids[self._by_card], return_index=True)

    @classmethod
    def load(cls, directory: Path) -> ReferenceIndex:
        """Reads an index and checks that its files belong together.

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
        bodies = {}
        for name in (EMBEDDINGS, GRAPH, ROWS):
            bodies[name] = _read(directory, name, None)
            if hashlib.sha256(bodies[name]).hexdigest() != digests.get(name):
                raise IndexFileError(
                    f"{name}: not the file that {METADATA} describes (SHA-256 differs); "
                    "fetch or build the index again"
                )
        card_ids = _card_ids(_json(bodies[ROWS], ROWS))
        embeddings = _embeddings(bodies[EMBEDDINGS])
        rows, dimensions = embeddings.shape
        if rows != len(card_ids):
            raise IndexFileError(f"{ROWS}: {len(card_ids)} rows, {EMBEDDINGS} has {rows}")
        for key, value in (("rows", rows), ("dimensions", dimensions)):
            if metadata.get(key) != value:
                raise IndexFileError(
                    f"{METADATA}: {key} is {metadata.get(key)!r}, the files have {value}"
                )
        try:
            graph = Index.restore(bodies[GRAPH])
        except Exception as error:
            raise IndexFileError(f"{GRAPH}: not a usearch index ({error})") from None
        if graph is None or len(graph) != rows or graph.ndim != dimensions:
            raise IndexFileError(f"{GRAPH}: does not hold {rows} rows of {dimensions} dimensions")
        return cls(card_ids, embeddings, graph, metadata)

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return int(self.embeddings.shape[1])

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
        vector = np.asarray(query, dtype=np.float32)
        if vector.shape != (self.dimensions,):
            raise ValueError(f"query: shape {vector.shape}, the index has ({self.dimensions},)")
        vector = l2_normalise(vector)
        if exact is None:
            exact = len(self.embeddings) <= EXACT_ROWS
        if exact:
            return self._search_all(vector, k)
        wanted = max(CANDIDATES, 8 * k)
        while wanted < 4 * len(self.embeddings):
            found = self._search_graph(vector, wanted)
            if len(found) >= k:
                return found[:k]
            wanted *= 4  # many scans of few cards: look further
        # Fewer cards than were asked for, or some that no link of the graph leads to.
        return self._search_all(vector, k)

    def _search_all(self, vector: Floats, k: int) -> list[tuple[str, float]]:
        cosines = (self.embeddings @ vector)[self._by_card]
        best = np.maximum.reduceat(cosines, self._starts)
        # Stable, so that equal cosines come in the order of the card ids.
        order = np.argsort(-best, kind="stable")[:k]
        return [(str(self._cards[card]), _cosine(best[card])) for card in order]

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


def _saved(graph: Index) -> bytes:
    body = graph.save()
    if body is None:
        raise RuntimeError("usearch gave no bytes for an index")
    return bytes(body)


def _card_ids(document: dict[str, Any]) -> tuple[str, ...]:
    ids = []
    for row in range(len(document)):
        card_id = document.get(str(row))
        if not isinstance(card_id, str) or not CARD_ID.fullmatch(card_id):
            raise IndexFileError(f"{ROWS}: row {row} has no valid card id")
        ids.append(card_id)
    return tuple(ids)


def _embeddings(body: bytes) -> Floats:
    try:
        values = np.load(io.BytesIO(body), allow_pickle=False)
    except Exception as error:
        raise IndexFileError(f"{EMBEDDINGS}: not a NumPy array ({error})") from None
    if not isinstance(values, np.ndarray) or values.dtype != np.float32 or values.ndim != 2:
        raise IndexFileError(f"{EMBEDDINGS}: must be a float32 array of (rows, dimensions)")
    if not values.size:
        raise IndexFileError(f"{EMBEDDINGS}: empty")
    if not np.isfinite(values).all():
        raise IndexFileError(f"{EMBEDDINGS}: a value is not finite")
    lengths = np.linalg.norm(values, axis=1)
    if np.abs(lengths - 1).max() > UNIT_TOLERANCE:
        row = int(np.abs(lengths - 1).argmax())
        raise IndexFileError(f"{EMBEDDINGS}: row {row} has length {lengths[row]:.4g}, not 1")
    return np.ascontiguousarray(values)


def _read(directory: Path, name: str, limit: int | None) -> bytes:
    path = directory / name
    try:
        if limit is not None and path.stat().st_size > limit:
            raise IndexFileError(f"{path}: larger than {limit // 2**20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise IndexFileError(f"{path}: cannot be read ({error.strerror or error})") from None


def _json(body: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise IndexFileError(f"{name}: not JSON") from None
    if not isinstance(document, dict):
        raise IndexFileError(f"{name}: not a JSON object")
    return document
