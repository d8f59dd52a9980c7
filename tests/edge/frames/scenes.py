"""Rendered scenes for the tests, and a recogniser of a few cards."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import SimpleNamespace

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.card_sets.scan import stretch
from recognition.recogniser import Recognition
from recognition.sample_cards.drawing import draw_card
from recognition.scenes.scene import CARD_SCENES, Scene, render_scene
from registry.contract import Contract

Pixels = NDArray[np.uint8]


@functools.cache
def scan(number: int) -> Pixels:
    return draw_card(number, height=512)


@functools.cache
def scene(
    kind: str, seed: int, cards: tuple[int, ...] = (0,), size: tuple[int, int] = (640, 480),
    number: int = 0,
) -> Scene:  # fmt: skip
    wanted = 2 if kind == "two cards" else int(kind in CARD_SCENES)
    scans = [scan(each) for each in cards[:wanted]]
    return render_scene(kind, scans, width=size[0], height=size[1], seed=seed, number=number)  # type: ignore[arg-type]


class PixelRecogniser:
    """Knows some drawn cards, and compares small pictures of them."""

    def __init__(self, numbers: Sequence[int], threshold: float = 0.8) -> None:
        self.release = "student-v1.onnx-int8-01234567"
        self.index = SimpleNamespace(card_ids=[f"card-{k}" for k in numbers])
        self.contract = Contract(size=64, embedding_dim=8)
        self.threshold, self.asked = threshold, 0
        self._known = {f"card-{k}": self._embed(scan(k)) for k in numbers}

    def _embed(self, image: Pixels) -> NDArray[np.float64]:
        small = cv2.GaussianBlur(stretch(image, 24), (0, 0), 1.0).astype(np.float64)
        small -= small.mean(axis=(0, 1))
        return np.asarray((small / np.linalg.norm(small)).ravel())

    def recognise(self, image: Pixels) -> Recognition:
        return self.recognise_frames([image])

    def recognise_frames(self, images: Sequence[Pixels]) -> Recognition:
        self.asked += len(images)
        mean = np.mean([self._embed(image) for image in images], axis=0)
        mean /= np.linalg.norm(mean)
        found = {name: float(mean @ known) for name, known in self._known.items()}
        ranked = sorted(found.items(), key=lambda item: -item[1])
        best, similarity = ranked[0]
        known = best if similarity >= self.threshold else None
        return Recognition(known, similarity, self.threshold, tuple(ranked[:5]))
