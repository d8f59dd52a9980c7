"""The evidence that a training job keeps and the page that it makes, beyond the evaluation.

    python -m bench.reports.job_page [--cards 17592] [--dimensions 768]
    make bench-report

Embeddings are drawn: cards have a centre for each set of 120, and three views of each lie at
cosines of .7 to .2 to its scan, so that some are nearest to another card. The cards themselves are
drawn when a picture of one is asked for. Measured are what a job does once its evaluation is there
(collecting the evidence, writing it, making the page with a comparison to a live version) and, in
the same run, the matrix product of all views with the gallery, which is the least that looking
every view up can take. A processor's seconds are those of all threads together; they say more than
those that passed where other programs run. The evaluation looks at the first views only: it gives
the rule and the figures, and what it takes is not measured here.
"""

from __future__ import annotations

import argparse
import gzip
import io
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from recognition.card_sets.pack import PixelRows
from recognition.card_sets.split import Split
from recognition.retrieval import evaluate
from recognition.sample_cards.drawn_set import DrawnSet
from recognition.search.frames import FRAMES
from recognition.search.gallery import CHUNK
from registry.names import REPORT_PAGE_LIMIT
from training.artifacts.model_archive import registration
from training.artifacts.report_page import report_page
from training.config import TrainingConfig
from training.data.batches import CardDataset
from training.environment import LIVE_CHANNEL, JobEnvironment
from training.page_facts import PageFacts
from training.recipe import resolve
from training.reporting.evaluation import EmbeddedViews, TrainingResult
from training.reporting.evidence import collect_evidence

Floats = NDArray[np.float32]
T = TypeVar("T")

SET = 120
#: Length of what is added to a scan's embedding to make a view's: cosines of .7 to .2.
NOISE = (1.0, 4.5)
#: For each card that is known, so many that are not, of each kind.
UNKNOWN = 0.05
#: Views that are evaluated: the rule does not need more.
EVALUATED = 1200
LIVE = "student-efficientnet-lite0-stage2-v1"


@dataclass
class Clock:
    """Seconds of each step: that passed, and that a processor computed."""

    seconds: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def run(self, step: str, work: Callable[[], T]) -> T:
        begun = _now()
        found = work()
        self.seconds[step] = _now() - begun
        return found


def _now() -> NDArray[np.float64]:
    return np.array([time.perf_counter(), time.process_time()])


class DrawnScans:
    """The first scan of each card, drawn when it is asked for."""

    def __init__(self, cards: DrawnSet, config: TrainingConfig) -> None:
        self._cards, self._config = cards, config

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        card = self._cards.card_ids[row]
        scan: NDArray[np.uint8] = self._cards.only((card,)).first_scans(self._config.contract)[0]
        return scan


def unit(rows: Floats) -> Floats:
    """Rows of length 1, in place."""
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def scans(rng: np.random.Generator, count: int, dimensions: int) -> Floats:
    """(count, dimensions) embeddings with a centre for each set of cards."""
    rows = rng.standard_normal((count, dimensions), dtype=np.float32)
    centres = rng.standard_normal((count // SET + 1, dimensions), dtype=np.float32)
    return unit(rows + centres[np.arange(count) // SET])


def views(rng: np.random.Generator, rows: Floats) -> Floats:
    """Several views of each row."""
    found = np.repeat(rows, FRAMES, axis=0)
    noise = unit(rng.standard_normal(found.shape, dtype=np.float32))
    return unit(found + rng.uniform(*NOISE, (len(found), 1)).astype(np.float32) * noise)


def product(queries: Floats, gallery: Floats) -> None:
    """All cosines, a part at a time, kept nowhere."""
    columns = np.ascontiguousarray(gallery.T)
    found = np.empty((CHUNK, len(gallery)), np.float32)
    for start in range(0, len(queries), CHUNK):
        part = queries[start : start + CHUNK]
        np.matmul(part, columns, out=found[: len(part)])


def measured(cards: CardDataset, dimensions: int) -> TrainingResult:
    """The evaluation of drawn embeddings."""
    rng = np.random.default_rng(0)
    split = cards.split
    gallery, validation, test = (
        scans(rng, len(ids), dimensions)
        for ids in (split.known, split.unseen_validation, split.unseen_test)
    )
    queries, outside, unknown = (views(rng, rows) for rows in (gallery, validation, test))
    ids, outside_ids, unknown_ids = (
        [card for card in part for _ in range(FRAMES)]
        for part in (split.known, split.unseen_validation, split.unseen_test)
    )
    found = evaluate(
        gallery,
        split.known,
        queries[:EVALUATED],
        ids[:EVALUATED],
        outside,
        unknown,
        unseen_test_ids=unknown_ids,
        unseen_validation_ids=outside_ids,
    )
    seen = EmbeddedViews(queries, ids, None, "0" * 64, np.empty((0, 1, 1, 3), np.uint8))
    return TrainingResult(found, found, 0.9, seen, gallery, unknown, unknown_ids, {})


def card_dataset(known: int, dimensions: int) -> CardDataset:
    """So many known cards and some unknown ones, without a file."""
    config = replace(resolve("full", "student", "stage2", {}), embedding_dim=dimensions)
    unknown = max(2, int(known * UNKNOWN))
    drawn = DrawnSet.of(known + 2 * unknown)
    ids = drawn.card_ids
    split = Split(ids[:known], ids[known : known + unknown], ids[known + unknown :])
    # Only single rows of the gallery are asked for.
    gallery: PixelRows = DrawnScans(drawn.only(split.known), config)  # type: ignore[assignment]
    return CardDataset(config, drawn, split, gallery, split.known, gallery)


def pack(path: Path, name: str, body: bytes) -> None:
    """An archive with one file."""
    with (
        path.open("wb") as stream,
        gzip.GzipFile("", "wb", 1, stream) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        member = tarfile.TarInfo(name)
        member.size = len(body)
        archive.addfile(member, io.BytesIO(body))


def memory() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints a Markdown table; 1 where the page is too large."""
    parser = argparse.ArgumentParser(prog="python -m bench.reports.job_page", description=__doc__)
    parser.add_argument("--cards", type=int, default=17_592)
    parser.add_argument("--dimensions", type=int, default=768)
    options = parser.parse_args(arguments)
    clock = Clock()
    cards = card_dataset(options.cards, options.dimensions)
    result = measured(cards, options.dimensions)
    queries, gallery = result.seen.embeddings, result.gallery
    before = memory()
    clock.run("product", lambda: product(queries, gallery))
    with tempfile.TemporaryDirectory(prefix="bench-report-") as temporary:
        folder = Path(temporary)
        history = [(step, {"loss": 9 / step, "share_kl": 0.5}) for step in range(1, 2000)]
        evidence = clock.run("collecting", lambda: collect_evidence(cards, result, history, folder))
        text = clock.run("writing", evidence.to_json)
        # As a live version that answers some views otherwise.
        swapped = evidence.views.outcomes[1:] + evidence.views.outcomes[:1]
        other = replace(evidence, views=replace(evidence.views, outcomes=swapped))
        pack(folder / "output.tar.gz", "evidence.json", other.to_json().encode())
        request = registration(nn.Linear(1, 1), cards, result, mlflow_run_id=None)  # type: ignore[arg-type]
        environment = JobEnvironment(
            folder, folder, folder, folder / "failure",
            channels={LIVE_CHANNEL: folder}, job_name="bench", page_facts=PageFacts(live=LIVE),
        )  # fmt: skip
        page = clock.run(
            "page", lambda: report_page(cards.config, environment, request, result, evidence)
        )
    assert LIVE in page, "the page compares with nothing"
    assert len(evidence.worst) > 1, "no view goes wrong, so no picture is drawn"
    size = len(page.encode())
    show(clock, len(queries), gallery.shape)
    print(
        f"\nevidence.json {len(text.encode()) / 1e6:.2f} MB, page {size / 1e6:.2f} MB of "
        f"{REPORT_PAGE_LIMIT / 1e6:.0f}; memory {before:.0f} MiB after the evaluation, "
        f"{memory():.0f} MiB at the end (the most so far)"
    )
    return int(size > REPORT_PAGE_LIMIT)


def show(clock: Clock, queries: int, gallery: tuple[int, ...]) -> None:
    """The table of seconds, each also as a multiple of the product."""
    seconds = clock.seconds
    whole = seconds["product"]
    seconds["beyond the evaluation"] = seconds["collecting"] + seconds["writing"] + seconds["page"]
    print(f"{gallery[0]:,} known cards, {queries:,} views, {gallery[1]} dimensions")
    print("| | seconds | of a processor | × the product's |")
    print("|---|---|---|---|")
    for step, (passed, computed) in seconds.items():
        print(f"| {step} | {passed:.1f} | {computed:.1f} | {computed / whole[1]:.2f} |")


if __name__ == "__main__":
    raise SystemExit(main())
