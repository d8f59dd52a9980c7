"""Each effect by itself: it changes what it should and only that; without any, nothing changes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recognition.card_sets.scan import stretch
from recognition.sample_cards.drawing import draw_card
from recognition.views.camera import camera_view
from recognition.views.camera_opencv import canvas_side, render_view
from recognition.views.effect_sheet import draw_view_sheet, single_effects
from recognition.views.effects import homographies, motion_kernels, sleeve_veils
from recognition.views.parameters import (
    NOISE_BANK,
    Colour,
    Finger,
    Glare,
    Holo,
    Light,
    Motion,
    Noise,
    Pose,
    Shadow,
    Sleeve,
    ViewParameters,
    draw_view,
    plain_view,
    view_generator,
)
from tests.properties import examples

SIZE = 64
PLAIN = plain_view()
SMALL = replace(PLAIN, pose=PLAIN.pose._replace(fill=0.8))
FOIL = Holo(0.5, 0.7, 1.0, 0.1, 0.2, 0.1, 0.7, 0.0, 0.0, 1.0, 1.0, False)
WINDOW = FOIL._replace(left=0.1, top=0.1, right=0.9, bottom=0.5)
SLEEVE = Sleeve(0.08, 0.15, 0.5, 0.6, 1.5, 3.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture(scope="module")
def scan() -> np.ndarray:
    return stretch(draw_card(5, height=512), 2 * SIZE)


def grey(value: int) -> np.ndarray:
    return np.full((2 * SIZE, 2 * SIZE, 3), value, dtype=np.uint8)


def view_of(scan: np.ndarray, parameters: ViewParameters) -> np.ndarray:
    return render_view(scan, parameters, SIZE).astype(float)


@pytest.mark.parametrize("size", [32, 50, 64, 224])
def test_without_effects_a_view_is_the_scan(size: int) -> None:
    large = stretch(draw_card(5, height=1024), 2 * size)
    view = render_view(large, PLAIN, size).astype(float)
    difference = np.abs(view - stretch(large, size))
    # Both average, over slightly other neighbours.
    assert difference.mean() < 5 and np.abs(view.mean() - large.mean()) < 0.5
    even = np.full_like(large, 77)
    assert (render_view(even, PLAIN, size) == 77).all()


def test_rendering_does_not_change_the_scan(scan: np.ndarray) -> None:
    for side in (2 * SIZE, canvas_side(SIZE)):
        given = stretch(scan, side)
        before = given.copy()
        for parameters in single_effects().values():
            render_view(given, parameters, SIZE)
        np.testing.assert_array_equal(given, before)


def test_every_effect_changes_the_view(scan: np.ndarray) -> None:
    tiles = single_effects()
    plain = view_of(scan, tiles.pop("no effect"))
    for name, parameters in tiles.items():
        assert np.abs(view_of(scan, parameters) - plain).mean() > 0.5, name


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([32, 49, 64]))
def test_any_view_has_its_form_and_is_never_mirrored(number: int, size: int) -> None:
    """A card of two halves, whose left is red and whose top is bright, stays so."""
    scan = np.zeros((2 * size, 2 * size, 3), dtype=np.uint8)
    scan[:, :size, 0], scan[:, size:, 2] = 200, 200
    scan[:size, :, 1] = 160
    drawn = draw_view(view_generator(0, "train", "a", number))
    full = render_view(scan, drawn, size)
    assert full.shape == (size, size, 3) and full.dtype == np.uint8
    # Without the lights and the finger, which may turn any colour into any other.
    dull = replace(PLAIN, pose=drawn.pose, table=drawn.table, blur=drawn.blur, motion=drawn.motion)
    view = render_view(scan, dull, size).astype(float)
    near, far = slice(size // 5, 2 * size // 5), slice(3 * size // 5, 4 * size // 5)
    middle = slice(2 * size // 5, 3 * size // 5)
    assert view[middle, near, 0].mean() > view[middle, far, 0].mean() + 50
    assert view[middle, far, 2].mean() > view[middle, near, 2].mean() + 50
    assert view[near, middle, 1].mean() > view[far, middle, 1].mean() + 50


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**6), st.integers(40, 500), st.integers(40, 500))
def test_homography_is_a_pinhole_cameras(number: int, width: int, height: int) -> None:
    """The four corners, turned and projected one by one, are where the matrix puts them."""
    pose, side = draw_view(view_generator(0, "train", "a", number), "framed").pose, 96
    matrix = homographies([pose], width, height, side)[0]
    for right, low in ((0, 0), (1, 0), (1, 1), (0, 1)):
        flat_x, flat_y = (right - 0.5) * 63.0, (low - 0.5) * 88.0
        x = flat_x * math.cos(pose.roll) - flat_y * math.sin(pose.roll)
        y = flat_x * math.sin(pose.roll) + flat_y * math.cos(pose.roll)
        away = pose.distance * 88.0
        depth = away / (away + y * math.sin(pose.pitch) + x * math.sin(pose.yaw))
        u = 0.5 + pose.right + pose.fill * depth * x * math.cos(pose.yaw) / 63.0
        v = 0.5 + pose.down + pose.fill * depth * y * math.cos(pose.pitch) / 88.0
        found = matrix @ (right * width - 0.5, low * height - 0.5, 1.0)
        np.testing.assert_allclose(found[:2] / found[2], (u * side - 0.5, v * side - 0.5))


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**6), st.integers(40, 500), st.integers(40, 500))
def test_rectified_card_s_corners_lie_where_they_were_drawn(
    number: int, width: int, height: int
) -> None:
    pose, side = draw_view(view_generator(0, "train", "a", number), "rectified").pose, 96
    matrix = homographies([pose], width, height, side)[0]
    corners = np.reshape(pose.corners, (4, 2))
    for (right, low), place in zip(((0, 0), (1, 0), (1, 1), (0, 1)), corners, strict=True):
        found = matrix @ (right * width - 0.5, low * height - 0.5, 1.0)
        np.testing.assert_allclose(found[:2] / found[2], place * side - 0.5, atol=1e-9)


def test_foil_shines_where_it_is_and_nowhere_else(scan: np.ndarray) -> None:
    plain = view_of(scan, PLAIN)
    change = np.abs(view_of(scan, replace(PLAIN, holo=WINDOW)) - plain).mean(axis=2)
    inside, below = change[9:30, 9:55], change[36:, :]
    assert inside.mean() > 5 and below.max() == 0
    around = replace(PLAIN, holo=WINDOW._replace(around=True))
    change = np.abs(view_of(scan, around) - plain).mean(axis=2)
    assert change[9:30, 9:55].max() == 0 and change[36:, :].mean() > 3


def test_foil_runs_through_the_hues() -> None:
    """On grey, every channel leads somewhere: red, green and blue bands follow each other."""
    even = FOIL._replace(band_width=100.0, bend=0.0, angle=0.0)
    view = view_of(grey(90), replace(PLAIN, holo=even))
    leads = np.argmax(view[SIZE // 2], axis=1)
    assert {0, 1, 2} == set(leads.tolist())
    # Two orders over the card: each hue comes twice, and along the grooves nothing changes.
    assert 5 <= int((np.diff(leads) != 0).sum()) <= 7
    assert np.abs(view[10] - view[50]).max() <= 1
    # Foil lights up dark print; from white it takes what is not of the hue.
    dark, white = (
        view_of(grey(value), replace(PLAIN, holo=even)).mean() - value for value in (20, 250)
    )
    assert dark > 40 and white < 0


def test_sleeve_is_a_lighter_border_around_the_card() -> None:
    bare = view_of(grey(60), replace(SMALL, table=np.full((1, 1, 3), 30, np.uint8)))
    dressed = view_of(
        grey(60), replace(SMALL, table=np.full((1, 1, 3), 30, np.uint8), sleeve=SLEEVE)
    )
    gain = (dressed - bare).mean(axis=2)
    # From left to right through the middle: table, the welded line, the rim, the hazy card.
    row = gain[SIZE // 2]
    card_left = round(0.1 * SIZE)
    assert row[0] == 0 and gain[0].max() == 0
    assert abs(gain[20:44, 20:44].mean() - 0.08 * 195) < 1
    assert row[card_left - 3 : card_left].max() > 1.8 * row[SIZE // 2]
    # It stands over the card's top further than over its bottom.
    column = gain[:, SIZE // 2] > 0
    top, bottom = int(np.argmax(column)), int(np.argmax(column[::-1]))
    assert top < bottom


def test_sleeves_reflection_is_a_streak() -> None:
    streak = SLEEVE._replace(streak=0.3, streak_angle=0.0, streak_place=0.4, streak_width=0.15)
    with_it, without = (
        view_of(grey(60), replace(PLAIN, sleeve=sleeve)) for sleeve in (streak, SLEEVE)
    )
    extra = (with_it - without).mean(axis=(0, 2))
    assert abs(int(extra.argmax()) - 0.7 * SIZE) <= 1
    assert extra.max() > 45 and extra[: SIZE // 2].max() < 2


def test_sleeves_veil_never_hides_the_card() -> None:
    sleeves = [draw_view(view_generator(0, "train", "a", k)).sleeve for k in range(200)]
    veils = sleeve_veils([sleeve for sleeve in sleeves if sleeve.haze], 96)
    assert veils.dtype == np.uint8 and veils.max() <= 0.9 * 255 + 0.5
    assert (veils[:, 48, 48] > 0).all() and veils[:, 0, :].max() == 0


@pytest.mark.parametrize(("edge", "rows"), [(0, slice(0, 8)), (2, slice(-8, None))])
def test_finger_comes_from_its_edge(edge: int, rows: slice) -> None:
    finger = Finger(0.07, 0.5, 0.1, 0.0, edge, 220.0, 170.0, 140.0)
    change = np.abs(view_of(grey(60), replace(PLAIN, finger=finger)) - 60).mean(axis=2)
    assert change[rows, 24:40].mean() > 30
    assert change[24:40].max() == 0 and change[:, :16].max() == 0


def test_blur_and_motion_keep_the_light_and_lose_detail(scan: np.ndarray) -> None:
    plain = view_of(scan, PLAIN)

    def detail(view: np.ndarray, axis: int) -> float:
        return float(np.abs(np.diff(view, axis=axis)).mean())

    blurred = view_of(scan, replace(PLAIN, blur=0.011))
    assert abs(blurred.mean() - plain.mean()) < 1
    assert detail(blurred, 0) < 0.9 * detail(plain, 0)
    moved = view_of(scan, replace(PLAIN, motion=Motion(0.045, 0.0)))
    assert detail(moved, 1) < 0.8 * detail(plain, 1)
    assert detail(moved, 0) / detail(plain, 0) > detail(moved, 1) / detail(plain, 1) + 0.1


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.015, 0.045), st.floats(0, math.pi)).map(lambda m: Motion(*m)),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([32, 64, 224, 640]),
)
def test_motion_kernels_keep_the_light_and_do_not_shift(motions: list[Motion], size: int) -> None:
    kernels, radii = motion_kernels(motions, size)
    side = kernels.shape[1]
    assert side == 2 * max(radii) + 1 and (kernels >= 0).all()
    np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(kernels, kernels[:, ::-1, ::-1], atol=1e-6)
    for kernel, motion, radius in zip(kernels, motions, radii, strict=True):
        alone, _ = motion_kernels([motion], size)
        rim = max(radii) - radius
        np.testing.assert_allclose(kernel[rim : side - rim, rim : side - rim], alone[0], atol=1e-6)


def test_light_and_colour() -> None:
    assert view_of(grey(100), replace(PLAIN, light=Light(0.7, 0.0, 0.0))).mean() == 70
    sloped = view_of(grey(100), replace(PLAIN, light=Light(1.0, 0.3, 0.0)))
    assert sloped[:, -1].mean() > 127 and sloped[:, 0].mean() < 73
    shadow = view_of(grey(200), replace(PLAIN, shadow=Shadow(0.5, 0.0, 0.0, 14.0)))
    assert shadow[:, 0].mean() > 195 and shadow[:, -1].mean() < 105
    assert (view_of(grey(100), replace(PLAIN, haze=20.0)) == 120).all()
    glare = view_of(grey(50), replace(PLAIN, glare=Glare(150.0, 0.0, 0.5, -0.5, 0.3, 0.3)))
    brightest = np.unravel_index(glare.mean(axis=2).argmax(), (SIZE, SIZE))
    assert abs(brightest[0] - 16) < 6 and abs(brightest[1] - 48) < 6
    warm = view_of(grey(100), replace(PLAIN, colour=Colour(1.0, 0.2, 0.0))).mean(axis=(0, 1))
    np.testing.assert_allclose(warm, [122, 100, 82], atol=0.6)
    coloured = grey(0) + np.array([200, 100, 50], dtype=np.uint8)
    pale = view_of(coloured, replace(PLAIN, colour=Colour(0.65, 0.0, 0.0))).mean(axis=(0, 1))
    assert np.ptp(pale) == pytest.approx(0.65 * 150, abs=1)


def test_noise_is_of_its_strength_and_begins_again_at_the_banks_end() -> None:
    for start in (0, 12345, NOISE_BANK - 1, NOISE_BANK - 3 * SIZE):
        noisy = view_of(grey(128), replace(PLAIN, noise=Noise(5.0, start)))
        assert abs(noisy.std() - 5) < 0.3 and abs(noisy.mean() - 128) < 0.3
    last = view_of(grey(128), replace(PLAIN, noise=Noise(5.0, NOISE_BANK - 3))).ravel()
    first = view_of(grey(128), replace(PLAIN, noise=Noise(5.0, 0))).ravel()
    np.testing.assert_array_equal(last[3:], first[:-3])


def test_large_view_takes_more_noise_than_the_bank_has() -> None:
    view = render_view(grey(128), replace(PLAIN, noise=Noise(5.0, NOISE_BANK // 2)), 640)
    assert abs(view.astype(float).std() - 5) < 0.3


def test_jpeg_is_opencvs_own(scan: np.ndarray) -> None:
    plain = render_view(scan, PLAIN, SIZE)
    _, content = cv2.imencode(".jpg", plain[:, :, ::-1].copy(), [cv2.IMWRITE_JPEG_QUALITY, 40])
    wanted = cv2.imdecode(content, cv2.IMREAD_COLOR)[:, :, ::-1]
    np.testing.assert_array_equal(render_view(scan, replace(PLAIN, quality=40), SIZE), wanted)


def test_camera_view_draws_then_renders(scan: np.ndarray) -> None:
    drawn = draw_view(view_generator(1, "train", "a", 7))
    view = camera_view(scan, SIZE, view_generator(1, "train", "a", 7))
    np.testing.assert_array_equal(view, render_view(scan, drawn, SIZE))


def test_pose_moves_and_scales() -> None:
    """A white card on black: its middle and its width in the view are the pose's."""
    pose = Pose(0.0, 0.0, 0.0, 0.8, 1e6, 0.05, -0.04)
    black = np.zeros((1, 1, 3), np.uint8)
    lit = view_of(grey(255), replace(PLAIN, pose=pose, table=black))[..., 0] / 255
    line = (np.arange(SIZE) + 0.5) / SIZE
    assert lit.sum(axis=1).max() / SIZE == pytest.approx(0.8, abs=0.02)
    assert (lit.mean(axis=0) * line).sum() / lit.mean(axis=0).sum() == pytest.approx(0.55, abs=0.01)
    assert (lit.mean(axis=1) * line).sum() / lit.mean(axis=1).sum() == pytest.approx(0.46, abs=0.01)


def test_sheet_shows_every_effect_and_the_random_views(scan: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "new" / "views.png"
    draw_view_sheet(scan, path, size=48, views=0)
    small = Image.open(path)
    draw_view_sheet(scan, path, size=48, views=9)
    large = Image.open(path)
    assert large.format == "PNG" and large.width == small.width and large.height > small.height
    again = tmp_path / "again.png"
    draw_view_sheet(scan, again, size=48, views=9)
    assert again.read_bytes() == path.read_bytes()
    assert [item.name for item in path.parent.iterdir()] == ["views.png"]


def test_sheet_that_cannot_be_drawn_is_refused(scan: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="-1 views"):
        draw_view_sheet(scan, tmp_path / "a.png", views=-1)
    with pytest.raises(ValueError, match="float64"):
        draw_view_sheet(scan.astype(float), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
