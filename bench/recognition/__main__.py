"""A trained model beside a perceptual hash with ORB, and beside published features.

    python -m bench.recognition --model FOLDER [--cards NAME=FOLDER …] [--json]
    make bench-recognition MODEL=FOLDER

FOLDER holds a student's ``model.tar.gz`` or its files, or is a pulled release. Every card set is
measured with the same pictures for every matcher. Without ``--cards``, 200 cards are drawn as the
demo draws them. See docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2

from bench.recognition.matchers import (
    HashMatcher,
    Matcher,
    Pixels,
    features_matcher,
    published_matcher,
    shipped_matcher,
    student_matcher,
)
from bench.recognition.measurement import CAMERA_SIDE, EFFECTS, measure, to_dict
from bench.recognition.parts import parts_of
from bench.recognition.tables import tables
from recognition.card_sets.card_set import CardSet, read_card_set
from recognition.card_sets.scan import load_scan
from registry.compilers import ONNX_FILE, ONNX_INT8
from registry.contract import Contract
from registry.untrusted.archives import extract

#: Side in pixels that scans are read at: what views of the camera's size are drawn from.
_SCAN = 2 * CAMERA_SIDE
_DRAWN = 200
#: Decoded scans that are kept in memory, .75 MiB each.
_KEPT = 2048
#: Characters of the bar; seconds between two lines where there is none.
_BAR, _SECONDS = 24, 10.0
ARCHIVE, SPLIT, MANIFEST = "model.tar.gz", "split.json", "manifest.json"


@dataclass(frozen=True)
class TrainedModel:
    """What ``--model`` names.

    Attributes:
        matchers: Its network; of a release its graphs, float and compiled, that ONNX Runtime runs.
        trained: The cards that it was trained on.
        held_out: Those that its split held out, for validation and for test; None where nobody
            says.
        size: Its input in pixels.
    """

    matchers: list[Matcher]
    trained: frozenset[str]
    held_out: tuple[Collection[str], Collection[str]] | None
    size: int


def load_model(folder: Path, scratch: Path) -> TrainedModel:
    """Reads a student's archive, or a pulled release.

    Args:
        folder: Holds ``model.tar.gz`` or its unpacked files, or is a pulled release.
        scratch: Where to unpack.

    Raises:
        ValueError: It is neither, or damaged.
    """
    if (folder / ARCHIVE).is_file():
        extract(folder / ARCHIVE, scratch)
        folder = scratch
    if (folder / SPLIT).is_file():
        matcher, size = student_matcher(folder)
        split = json.loads((folder / SPLIT).read_text(encoding="utf-8"))
        held_out = (split["unseen_validation"], split["unseen_test"])
        return TrainedModel([matcher], frozenset(split["known"]), held_out, size)
    if (folder / MANIFEST).is_file():
        from recognition.search.index import ReferenceIndex

        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        contract = Contract.from_dict(manifest["contract"])
        files = {"float": ONNX_FILE, "INT8": ONNX_INT8.model_file}
        matchers: list[Matcher] = [
            shipped_matcher(folder / file, contract, f"trained, {kind}")
            for kind, file in files.items()
            if (folder / file).is_file()
        ]
        known = frozenset(ReferenceIndex.load(folder).card_ids)
        return TrainedModel(matchers, known, None, contract.size)
    raise ValueError(f"--model {folder}: holds neither {ARCHIVE} nor {MANIFEST}")


class _Progress:
    """A bar on stderr; where that is no terminal, a line now and then.

    Args:
        title: What is measured.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._told = 0.0

    def show(self, subject: str, done: int, total: int) -> None:
        """Says how many cards of what were looked at."""
        line = f"{self._title}, {subject}: {done} of {total} cards"
        if sys.stderr.isatty():
            full = _BAR * done // max(1, total)
            end = "\n" if done >= total else ""
            print(f"\r{'█' * full}{'░' * (_BAR - full)} {line} ", end=end, file=sys.stderr)
        elif done >= total or time.monotonic() - self._told > _SECONDS:
            self._told = time.monotonic()
            print(line, file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measures every card set; prints its tables unless JSON is asked for."""
    results: dict[str, Any] = {
        "machine": f"{platform.machine()}, OpenCV {cv2.__version__}",
        "model": str(options.model),
        "seed": options.seed,
        "false_accepts": options.false_accepts,
        "card_sets": {},
    }
    with tempfile.TemporaryDirectory(prefix="cards-bench-") as temporary:
        scratch = Path(temporary)
        model = load_model(options.model, scratch / "model")
        for title, folder in _card_folders(options.cards, scratch):
            cards = read_card_set(folder, Contract(size=_SCAN))
            parts = parts_of(cards.card_ids, model.trained, model.held_out)
            matchers: list[Matcher] = [*model.matchers]
            if not options.without_published:
                sizes = dict.fromkeys((model.size, options.published_size))
                matchers += [published_matcher(size) for size in sizes]
            matchers += [
                features_matcher(folder, title)
                for title, folder in map(_named_folder, options.features)
            ]
            matchers.append(HashMatcher())
            measured = measure(
                matchers,
                _scans_of(cards),
                parts,
                seed=options.seed,
                false_accepts=options.false_accepts,
                most=options.most,
                effects=() if options.without_effects else EFFECTS,
                progress=_Progress(title).show,
            )
            results["card_sets"][title] = {
                "digest": cards.digest,
                "known": len(parts.known),
                "gallery": len(parts.gallery),
                "strangers": len(parts.strangers),
                "unknown": len(parts.unknown),
                "matchers": to_dict(measured),
            }
            if not options.as_json:
                print(tables(title, parts, measured), "\n", flush=True)
    return results


def _card_folders(given: Sequence[str], scratch: Path) -> list[tuple[str, Path]]:
    if not given:
        from recognition.sample_cards.drawing import draw_card_set

        drawn = scratch / "drawn"
        draw_card_set(drawn, _DRAWN, seed=0)
        return [("drawn", drawn)]
    return [_named_folder(text) for text in given]


def _named_folder(text: str) -> tuple[str, Path]:
    """``NAME=FOLDER``, or a folder that is called by its own name."""
    title, _, path = text.rpartition("=")
    return title or Path(path).name, Path(path)


def _scans_of(cards: CardSet) -> Any:
    first = {card.card_id: card.scans[0] for card in cards.cards}
    contract = Contract(size=_SCAN)

    @lru_cache(maxsize=_KEPT)
    def scan(card_id: str) -> Pixels:
        return load_scan(first[card_id], contract)

    def scans(card_ids: Sequence[str]) -> list[Pixels]:
        return [scan(card_id) for card_id in card_ids]

    return scans


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    found = argparse.ArgumentParser(prog="python -m bench.recognition", description=__doc__)
    found.formatter_class = argparse.RawDescriptionHelpFormatter
    found.add_argument(
        "--model", type=Path, required=True, help="folder of model.tar.gz, or a pulled release"
    )
    found.add_argument(
        "--cards",
        action="append",
        default=[],
        metavar="[NAME=]FOLDER",
        help="a card set; may be given several times",
    )
    found.add_argument(
        "--features",
        action="append",
        default=[],
        metavar="[NAME=]FOLDER",
        help="what bench.recognition.lightly_distillation has left",
    )
    found.add_argument("--seed", type=int, default=0, help="of the views")
    found.add_argument(
        "--false-accepts", type=float, default=0.01, help="share that thresholds are chosen for"
    )
    found.add_argument(
        "--published-size", type=int, default=224, help="input of the published features, too"
    )
    found.add_argument(
        "--most", type=int, help="look at so many known cards at most; the gallery has all of them"
    )
    found.add_argument("--without-published", action="store_true", help="leave those out")
    found.add_argument("--without-effects", action="store_true", help="leave that table out")
    found.add_argument("--json", dest="as_json", action="store_true", help="for machines")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures what is asked for; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        results = run(options)
    except (ValueError, OSError) as error:
        print(f"bench.recognition: {error}", file=sys.stderr)
        return 1
    if options.as_json:
        print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
