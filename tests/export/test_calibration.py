"""What a quantiser was shown is known by digest and by statistics."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from export.calibration import Recorder, record, tints

IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(4), st.just(4), st.just(3)))


@settings(deadline=None)
@given(IMAGES)
def test_record_is_the_images_own(images: np.ndarray) -> None:
    made = record(images)
    assert made.images == len(images)
    assert made.sha256 == hashlib.sha256(images.tobytes()).hexdigest()
    assert made.mean == pytest.approx(images.reshape(-1, 3).mean(axis=0))
    assert made.std == pytest.approx(images.reshape(-1, 3).std(axis=0), abs=1e-6)
    beside = np.abs(images[:, :, 1:].astype(float) - images[:, :, :-1])
    assert made.roughness == pytest.approx(beside.mean())


@settings(deadline=None)
@given(IMAGES, st.integers(0, 5))
def test_batches_do_not_matter(images: np.ndarray, at: int) -> None:
    recorder = Recorder()
    recorder.add(images[:at])
    recorder.add(images[at:])
    assert recorder.record() == record(images)


def test_view_of_an_array_counts_as_what_is_seen() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    assert record(images[..., ::-1]) == record(np.ascontiguousarray(images[..., ::-1]))
    assert record(images[..., ::-1]) != record(images)


def test_tint_is_red_minus_blue_and_turns_with_the_channels() -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    images[0] = (200, 10, 50)
    images[1, :2] = (0, 0, 100)
    assert tints(images).tolist() == [150, -50]
    assert tints(images[..., ::-1]).tolist() == [-150, 50]


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((0, 4, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((2, 3, 4, 4), np.uint8),
        np.zeros((2, 4, 4, 3), np.float32),
    ],
    ids=["none", "no batch", "NCHW", "normalised"],
)
def test_other_arrays_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="calibration images"):
        record(images)
