"""Naming the cards of rendered scenes with a trained student: found against true corners, frames.

    python -m bench.frames.answers --model FOLDER --cards CARDS [--scenes 12]

``FOLDER`` holds a training job's ``model.tar.gz`` or its unpacked files, ``CARDS`` the scans that
it indexes. The card of the first outline is named from the corners that were found and from the
true ones; a sequence of frames of one scene is averaged over 1, 3 and 5 of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from bench.frames.finding import FOUND, REPORTED, scans, share
from edge.frames.finder import find_alternatives
from edge.frames.quadrangles import overlap
from edge.frames.recognising import ALTERNATIVES, best_answer
from edge.frames.rectifying import rectified
from recognition.card_sets.scan import stretch
from recognition.recogniser import Recognition
from recognition.scenes.scene import CARD_SCENES, render_scene
from training.artifacts.model_archive import load_model
from training.reporting.evaluation import ModelEmbedder

Pixels = NDArray[np.uint8]


class Student:
    """Names cards with a trained student; knows every card, and rejects none."""

    def __init__(self, folder: Path, cards: list[tuple[str, Pixels]]) -> None:
        model, config = load_model(folder, "student")
        self.contract = config.contract
        self._embedder = ModelEmbedder(model, config, torch.device("cpu"))
        self._names = [name for name, _ in cards]
        squares = np.stack([stretch(scan, self.contract.size) for _, scan in cards])
        self._gallery = self._embedder.embed(squares)

    def recognise(self, image: Pixels) -> Recognition:
        """Names the card that fills an image."""
        return self.recognise_frames([image])

    def recognise_frames(self, images: Sequence[Pixels]) -> Recognition:
        """Names the card of several images."""
        squares = np.stack([stretch(image, self.contract.size) for image in images])
        mean = self._embedder.embed(squares).mean(axis=0)
        cosines = self._gallery @ (mean / np.linalg.norm(mean))
        best = np.argsort(-cosines)[:5]
        ranked = tuple((self._names[k], float(cosines[k])) for k in best)
        return Recognition(None, ranked[0][1], 1.0, ranked)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints Markdown tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.frames.answers", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--cards", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=12, help="of each kind")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--frames", type=int, default=0, help="also average so many frames")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    known = scans(options.cards)
    student = Student(options.model, known)
    width, height = (int(each) for each in options.size.split("x"))
    print("| scenes | n | top-1, true corners | top-1, found corners, of all | of found |")
    print("|---|---|---|---|---|")
    total = np.zeros(5, dtype=int)
    averaged: dict[int, list[bool]] = {1: [], 3: [], 5: []}
    for kind in CARD_SCENES:
        counts = np.zeros(5, dtype=int)
        for seed in range(REPORTED, REPORTED + options.scenes):
            chosen = [
                known[(seed * 7 + k * 11) % len(known)] for k in range(1 + (kind == "two cards"))
            ]
            pictures: list[Pixels] = []
            for number in range(max(1, options.frames)):
                scene = render_scene(
                    kind, [scan for _, scan in chosen], width=width, height=height, seed=seed,
                    number=number,
                )  # fmt: skip
                straight = rectified(scene.frame, scene.cards[0], student.contract.size)
                if number == 0:
                    counts += _named(student, scene.frame, scene.cards, chosen, straight)
                pictures.append(straight)
            for size, right in averaged.items():
                if len(pictures) >= size:
                    answer = student.recognise_frames(pictures[:size])
                    right.append(answer.candidates[0][0] == chosen[0][0])
        total += counts
        print(_row(kind, counts), flush=True)
    print(_row("all", total))
    for size, right in averaged.items():
        if right:
            print(f"mean of {size} frames, true corners: {share(sum(right), len(right))}")
    return 0


def _named(
    student: Student,
    frame: Pixels,
    true: Sequence[NDArray[np.float64]],
    chosen: list[tuple[str, Pixels]],
    straight: Pixels,
) -> NDArray[np.int_]:
    """Scenes, right with true corners, right with found ones, found, both: 0 or 1 each."""
    right_true = student.recognise(straight).candidates[0][0] == chosen[0][0]
    places = find_alternatives(frame, most=1, alternatives=ALTERNATIVES)
    if not places:
        return np.array([1, right_true, 0, 0, 0])
    overlaps = [overlap(places[0][0].corners, each) for each in true]
    which = int(np.argmax(overlaps))
    answer = best_answer(student, frame, places[0]).recognition.candidates[0][0]
    right, found = answer == chosen[which][0], overlaps[which] > FOUND
    return np.array([1, right_true, right, found, right and found])


def _row(name: str, counts: NDArray[np.int_]) -> str:
    scenes, true, right, found, both = (int(each) for each in counts)
    cells = [share(true, scenes), share(right, scenes), share(both, found)]
    return f"| {name} | {scenes} | {' | '.join(cells)} |"


if __name__ == "__main__":
    raise SystemExit(main())
