"""Finding the nearest of many embeddings: every row of the product's index, against other ways.

    python -m bench.index_search [--rows 676,17592,50000] [--dimensions 256,768]
    python -m bench.index_search --embeddings FILE.npz

Compared are the product's index (8-bit rows, every one compared, exact), one float32 matrix
product, and a search graph (usearch, 8-bit vectors) whose candidates are ranked by their float32
rows.
Embeddings are drawn: 'random' ones are unit vectors without any order, the hardest case and like
no trained model's; 'like cards' have a centre for each set of 120 cards. Queries are a row moved to
a cosine of about .9 of itself, as a camera view is. ``FILE.npz`` has a model's own (``gallery`` and
``queries``). Recall is against the float32 product, latency on one thread; the ways take turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

# ONNX Runtime must be loaded before usearch: the other way round the process crashes (both bring
# a C++ runtime of their own).
import onnxruntime  # noqa: F401
from numpy.typing import NDArray
from usearch.index import Index

from recognition.search.gallery import l2_normalise
from recognition.search.index import FILES, ReferenceIndex, write_index

SET = 120
Floats = NDArray[np.float32]
Search = Callable[[Floats], int]


def unit(rows: Floats) -> Floats:
    """Rows of length 1."""
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def drawn(
    kind: str, rows: int, dimensions: int, queries: int, seed: int = 0
) -> tuple[Floats, Floats]:
    """(rows, dimensions) embeddings and (queries, dimensions) queries."""
    rng = np.random.default_rng(seed)
    gallery = rng.standard_normal((rows, dimensions), dtype=np.float32)
    if kind == "like cards":
        centres = rng.standard_normal((rows // SET + 1, dimensions), dtype=np.float32)
        gallery += centres[np.arange(rows) // SET]
    unit(gallery)
    asked = gallery[rng.integers(rows, size=queries)]
    # Noise of this length leaves a cosine of .9.
    noise = unit(rng.standard_normal((queries, dimensions), dtype=np.float32))
    return gallery, unit(asked + np.float32(0.48) * noise)


def ways(
    gallery: Floats, folder: Path, widths: Sequence[int]
) -> Iterator[tuple[str, Search, float, float]]:
    """Each way to search: its name, a search for the nearest row, seconds to build, MB of files."""
    yield (
        "float32 rows, all",
        lambda query: int((gallery @ query).argmax()),
        0,
        gallery.nbytes / 1e6,
    )
    begun = time.monotonic()
    write_index(folder, [f"c-{row}" for row in range(len(gallery))], gallery)
    built = time.monotonic() - begun
    index = ReferenceIndex.load(folder)
    size = sum((folder / name).stat().st_size for name in FILES) / 1e6

    def by_index(query: Floats) -> int:
        return int(index.search(query, 1)[0][0].removeprefix("c-"))

    yield "the index, all", by_index, built, size
    begun = time.monotonic()
    graph = Index(ndim=gallery.shape[1], metric="cos", dtype="i8")
    if widths:
        graph.add(np.arange(len(gallery), dtype=np.uint64), gallery, threads=1)
    built = time.monotonic() - begun
    for width in widths:

        def by_graph(query: Floats, width: int = width) -> int:
            # usearch has a setter, its types do not say so.
            graph._compiled.expansion_search = width
            near = np.asarray(graph.search(query, width, threads=1).keys, dtype=np.int64)
            return int(near[(gallery[near] @ query).argmax()])

        yield f"graph, {width} candidates", by_graph, built, graph.serialized_length / 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints Markdown tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.index_search", description=__doc__)
    parser.add_argument("--rows", default="676,17592,50000", help="several by commas")
    parser.add_argument("--dimensions", default="256,768", help="several by commas")
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--candidates", default="64,128,512", help="of the graph; '' leaves it out")
    parser.add_argument("--kinds", default="like cards", help="random, like cards, or both")
    parser.add_argument("--embeddings", type=Path, help="a model's own instead of drawn ones")
    options = parser.parse_args(arguments)
    widths = [int(width) for width in options.candidates.split(",") if width]
    if options.embeddings:
        with np.load(options.embeddings, allow_pickle=False) as saved:
            gallery, queries = l2_normalise(saved["gallery"]), l2_normalise(saved["queries"])
        table(options.embeddings.name, gallery, queries[: options.queries], widths)
        return 0
    for kind in options.kinds.split(","):
        for dimensions in map(int, options.dimensions.split(",")):
            for rows in map(int, options.rows.split(",")):
                table(kind, *drawn(kind, rows, dimensions, options.queries), widths)
    return 0


def table(name: str, gallery: Floats, queries: Floats, widths: Sequence[int]) -> None:
    """Measures all ways on one set of embeddings and prints their table."""
    rows, dimensions = gallery.shape
    print(f"\n{rows:,} rows of {dimensions}, {name}, {len(queries)} queries")
    print("| | recall@1 | median | fastest | built in | size |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="index-search-") as temporary:
        found = list(ways(gallery, Path(temporary), [width for width in widths if width < rows]))
        answers = np.empty((len(found), len(queries)), np.int64)
        took = np.empty((len(found), len(queries)))
        # Each way answers some queries in a row, so that what it reads stays in its cache.
        for first in range(0, len(queries), 100):
            for way, (_, search, _, _) in enumerate(found):
                for number in range(first, min(first + 100, len(queries))):
                    begun = time.perf_counter()
                    answers[way, number] = search(queries[number])
                    took[way, number] = 1000 * (time.perf_counter() - begun)
    for way, (title, _, built, size) in enumerate(found):
        recall = (answers[way] == answers[0]).mean()
        print(
            f"| {title} | {recall:.4f} | {np.median(took[way]):.2f} ms "
            f"| {took[way].min():.2f} ms | {built:.0f} s | {size:.1f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    raise SystemExit(main())
