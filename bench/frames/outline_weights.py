"""Fits the weights of ``edge.frames.likelihood`` anew, on rendered scenes of development seeds.

    python -m bench.frames.outline_weights [--scenes 32]

Of every quadrangle that is proposed in a scene it is known how far it overlaps the card: from .93
on it is the outline, below .88 it is none, between the two it is left out. Outlines of one scene
weigh ten together, as there are many that are none.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.frames.finding import REPORTED
from edge.frames.finder import WORKING_SIDE, CardShape, candidates
from edge.frames.likelihood import FEATURES
from edge.frames.quadrangles import overlap
from recognition.sample_cards.drawing import draw_card
from recognition.scenes.scene import CARD_SCENES, EMPTY_SCENES, render_scene

Doubles = NDArray[np.float64]

OUTLINE, NONE = 0.93, 0.88
#: Drawn cards of the same seed in bench.frames.finding are others: that draws with seed 7.
SIZES = ((640, 480), (1280, 720), (640, 480), (960, 720))


def examples(seeds: range) -> tuple[Doubles, Doubles, Doubles]:
    """Features (n, f), whether each is an outline (n,), and weights (n,)."""
    rows, labels, weights = [], [], []
    for seed in seeds:
        width, height = SIZES[seed % len(SIZES)]
        for kind in (*CARD_SCENES, *EMPTY_SCENES):
            cards = 2 if kind == "two cards" else int(kind in CARD_SCENES)
            scans = [draw_card(3 * seed + k, height=640) for k in range(cards)]
            scene = render_scene(kind, scans, width=width, height=height, seed=seed)
            scale = WORKING_SIDE / max(width, height)
            size = (round(width * scale), round(height * scale))
            small = np.asarray(
                cv2.resize(scene.frame, size, interpolation=cv2.INTER_AREA), np.uint8
            )
            found = candidates(small, CardShape())
            true = [(each + 0.5) * scale - 0.5 for each in scene.cards]
            best = np.array([max((overlap(q, t) for t in true), default=0.0) for q in found.quads])
            clear = (best > OUTLINE) | (best < NONE)
            outline = best[clear] > OUTLINE
            rows.append(found.features[clear])
            labels.append(outline.astype(np.float64))
            weights.append(np.where(outline, 10 / max(1, outline.sum()), 1.0))
    return np.concatenate(rows), np.concatenate(labels), np.concatenate(weights)


def fit(rows: Doubles, labels: Doubles, weights: Doubles, penalty: float = 0.1) -> Doubles:
    """Logistic regression by Newton's method; the last number is the constant."""
    inputs = np.column_stack([rows, np.ones(len(rows))])
    found = np.zeros(inputs.shape[1])
    shrink = np.full(len(found), penalty)
    shrink[-1] = 0
    for _ in range(50):
        likely = 1 / (1 + np.exp(-np.clip(inputs @ found, -50, 50)))
        slope = inputs.T @ (weights * (likely - labels)) + shrink * found
        bend = (inputs * (weights * likely * (1 - likely))[:, None]).T @ inputs + np.diag(shrink)
        step = np.linalg.solve(bend + 1e-9 * np.eye(len(found)), slope)
        found -= step
        if np.abs(step).max() < 1e-8:
            break
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Fits and prints the weights as they stand in the code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.frames.outline_weights", description=__doc__
    )
    parser.add_argument("--scenes", type=int, default=32, help="of each kind")
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args(arguments)
    if options.seed + options.scenes > REPORTED:
        parser.error(f"seeds from {REPORTED} on are for reports")
    cv2.setNumThreads(1)
    rows, labels, weights = examples(range(options.seed, options.seed + options.scenes))
    print(f"# {len(rows)} quadrangles, {int(labels.sum())} of them outlines")
    found = fit(rows, labels, weights)
    for name, weight in zip(FEATURES, found, strict=False):
        print(f'    "{name}": {weight:.2f},')
    print(f"CONSTANT = {found[-1]:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
