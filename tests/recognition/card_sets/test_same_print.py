from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recognition.card_sets.same_print import compare_prints
from recognition.card_sets.scan import Scan
from recognition.sample_cards.drawing import draw_card_set
from tests.properties import examples


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> list[Scan]:
    """Six cards of 736 x 1024 pixels with a line of text."""
    root = tmp_path_factory.mktemp("cards")
    draw_card_set(root, 6, seed=8, height=1024)
    found = []
    for path in sorted(root.glob("*/*.png")):
        face = cv2.resize(np.asarray(Image.open(path).convert("RGB")), (736, 1024))
        face[640:940, 55:680] = (235, 230, 215)
        found.append(written(face, "Once during your turn you may"))
    return found


def written(face: Scan, text: str) -> Scan:
    found = face.copy()
    cv2.putText(found, text, (70, 720), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (20, 20, 20), 2)
    return found


def scanned(face: Scan, seed: int) -> Scan:
    """One scanner's picture of a card: a little crooked, with an exposure of its own, as JPEG."""
    rng = np.random.default_rng(seed)
    height, width = face.shape[:2]
    turn = cv2.getRotationMatrix2D(
        (width / 2, height / 2), rng.uniform(-0.4, 0.4), 1 + rng.uniform(-0.006, 0.006)
    )
    turn[:, 2] += rng.uniform(-4, 4, 2)
    seen = cv2.warpAffine(face, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    share = rng.uniform(0.6, 1)
    seen = cv2.resize(seen, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    light = 255 * (seen / 255) ** rng.uniform(0.92, 1.08) * rng.uniform(0.96, 1.04)
    light = (light + rng.normal(0, 2, light.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(light).save(buffer, "JPEG", quality=int(rng.integers(75, 96)))
    square = cv2.resize(
        np.asarray(Image.open(buffer)), (448, 448), interpolation=cv2.INTER_AREA
    )  # fmt: skip
    return np.asarray(square, dtype=np.uint8)


@settings(deadline=None, max_examples=examples(12, quick=3))
@given(card=st.integers(0, 5), seed=st.integers(0, 10**6))
def test_two_scans_of_a_card_are_one_print(faces: list[Scan], card: int, seed: int) -> None:
    found = compare_prints(scanned(faces[card], seed), scanned(faces[card], seed + 1))
    assert found.same_print, found


@settings(deadline=None, max_examples=examples(12, quick=3))
@given(card=st.integers(0, 5), seed=st.integers(0, 10**6))
def test_additional_word_is_another_print(faces: list[Scan], card: int, seed: int) -> None:
    other = faces[card].copy()
    other[685:735, 60:670] = (235, 230, 215)
    reprint = written(other, "Flip a coin. If heads, the")
    found = compare_prints(scanned(faces[card], seed), scanned(reprint, seed + 1))
    assert not found.same_print, found


def test_other_colours_are_another_print(faces: list[Scan]) -> None:
    for seed, face in enumerate(faces):
        turned = cv2.cvtColor(face, cv2.COLOR_RGB2HSV)
        turned[..., 0] = (turned[..., 0].astype(int) + 20) % 180
        other = np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB), dtype=np.uint8)
        assert not compare_prints(scanned(face, seed), scanned(other, seed + 50)).same_print


def test_other_cards_are_not_looked_at_further(faces: list[Scan]) -> None:
    assert not compare_prints(scanned(faces[0], 0), scanned(faces[1], 1)).same_print


@pytest.mark.parametrize("side", [64, 448, 500])
def test_scans_without_contrast_are_compared_without_an_error(side: int) -> None:
    grey = np.full((side, side, 3), 128, np.uint8)
    assert not compare_prints(grey, grey).same_print
    assert not compare_prints(grey, np.zeros_like(grey)).same_print
