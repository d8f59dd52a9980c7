"""Two renderers, one view; on the CPU here, on a GPU by the same code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.card_sets.scan import stretch
from recognition.sample_cards.drawing import draw_card
from recognition.views.camera_opencv import render_view
from recognition.views.effect_sheet import single_effects
from recognition.views.parameters import (
    Noise,
    ViewParameters,
    draw_view,
    plain_view,
    view_generator,
)
from tests.properties import examples
from training.data import gpu_views
from training.data.batches import Batches, CardDataset
from training.data.gpu_batches import GpuBatches
from training.data.gpu_views import render_views, shrink
from training.data.jpeg import jpeg
from training.distributed.ranks import SINGLE_PROCESS, Ranks

SIZE = 64
VIEWS = 48


@pytest.fixture(scope="module")
def scans() -> np.ndarray:
    cards = [stretch(draw_card(number, seed=1, height=336), 2 * SIZE) for number in range(6)]
    return np.stack([cards[i % 6] for i in range(VIEWS)])


def drawn(number: int) -> ViewParameters:
    return draw_view(view_generator(1, "train", "card", number))


def both(scans: np.ndarray, parameters: list[ViewParameters]) -> tuple[np.ndarray, np.ndarray]:
    ours = render_views(torch.from_numpy(scans), parameters, SIZE).numpy().astype(int)
    theirs = [render_view(s, p, SIZE) for s, p in zip(scans, parameters, strict=True)]
    return ours, np.stack(theirs).astype(int)


def test_view_is_the_same_by_either_renderer(scans: np.ndarray) -> None:
    parameters = [replace(drawn(i), quality=None) for i in range(VIEWS)]
    assert any(p.holo.strength for p in parameters) and any(p.sleeve.haze for p in parameters)
    assert any(p.finger.half_width for p in parameters) and any(
        p.glare.strength for p in parameters
    )
    assert any(p.blur for p in parameters) and any(p.motion.length for p in parameters)
    ours, theirs = both(scans, parameters)
    difference = np.abs(ours - theirs).mean(axis=(1, 2, 3))
    assert difference.max() < 3 and difference.mean() < 1, difference
    for one, other in zip(ours, theirs, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99


def test_view_after_jpeg_is_the_same_by_either_renderer(scans: np.ndarray) -> None:
    ours, theirs = both(scans, [drawn(i) for i in range(VIEWS)])
    difference = np.abs(ours - theirs).mean(axis=(1, 2, 3))
    assert difference.max() < 4 and difference.mean() < 2, difference


def test_view_does_not_depend_on_its_batch(scans: np.ndarray) -> None:
    parameters = [drawn(i) for i in range(VIEWS)]
    pixels = torch.from_numpy(scans)
    whole = render_views(pixels, parameters, SIZE).int()
    assert torch.equal(whole, render_views(pixels, parameters, SIZE).int())
    for i in range(VIEWS):
        alone = render_views(pixels[i : i + 1], parameters[i : i + 1], SIZE).int()
        # Kernels are padded to the batch's longest: other sums, the same to a rounding.
        assert (whole[i] - alone[0]).abs().max() <= 1, i


def test_many_views_are_rendered_in_parts(
    scans: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = [drawn(i) for i in range(VIEWS)]
    pixels = torch.from_numpy(scans)
    whole = render_views(pixels, parameters, SIZE).int()
    monkeypatch.setattr(gpu_views, "_GROUP", 7)
    assert (render_views(pixels, parameters, SIZE).int() - whole).abs().max() <= 1


def test_half_precision_around_it_changes_nothing(scans: np.ndarray) -> None:
    parameters = [drawn(i) for i in range(VIEWS)]
    pixels = torch.from_numpy(scans)
    exact = render_views(pixels, parameters, SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(render_views(pixels, parameters, SIZE), exact)


@pytest.mark.parametrize("name", single_effects())
def test_each_effect_is_the_same_by_either_renderer(scans: np.ndarray, name: str) -> None:
    ours, theirs = both(scans[:2], [single_effects()[name]] * 2)
    assert np.abs(ours - theirs).mean() < (2 if name == "JPEG" else 0.6)


@pytest.mark.parametrize(("size", "side"), [(32, 64), (50, 100), (50, 70), (64, 300), (112, 224)])
def test_other_sizes_of_view_and_scan(size: int, side: int) -> None:
    cards = np.stack([stretch(draw_card(number, height=512), side) for number in range(8)])
    parameters = [replace(drawn(i), quality=None) for i in range(8)]
    ours = render_views(torch.from_numpy(cards), parameters, size).numpy().astype(int)
    for scan, view, picture in zip(cards, parameters, ours, strict=True):
        assert np.abs(picture - render_view(scan, view, size)).mean() < 2


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=4))
def test_any_views_have_their_form_and_are_not_mirrored(numbers: list[int]) -> None:
    """The red half of a card stays on the left."""
    card = np.zeros((64, 64, 3), np.uint8)
    card[:, :32, 0], card[:, 32:, 2] = 200, 200
    many = torch.from_numpy(np.stack([card] * len(numbers)))
    views = render_views(many, [drawn(number) for number in numbers], 32)
    assert views.shape == (len(numbers), 32, 32, 3) and views.dtype == torch.uint8
    posed = [replace(plain_view(), pose=drawn(number).pose) for number in numbers]
    for picture in render_views(many, posed, 32).float():
        assert picture[12:20, 6:12, 0].mean() > picture[12:20, 20:26, 0].mean() + 50


def test_plain_view_is_the_scan(scans: np.ndarray) -> None:
    card = scans[:1]
    seen = render_views(torch.from_numpy(card), [plain_view()], SIZE)[0].numpy().astype(int)
    small = shrink(torch.from_numpy(card), SIZE)[0].numpy()
    np.testing.assert_array_equal(small, stretch(card[0], SIZE))
    inner = np.s_[4:-4, 4:-4]
    assert np.abs(seen[inner] - small[inner]).mean() < 6


def test_gpu_noise_equals_the_noise_bank(scans: np.ndarray) -> None:
    quiet = plain_view()
    # A stretch that runs over the bank's end, too.
    loud = [replace(quiet, noise=Noise(5.0, start)) for start in (0, 2**20 - 100)]
    ours, theirs = both(scans[:2], loud)
    silent, _ = both(scans[:2], [quiet, quiet])
    assert 3 < (ours - silent).std() < 6
    assert np.abs(ours - theirs).mean() < 1


@pytest.mark.parametrize("quality", [1, 10, 40, 50, 75, 95, 100])
@pytest.mark.parametrize(("high", "wide"), [(64, 64), (50, 50), (50, 35), (7, 9), (8, 8)])
def test_jpeg_is_libjpegs(quality: int, high: int, wide: int) -> None:
    card = draw_card(3, height=512)
    picture = np.asarray(cv2.resize(card, (wide, high), interpolation=cv2.INTER_AREA))
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    theirs = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB).astype(int)
    ours = jpeg(torch.from_numpy(picture).permute(2, 0, 1)[None].float(), [quality])
    found = ours[0].permute(1, 2, 0).numpy()
    assert (found == found.round()).all() and found.min() >= 0 and found.max() <= 255
    lost = np.abs(theirs - picture.astype(int)).mean()
    assert np.abs(found - theirs).mean() < max(0.6, 0.2 * lost)


def test_scans_and_parameters_must_match(scans: np.ndarray) -> None:
    with pytest.raises(ValueError, match="2 scans but parameters of 1"):
        render_views(torch.from_numpy(scans[:2]), [plain_view()], SIZE)
    for wrong in (scans[0], scans[..., :2], scans.astype(np.float32)):
        with pytest.raises(ValueError, match="give uint8 RGB images"):
            render_views(torch.from_numpy(wrong), [plain_view()], SIZE)
    assert render_views(torch.from_numpy(scans[:0]), [], SIZE).shape == (0, SIZE, SIZE, 3)


def test_gpu_s_batches_are_the_processor_s(tiny_cards: Callable[..., CardDataset]) -> None:
    """The device is the CPU here; the cards, the order and the numbers are the same."""
    cards = tiny_cards("stage1", teacher_views=2, weight_feature_map=0.0)
    ours = GpuBatches(cards, 3, device=torch.device("cpu"))
    for step, (one, other) in enumerate(zip(ours.begin(), Batches(cards, 3).begin(), strict=True)):
        for name in ("cards", "sources", "turns", "fed"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), step
        assert isinstance(one.views, torch.Tensor) and one.views.dtype == torch.uint8
        seen = np.abs(one.views.numpy().astype(int) - other.views).mean(axis=(1, 2, 3))
        assert seen.max() < 6
        assert np.abs(one.scans.numpy().astype(int) - other.scans).max() <= 1
    part = ours.batch(0).part(1, 2)
    assert len(part.views) == 4 and part.fed == 2


@pytest.mark.trained
def test_student_learns_from_a_gpu_s_batches(
    tiny_cards: Callable[..., CardDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.silent_observer import SilentObserver
    from training.jobs import fitting
    from training.jobs.distillation import distil
    from training.loop.training_loop import TrainingContext
    from training.models.networks import build_model
    from training.reporting.evaluation import ModelEmbedder

    def on_a_gpu(
        device: torch.device, cards: CardDataset, steps: int, ranks: Ranks = SINGLE_PROCESS
    ) -> Batches:
        return GpuBatches(cards, steps, ranks, device=device)

    monkeypatch.setattr(fitting, "batches_on", on_a_gpu)
    cards = tiny_cards("stage1", weight_kl=0.0)
    taught_by = tiny_cards().config
    teacher = ModelEmbedder(build_model(taught_by).eval(), taught_by, torch.device("cpu"))
    _, history = distil(
        build_model(cards.config), teacher, cards, TrainingContext(SilentObserver())
    )
    assert history.steps == 4 and np.isfinite(history.loss)
