"""Finding the nearest of many embeddings: types and parameters of the graph, against all rows.

    python -m bench.index_search [--rows 17592] [--dtypes f32,f16,bf16,i8]
    python -m bench.index_search --rows 1000000 --dtypes i8 --kinds 'like cards' --queries 500

Embeddings are drawn: 'random' ones are unit vectors without any order, the hardest case and like
no trained model's; 'like cards' have a centre for each set of 120 cards. Queries are a row moved to
a cosine of about .9 of itself, as a camera view is. Recall is against the exact answer by one
matrix product, latency on one thread.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Sequence

import numpy as np

# Before usearch: see recognition/search/index.py.
import onnxruntime  # noqa: F401
from numpy.typing import NDArray
from usearch.index import Index

DIMENSIONS, SET = 768, 120
Floats = NDArray[np.float32]


def unit(rows: Floats) -> Floats:
    """Rows of length 1."""
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def drawn(kind: str, rows: int, queries: int, seed: int = 0) -> tuple[Floats, Floats]:
    """(rows, 768) embeddings and (queries, 768) queries."""
    rng = np.random.default_rng(seed)
    gallery = rng.standard_normal((rows, DIMENSIONS), dtype=np.float32)
    if kind == "like cards":
        centres = rng.standard_normal((rows // SET + 1, DIMENSIONS), dtype=np.float32)
        gallery += centres[np.arange(rows) // SET]
    unit(gallery)
    asked = gallery[rng.integers(rows, size=queries)]
    # Noise of this length leaves a cosine of .9.
    noise = unit(rng.standard_normal((queries, DIMENSIONS), dtype=np.float32))
    return gallery, unit(asked + np.float32(0.48) * noise)


def exact(gallery: Floats, queries: Floats) -> tuple[NDArray[np.int64], list[float]]:
    """The nearest row of each query, and the milliseconds of each search."""
    found, took = [], []
    for query in queries:
        begun = time.perf_counter()
        found.append(int((gallery @ query).argmax()))
        took.append(1000 * (time.perf_counter() - begun))
    return np.asarray(found), took


def row(name: str, recall: str, took: Sequence[float], built: str, size: str) -> str:
    """A line of the table."""
    middle, p99 = statistics.median(took), float(np.percentile(took, 99))
    return f"| {name} | {recall} | {middle:.2f} ms | {p99:.2f} ms | {built} | {size} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints Markdown tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.index_search", description=__doc__)
    parser.add_argument("--rows", type=int, default=17_592)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--dtypes", default="f32,f16,bf16,i8")
    parser.add_argument("--connectivity", default="16", help="links of a node, several by commas")
    parser.add_argument("--search", default="64,128", help="candidates of a search")
    parser.add_argument("--kinds", default="random,like cards")
    parser.add_argument("--threads", type=int, default=0, help="that build; 0 takes every core")
    options = parser.parse_args(arguments)
    for kind in options.kinds.split(","):
        gallery, queries = drawn(kind, options.rows, options.queries)
        best, took = exact(gallery, queries)
        print(f"\n{options.rows:,} rows, {kind}, {len(queries)} queries")
        print("| | recall@1 | median | p99 | built in | size |")
        print("|---|---|---|---|---|---|")
        size = f"{gallery.nbytes / 2**20:,.0f} MiB"
        print(row("all rows, one matrix product", "1", took, "–", size), flush=True)
        for dtype in options.dtypes.split(","):
            for links in map(int, options.connectivity.split(",")):
                graph = Index(ndim=DIMENSIONS, metric="cos", dtype=dtype, connectivity=links)
                begun = time.monotonic()
                keys = np.arange(len(gallery), dtype=np.uint64)
                graph.add(keys, gallery, threads=options.threads)
                built = f"{time.monotonic() - begun:.0f} s"
                for width in map(int, options.search.split(",")):
                    # usearch has a setter, its types do not say so.
                    graph._compiled.expansion_search = width
                    hits, took = 0, []
                    for query, right in zip(queries, best, strict=True):
                        begun = time.perf_counter()
                        keys_found = graph.search(query, width, threads=1).keys
                        # Ranked by all of their float32 rows, as recognition/search/index.py does.
                        near = np.asarray(keys_found, dtype=np.int64)
                        chosen = near[(gallery[near] @ query).argmax()]
                        took.append(1000 * (time.perf_counter() - begun))
                        hits += int(chosen == right)
                    size = f"{graph.serialized_length / 2**20:,.0f} MiB"
                    name = f"{dtype}, {links} links, {width} candidates"
                    print(row(name, f"{hits / len(queries):.4f}", took, built, size), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nmemory at most {peak:.1f} GiB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
