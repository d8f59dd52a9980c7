"""Finding cards in rendered scenes: found, missed, false, corner error, time; and answers.

    python -m bench.frames.finding [--scenes 20] [--sizes 640x480,1920x1080]
    python -m bench.frames.finding --release DIR --cards CARDS  # top-1: found, true corners

Scenes are those of ``recognition.scenes``, of seeds from 1,000,000 on: nothing was chosen by them
(``bench.frames.outline_weights`` fits on seeds below). A card is found where the first outline
overlaps it by .8 (intersection over union); 'close' is .9. A hand covers a part of the card.
Intervals are Wilson's at 95 %. Everything runs on one thread; times are the processor's,
not the clock's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frames.finder import find_cards
from edge.frames.quadrangles import overlap
from edge.frames.recognising import recognise_frame
from edge.frames.rectifying import rectified
from recognition.card_sets.scan import decode_image, read_image_bytes
from recognition.recogniser import Recogniser
from recognition.sample_cards.drawing import draw_card
from recognition.scenes.scene import CARD_SCENES, EMPTY_SCENES, CardScene, EmptyScene, render_scene
from registry.intervals import wilson_interval

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]

#: The first seed that results are reported on.
REPORTED = 1_000_000
FOUND, CLOSE = 0.8, 0.9


@dataclass
class Count:
    """What came of the scenes of one kind and size."""

    scenes: int = 0
    found: int = 0
    close: int = 0
    elsewhere: int = 0
    false: int = 0
    errors: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    right_found: int = 0
    right_true: int = 0

    def add(self, other: Count) -> None:
        """Adds another's numbers."""
        for name in ("scenes", "found", "close", "elsewhere", "false", "right_found", "right_true"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors += other.errors
        self.seconds += other.seconds


def corner_errors(found: Doubles, true: Doubles) -> list[float]:
    """Pixels between the corners of two outlines, whichever corner the found one begins with."""
    orders = [np.linalg.norm(np.roll(found, k, axis=0) - true, axis=1) for k in range(4)]
    return [float(each) for each in min(orders, key=lambda each: float(each.sum()))]


def scans(cards: Path | None) -> list[tuple[str, Pixels]]:
    """Cards to lay on the table: of a folder, or drawn ones."""
    if cards is None:
        return [(f"drawn-{k}", draw_card(k, seed=7, height=640)) for k in range(300)]
    folders = sorted(each for each in cards.iterdir() if each.is_dir())
    return [
        (each.name, decode_image(read_image_bytes(sorted(each.iterdir())[0]))) for each in folders
    ]


def measure(
    kind: CardScene | EmptyScene,
    size: tuple[int, int],
    seeds: Sequence[int],
    known: list[tuple[str, Pixels]],
    recogniser: Recogniser | None = None,
) -> Count:
    """Finds (and names) the cards of some scenes of one kind."""
    count = Count()
    for seed in seeds:
        wanted = 2 if kind == "two cards" else int(kind in CARD_SCENES)
        chosen = [known[(seed * 7 + k * 11) % len(known)] for k in range(wanted)]
        pixels = [each for _, each in chosen]
        scene = render_scene(kind, pixels, width=size[0], height=size[1], seed=seed)
        begun = time.process_time()
        outlines = find_cards(scene.frame)
        count.seconds.append(time.process_time() - begun)
        count.scenes += 1
        if not scene.cards:
            count.false += bool(outlines)
            continue
        overlaps = [overlap(outlines[0].corners, each) for each in scene.cards] if outlines else []
        best = max(overlaps, default=0.0)
        count.found += best > FOUND
        count.close += best > CLOSE
        count.elsewhere += bool(outlines) and best <= FOUND
        if best > FOUND:
            true = scene.cards[int(np.argmax(overlaps))]
            count.errors += corner_errors(outlines[0].corners, true)
        if recogniser is not None:
            named = {
                card.recognition.candidates[0][0]
                for card in recognise_frame(recogniser, scene.frame)
            }
            side = recogniser.contract.size
            straight = recogniser.recognise(rectified(scene.frame, scene.cards[0], side))
            count.right_found += chosen[0][0] in named
            count.right_true += straight.candidates[0][0] == chosen[0][0]
    return count


def share(hits: int, of: int) -> str:
    """A share with its interval."""
    if not of:
        return "–"
    low, high = wilson_interval(hits, of)
    return f"{hits / of:.3f} ({low:.3f}–{high:.3f})"


def row(name: str, count: Count, answers: bool) -> str:
    """A line of the table of scenes with a card."""
    errors = count.errors or [float("nan")]
    cells = [
        name,
        str(count.scenes),
        share(count.found, count.scenes),
        share(count.close, count.scenes),
        f"{count.elsewhere}",
        f"{np.median(errors):.2f} / {np.percentile(errors, 95):.1f}",
        f"{1000 * np.median(count.seconds):.0f} ms",
    ]
    if answers:
        cells += [share(count.right_found, count.scenes), share(count.right_true, count.scenes)]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints Markdown tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.frames.finding", description=__doc__)
    parser.add_argument("--scenes", type=int, default=20, help="of each kind and size")
    parser.add_argument("--sizes", default="640x480,1280x720,1920x1080")
    parser.add_argument("--seed", type=int, default=REPORTED)
    parser.add_argument("--cards", type=Path, help="a folder of cards; drawn ones without it")
    parser.add_argument("--release", type=Path, help="a release that knows these cards")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    recogniser = Recogniser.load(options.release) if options.release else None
    known = scans(options.cards)
    seeds = range(options.seed, options.seed + options.scenes)
    head = "| scenes | n | found | close | elsewhere | corners px, median / p95 | time |"
    head += " top-1 found | top-1 true corners |" if recogniser else ""
    every, empty = Count(), Count()
    for text in options.sizes.split(","):
        width, _, height = text.partition("x")
        size = int(width), int(height)
        print(f"\n{text}\n{head}\n|{'---|' * (head.count('|') - 1)}")
        total, none = Count(), Count()
        for kind in CARD_SCENES:
            count = measure(kind, size, seeds, known, recogniser)
            total.add(count)
            print(row(kind, count, recogniser is not None), flush=True)
        print(row("all", total, recogniser is not None), flush=True)
        for other in EMPTY_SCENES:
            count = measure(other, size, seeds, known)
            none.add(count)
            print(f"empty, {other}: a card in {share(count.false, count.scenes)}", flush=True)
        print(f"empty, all: a card in {share(none.false, none.scenes)}", flush=True)
        every.add(total)
        empty.add(none)
    print(f"\nfound, all sizes: {share(every.found, every.scenes)} of {every.scenes}")
    print(f"false, all sizes: {share(empty.false, empty.scenes)} of {empty.scenes}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
