from __future__ import annotations

import itertools
import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.config import TrainingConfig
from training.data.batches import Batch
from training.data.normaliser import Normaliser
from training.errors import StopRequested, TrainingError
from training.loop.averaging import recalibrate
from training.loop.schedule import frozen_steps, learning_rate
from training.loop.training_loop import SCORE, TrainingContext, train, validation_steps
from training.losses.criterion import Criterion
from training.losses.shares import IdleTermError
from training.losses.term import LossInputs

pytestmark = pytest.mark.trained

Tiny = Callable[..., TrainingConfig]


class Small(nn.Module):
    """A model of the loop's shape: a backbone and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Linear(12, 8)
        self.projection = nn.Linear(8, 6)

    def forward(self, images: Tensor) -> Tensor:
        return self.projection(torch.tanh(self.backbone(images)))

    def head_parameters(self) -> Iterator[nn.Parameter]:
        return self.projection.parameters()

    def trainable_backbone_parameters(self) -> list[nn.Parameter]:
        return list(self.backbone.parameters())


class Silent:
    """Keeps what the loop reports."""

    def __init__(self) -> None:
        self.lines: list[dict[str, float]] = []
        self.validations: list[tuple[int, dict[str, float]]] = []
        self.said: list[str] = []

    def step(self, step: int, total: int, images: int) -> None: ...

    def metrics(self, step: int, metrics: dict[str, float]) -> None:
        self.lines.append(metrics)

    def validated(self, step: int, metrics: dict[str, float]) -> None:
        self.validations.append((step, metrics))

    def line(self, text: str) -> None:
        self.said.append(text)


def batches(count: int, seed: int = 0) -> list[Batch]:
    rng = np.random.default_rng(seed)
    return [
        Batch(
            rng.integers(0, 256, (8, 2, 2, 3), dtype=np.uint8),
            rng.integers(0, 256, (8, 2, 2, 3), dtype=np.uint8),
            np.arange(8),
            8,
            np.arange(8),
            np.zeros(8, np.int64),
        )
        for _ in range(count)
    ]


def forward(model: nn.Module, batch: Batch) -> LossInputs:
    views, scans = (
        model(torch.from_numpy(images).float().flatten(1) / 255)
        for images in (batch.views, batch.scans)
    )
    return LossInputs(views, scans, torch.from_numpy(batch.cards))


def run(config: TrainingConfig, count: int, given: list[Batch] | None = None, **settings: object):
    model = Small()
    criterion = Criterion(config, torch.eye(8, 6))
    report = Silent()
    whole = batches(count) if given is None else given
    context = {k: v for k, v in settings.items() if k != "forward"}
    result = train(
        model,
        criterion,
        lambda first: whole[first:],
        settings.get("forward", forward),
        config,
        count,
        TrainingContext(report, **context),
    )
    return *result, report


def test_train_lowers_the_loss_and_reports(tiny: Tiny) -> None:
    config = tiny(learning_rate=0.05, log_seconds=0.01, ema_decay=0)
    model, history, report = run(config, 60, batches(1) * 60)
    assert history.steps == 60 and history.images == 60 * 16
    assert report.lines[-1]["loss"] < 0.7 * report.lines[0]["loss"]
    assert sum(history.shares.values()) == pytest.approx(1)
    assert not model.training


def test_two_runs_are_equal_bit_for_bit(tiny: Tiny) -> None:
    first, second = (run(tiny(), 8)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_train_returns_the_averaged_weights(tiny: Tiny) -> None:
    seen: list[Tensor] = []

    def spy(model: nn.Module, batch: Batch) -> LossInputs:
        seen.append(model.projection.bias.detach().clone())
        return forward(model, batch)

    config = tiny(ema_decay=0.5, warmup_share=0)
    model, _, _ = run(config, 3, forward=spy)
    # Weights after step 1 and 2 were seen at steps 2 and 3; those after step 3 follow from the
    # recurrence, whose decays are min(0.5, 1/10, 2/11, 3/12).
    average = seen[0]
    for weights, decay in zip(seen[1:], (1 / 10, 2 / 11), strict=True):
        average = decay * average + (1 - decay) * weights
    last = (model.projection.bias - 0.25 * average) / 0.75
    assert not torch.allclose(last, seen[-1])
    plain, _, _ = run(replace(config, ema_decay=0.0), 3)
    assert torch.allclose(last, plain.projection.bias, atol=1e-6)


def test_nan_stops_and_names_the_step_and_term(tiny: Tiny) -> None:
    def broken(model: nn.Module, batch: Batch) -> LossInputs:
        inputs = forward(model, batch)
        broken.calls += 1
        return replace(inputs, views=inputs.views * math.nan) if broken.calls == 4 else inputs

    broken.calls = 0
    with pytest.raises(TrainingError, match=r"not finite at step 4 \(arcface nan.*learning_rate"):
        run(tiny(), 6, forward=broken)


def test_batch_that_gave_nan_is_kept(tiny: Tiny, tmp_path: Path) -> None:
    given = batches(6)

    def broken(model: nn.Module, batch: Batch) -> LossInputs:
        inputs = forward(model, batch)
        bad = np.array_equal(batch.views, given[3].views)
        return replace(inputs, views=inputs.views * math.nan) if bad else inputs

    with pytest.raises(TrainingError, match=r"output as bad-batch\.npz"):
        run(tiny(), 6, given, forward=broken, keep_bad_batch=tmp_path / "data")
    kept = np.load(tmp_path / "data" / "bad-batch.npz")
    np.testing.assert_array_equal(kept["views"], given[3].views)
    np.testing.assert_array_equal(kept["cards"], given[3].cards)
    assert json.loads(str(kept["about"])) == {
        "step": 4,
        "terms": {"arcface": "nan", "contrastive": "nan"},
    }


def test_loss_that_grows_stops_the_job(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(learning_rate=1e-8, log_seconds=1000, scan_share=1.0, divergence=1.3)

    def growing(model: nn.Module, batch: Batch) -> LossInputs:
        inputs = forward(model, batch)
        growing.calls += 1
        # Answers that point away from every prototype make ArcFace's loss large.
        wrong = -50 * torch.eye(8, 6)[batch.cards]
        bad = growing.calls > 25
        return replace(inputs, views=inputs.views * 0 + wrong) if bad else inputs

    growing.calls = 0
    with pytest.raises(TrainingError, match=r"training diverges: the loss was .* divergence 0"):
        run(config, 80, forward=growing, keep_bad_batch=tmp_path)
    assert (tmp_path / "bad-batch.npz").is_file()
    growing.calls = 0
    assert run(replace(config, divergence=0.0), 60, forward=growing)[1].steps == 60


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_add_up_to_the_batch(tiny: Tiny, parts: int) -> None:
    # ArcFace judges each row by itself, so parts of a batch give the batch's gradient.
    config = tiny(weight_contrastive=0.0, scan_share=1.0, ema_decay=0)
    whole, _, _ = run(config, 5)
    seen: list[int] = []

    def count(model: nn.Module, batch: Batch) -> LossInputs:
        seen.append(len(batch.views))
        return forward(model, batch)

    divided, history, _ = run(replace(config, accumulate=parts), 5, forward=count)
    assert seen == [8 // parts] * 5 * parts and history.images == 5 * 16
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(divided.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_validation_is_of_the_average_and_leaves_training_alone(tiny: Tiny) -> None:
    seen: list[Tensor] = []

    def validate(model: nn.Module) -> dict[str, float]:
        assert not model.training
        seen.append(model.projection.bias.detach().clone())
        return {SCORE: 0.5}

    config = tiny(validations=2)
    assert validation_steps(config, 9) == {3, 6}
    model, _, report = run(config, 9, validate=validate)
    plain, _, _ = run(tiny(), 9)
    assert [step for step, _ in report.validations] == [3, 6] and len(seen) == 2
    for name, value in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_early_stopping_keeps_the_best_weights(tiny: Tiny) -> None:
    scores = iter([0.2, 0.6, 0.5, 0.6])
    seen: list[Tensor] = []

    def validate(model: nn.Module) -> dict[str, float]:
        seen.append(model.projection.weight.detach().clone())
        return {SCORE: next(scores)}

    config = tiny(validations=9, patience=2)
    model, history, report = run(config, 50, validate=validate)
    assert history.stopped_early and history.steps == 20
    assert torch.equal(model.projection.weight, seen[1])
    assert "no better validation score than 0.6000" in report.said[-1]


def test_term_that_contributes_nothing_stops_the_job(tiny: Tiny) -> None:
    config = tiny(weight_arcface=1, weight_contrastive=1e-6)
    with pytest.raises(IdleTermError, match="contrastive"):
        run(config, 60)


def test_sigterm_ends_between_two_steps_and_restores_the_handler(tiny: Tiny) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def interrupted(model: nn.Module, batch: Batch) -> LossInputs:
        os.kill(os.getpid(), signal.SIGTERM)
        return forward(model, batch)

    with pytest.raises(StopRequested, match="after step 1 of 6"):
        run(tiny(), 6, forward=interrupted)
    assert signal.getsignal(signal.SIGTERM) is before


def test_frozen_backbone_stays_and_then_moves(tiny: Tiny) -> None:
    weights: list[Tensor] = []

    def spy(model: nn.Module, batch: Batch) -> LossInputs:
        weights.append(model.backbone.weight.detach().clone())
        return forward(model, batch)

    run(tiny(frozen_share=0.5, weight_decay=0.1), 8, forward=spy)
    assert all(torch.equal(weights[0], later) for later in weights[1:5])
    assert not torch.equal(weights[0], weights[5])


def test_too_few_batches_are_an_error(tiny: Tiny) -> None:
    with pytest.raises(TrainingError, match="2 batches came, 5 were expected"):
        run(tiny(), 5, batches(2))


def test_rate_warms_up_and_falls_to_zero_in_both_parts(tiny: Tiny) -> None:
    config = tiny(learning_rate=0.1, frozen_learning_rate=0.5, frozen_share=0.2, warmup_share=0.1)
    rates = [learning_rate(config, step, 100) for step in range(100)]
    assert frozen_steps(config, 100) == 20
    assert max(rates[:20]) == pytest.approx(0.5) and rates[1] == max(rates)
    assert max(rates[20:]) == pytest.approx(0.1) and rates[27] == max(rates[20:])
    assert rates[20] < rates[21] < rates[27] and rates[99] < 1e-3
    assert all(one >= other for one, other in itertools.pairwise(rates[28:]))


def test_recalibration_gives_the_plain_mean(tiny: Tiny) -> None:
    norm = nn.BatchNorm1d(3, momentum=0.1)
    images = [torch.full((4, 3), float(value)) + torch.arange(4.0)[:, None] for value in (0, 10)]
    recalibrate(norm, iter(images), norm)
    assert torch.allclose(norm.running_mean, torch.full((3,), 6.5))
    assert norm.momentum == 0.1 and not norm.training


def test_normalisation_is_the_contracts(tiny: Tiny) -> None:
    config = tiny(stage="stage1")
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[0, 4, 5] = (255, 128, 0)
    got = Normaliser(config, torch.device("cpu"))(image)
    assert got.shape == (1, 3, 32, 32) and got.is_contiguous(memory_format=torch.channels_last)
    contract = config.contract
    wanted = (np.array([255, 128, 0]) / 255 - contract.mean) / contract.std
    np.testing.assert_allclose(got[0, :, 4, 5], wanted, rtol=1e-5)
