"""Camera views: reproducible, apart by stream, and of the card that they show."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.card_sets.scan import stretch
from recognition.sample_cards.drawing import draw_card
from recognition.views.camera import (
    camera_view,
    camera_views,
    scan_scale,
    single_threaded_opencv,
    view_generator,
)
from recognition.views.camera_opencv import render_view
from recognition.views.parameters import draw_view, plain_view
from tests.properties import examples

SIZE = 48
STREAMS = ("train", "validation", "query", "calibration")


@pytest.fixture(scope="module")
def scans() -> np.ndarray:
    return np.stack([stretch(draw_card(number, height=160), 2 * SIZE) for number in range(12)])


def ids(count: int) -> list[str]:
    return [f"card-{k}" for k in range(count)]


def views(scans: np.ndarray, **options: object) -> np.ndarray:
    given = {"size": SIZE, "seed": 3, "stream": "train", "per_card": 3, **options}
    return camera_views(scans, ids(len(scans)), **given)[0]  # type: ignore[arg-type]


def test_form_labels_and_progress(scans: np.ndarray) -> None:
    seen: list[int] = []
    pictures, labels = camera_views(
        scans, ids(12), size=SIZE, seed=3, stream="query", per_card=4, progress=seen.append
    )
    assert pictures.shape == (48, SIZE, SIZE, 3) and pictures.dtype == np.uint8
    assert labels.dtype == np.int64 and labels.tolist() == [k // 4 for k in range(48)]
    assert sum(seen) == 48


def test_same_request_gives_the_same_bytes(scans: np.ndarray) -> None:
    once = views(scans)
    np.testing.assert_array_equal(views(scans), once)
    np.testing.assert_array_equal(views(scans, threads=3), once)


def test_view_does_not_depend_on_the_other_cards(scans: np.ndarray) -> None:
    everything = views(scans).reshape(12, 3, SIZE, SIZE, 3)
    picked = [7, 2]
    some, _ = camera_views(
        scans[picked], [f"card-{k}" for k in picked], size=SIZE, seed=3, stream="train", per_card=3
    )
    np.testing.assert_array_equal(some.reshape(2, 3, SIZE, SIZE, 3), everything[picked])


def test_later_views_go_on_where_earlier_ones_ended(scans: np.ndarray) -> None:
    whole = views(scans, per_card=6).reshape(12, 6, SIZE, SIZE, 3)
    later = views(scans, per_card=2, first=4).reshape(12, 2, SIZE, SIZE, 3)
    np.testing.assert_array_equal(later, whole[:, 4:])


def test_streams_and_seeds_never_share_a_view(scans: np.ndarray) -> None:
    pictures = [
        picture.tobytes()
        for seed in (0, 1)
        for stream in STREAMS
        for picture in views(scans[:3], seed=seed, stream=stream, per_card=10)
    ]
    assert len(set(pictures)) == len(pictures) == 2 * 4 * 3 * 10


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-2, 12), st.sampled_from(STREAMS), st.text(max_size=4), st.integers(0, 12)
        ),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_different_names_of_views_draw_different_numbers(names: list[tuple]) -> None:
    first, second = (view_generator(*name).random(4).tolist() for name in names)
    assert first != second


def test_second_scans_share_the_label_but_not_the_pose(scans: np.ndarray) -> None:
    pair = np.stack([scans[0], scans[0], scans[1]])
    pictures, labels = camera_views(
        pair, ["a", "a", "b"], size=SIZE, seed=0, stream="train", per_card=2
    )
    assert labels.tolist() == [0, 0, 0, 0, 1, 1]
    assert not np.array_equal(pictures[0], pictures[2])


def test_cards_are_not_mirrored_flipped_or_swapped_in_colour() -> None:
    """Four coloured quarters stay where they are and what they are, on average over views."""
    scan = np.zeros((128, 128, 3), dtype=np.uint8)
    colours = {(0, 0): (220, 30, 30), (0, 1): (30, 200, 30), (1, 0): (30, 30, 220)}
    for (row, column), colour in colours.items():
        scan[64 * row : 64 * row + 64, 64 * column : 64 * column + 64] = colour
    pictures, _ = camera_views(scan[None], ["a"], size=64, seed=0, stream="train", per_card=150)
    mean = pictures.astype(float).mean(axis=0)
    for (row, column), colour in colours.items():
        patch = mean[8 + 32 * row : 24 + 32 * row, 8 + 32 * column : 24 + 32 * column]
        assert np.argmax(patch.mean(axis=(0, 1))) == np.argmax(colour)
    dark = mean[40:56, 40:56].mean()
    assert dark < 0.6 * mean[8:24, 8:24].max(axis=2).mean()


def test_card_fills_most_of_the_frame() -> None:
    """A card of one pure colour, never found on the table, covers 55 to 100 % of every view."""
    scan = np.full((128, 128, 3), (0, 255, 0), dtype=np.uint8)
    shares = []
    for number in range(200):
        view = camera_view(scan, 64, view_generator(0, "train", "a", number)).astype(int)
        shares.append(
            ((view[:, :, 1] - view[:, :, 0] > 25) & (view[:, :, 1] > view[:, :, 2])).mean()
        )
    assert 0.65 < np.mean(shares) < 0.97
    assert np.percentile(shares, 5) > 0.45


def test_views_are_hard_but_not_hopeless(scans: np.ndarray) -> None:
    """Comparing blurred grey pixels finds some cards, and by no means all of them."""
    many = np.stack([stretch(draw_card(number, height=160), 2 * SIZE) for number in range(60)])

    def described(images: np.ndarray) -> np.ndarray:
        small = np.stack([cv2.cvtColor(stretch(i, 12), cv2.COLOR_RGB2GRAY) for i in images])
        rows = small.reshape(len(images), -1).astype(float)
        rows -= rows.mean(axis=1, keepdims=True)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    pictures, labels = camera_views(many, ids(60), size=SIZE, seed=5, stream="query", per_card=4)
    best = (described(pictures) @ described(many).T).argmax(axis=1)
    assert 0.25 < (best == labels).mean() < 0.97


def test_scans_size_hardly_changes_the_view() -> None:
    """Large scans are averaged down, not sampled: no aliasing, and the same picture."""
    large = stretch(draw_card(3, height=1024), 1024)
    small = stretch(large, 128)
    for number in range(10):
        first, second = (
            camera_view(scan, 64, view_generator(0, "train", "a", number)).astype(float)
            for scan in (large, small)
        )
        assert np.abs(first - second).mean() < 6


def test_finest_stripes_become_grey_and_no_moire() -> None:
    """Nearly even in large scans, which are averaged down by area; in scans of twice the view's
    size, less than a third of their contrast is left."""
    for side, most in ((1024, 12), (128, 42)):
        stripes = np.zeros((side, side, 3), dtype=np.uint8)
        stripes[:, ::2] = 255
        for number in range(20):
            pose = draw_view(view_generator(0, "train", "a", number), "framed").pose
            view = render_view(stripes, replace(plain_view(), pose=pose), 64)
            assert view[20:44, 20:44].std() < most


@pytest.mark.parametrize("size", [32, 64, 640])
def test_any_size_of_the_contract_works(scans: np.ndarray, size: int) -> None:
    view = camera_view(scans[0], size, view_generator(0, "train", "a", 0))
    assert view.shape == (size, size, 3) and view.dtype == np.uint8 and view.std() > 5


def test_view_at_the_camera_s_resolution_is_brought_down_by_the_contract(
    scans: np.ndarray,
) -> None:
    """The same view, rendered larger and then averaged down as a device does it."""
    scale = scan_scale(32, 96)
    scan = stretch(draw_card(3, height=400), 32 * scale)
    view = camera_view(scan, 32, view_generator(0, "train", "a", 0), camera_side=96)
    large = camera_view(scan, 96, view_generator(0, "train", "a", 0))
    np.testing.assert_array_equal(view, stretch(large, 32))
    pictures, _ = camera_views(
        scan[None], ["a"], size=32, seed=0, stream="train", per_card=1, camera_side=96
    )
    assert pictures.shape == (1, 32, 32, 3)
    plain = camera_view(scan, 32, view_generator(0, "train", "a", 0), camera_side=16)
    np.testing.assert_array_equal(plain, camera_view(scan, 32, view_generator(0, "train", "a", 0)))


@pytest.mark.parametrize(
    ("size", "camera_side", "scale"), [(32, 0, 2), (32, 64, 2), (112, 256, 3), (224, 256, 2)]
)
def test_scans_are_at_least_as_large_as_the_camera_s_picture(
    size: int, camera_side: int, scale: int
) -> None:
    assert scan_scale(size, camera_side) == scale


def test_thread_count_of_opencv_is_restored() -> None:
    before = cv2.getNumThreads()
    with single_threaded_opencv():
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == before


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("stream 'test'", {"stream": "test"}),
        ("must not be negative", {"per_card": -1}),
        ("must not be negative", {"first": -1}),
    ],
)
def test_wrong_requests_are_refused(scans: np.ndarray, words: str, options: dict) -> None:
    with pytest.raises(ValueError, match=words):
        views(scans, **options)
    with pytest.raises(ValueError, match="12 scans but 2 card ids"):
        camera_views(scans, ["a", "b"], size=SIZE, seed=0, stream="train", per_card=1)
