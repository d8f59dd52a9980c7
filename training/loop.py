"""The training loop: one model, a stream of batches, weighted terms.

AdamW, linear warm-up and cosine decay, gradient clipping, an exponential moving average of the
weights, bf16 autocast and channels-last where the recipe says so. What differs between a teacher
and a student is in the ``forward`` that the caller gives.
"""

from __future__ import annotations

import itertools
import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from training.config import TrainingConfig
from training.data import Batch
from training.losses import Criterion, LossInputs, ShareWatch, gradient_shares
from training.models import CardModel
from training.ranks import ALONE, Ranks, average_gradients, gathered

#: The average follows the weights closely at first: decay is at most (1 + step) / (10 + step).
_EMA_DELAY = 10
#: Terms are watched for this share of the steps before an idle one stops the job.
_WATCH_SHARE = 0.1
_WATCH_EVERY = 10


class TrainingError(RuntimeError):
    """Training that cannot go on; names the step and the cause."""


class StopRequested(RuntimeError):
    """SIGTERM came: the job was stopped, or its machine is being taken back."""


class Report(Protocol):
    """Where the loop says what happens."""

    def step(self, step: int, total: int, images: int) -> None:
        """A step is done; ``images`` were trained on so far."""

    def figures(self, step: int, figures: dict[str, float]) -> None:
        """Means since the last call: loss, each term's share, learning rate, images a second."""


@dataclass
class History:
    """What the run measured about itself.

    Attributes:
        steps: Optimiser steps done.
        images: Images trained on (views and clean scans).
        seconds: Time in the loop.
        loss: Mean weighted loss of the last figures.
        shares: Each term's share of the gradient, mean over the run.
    """

    steps: int = 0
    images: int = 0
    seconds: float = 0.0
    loss: float = math.nan
    shares: dict[str, float] = field(default_factory=dict)


def train(
    model: CardModel,
    criterion: Criterion,
    batches: Iterable[Batch],
    forward: Callable[[CardModel, Batch], LossInputs],
    config: TrainingConfig,
    total: int,
    report: Report,
    ranks: Ranks = ALONE,
) -> tuple[CardModel, History]:
    """Trains a model in place and returns its averaged copy.

    Args:
        model: On its device; trained in place.
        criterion: The weighted terms; its own parameters are trained, too.
        batches: ``total`` batches.
        forward: Runs the model on a batch and gives the loss its inputs.
        config: Rates, clipping, precision.
        total: Optimiser steps.
        report: Told about progress.
        ranks: This process among those of the run; each is given its part of the batches.

    Returns:
        The model with averaged weights (and the trained model's BatchNorm statistics), in
        evaluation mode, and the history.

    Raises:
        TrainingError: The loss or the gradient is not finite.
        IdleTermError: A loss term contributes nothing.
        StopRequested: SIGTERM.
    """
    schedule = _Schedule(model, criterion, config, total)
    average = _Average(model, config.ema_decay)
    watch = ShareWatch(criterion.weights)
    history = History()
    sums = _Sums()
    share_sums, share_count = dict.fromkeys(criterion.weights, 0.0), 0
    watched = max(1, int(total * _WATCH_SHARE))
    started = last = time.monotonic()
    model.train()
    with _stop_signal() as stopping:
        for step, batch in enumerate(batches):
            rate = schedule.set(step)
            inputs = gathered(forward(model, batch), ranks)
            terms = criterion(inputs)
            loss = torch.stack(list(terms.values())).sum()
            if not bool(torch.isfinite(loss)):
                _not_finite(step, terms)
            if step % _WATCH_EVERY == 0:
                shares = gradient_shares(terms, inputs.trained)
                for name, share in shares.items():
                    share_sums[name] += share
                share_count += 1
                sums.add_shares(shares)
                watch.add(shares)
                if watched <= step < watched + _WATCH_EVERY:
                    watch.check()
            schedule.optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            average_gradients(schedule.parameters, ranks)
            norm = nn.utils.clip_grad_norm_(schedule.parameters, config.clip_norm)
            if not bool(torch.isfinite(norm)):
                _not_finite(step, terms, "gradient")
            schedule.optimiser.step()
            average.update(model, step)
            history.steps = step + 1
            history.images += len(inputs.views) + len(inputs.scans)
            sums.add(float(loss.detach()), terms)
            report.step(step + 1, total, history.images)
            now = time.monotonic()
            if now - last >= config.log_seconds or step + 1 == total:
                pace = history.images / (now - started)
                figures = sums.take()
                history.loss = figures["loss"]
                report.figures(
                    step + 1, {**figures, "learning_rate": rate, "images_per_second": pace}
                )
                last = now
            if stopping.is_set:
                raise StopRequested(
                    f"stopped by SIGTERM after step {step + 1} of {total}; nothing was registered"
                )
    if history.steps != total:
        raise TrainingError(f"{history.steps} batches came, {total} were expected")
    watch.check()
    history.seconds = time.monotonic() - started
    history.shares = {name: value / max(1, share_count) for name, value in share_sums.items()}
    return average.model(model), history


def recalibrate(
    model: nn.Module, images: Iterator[Tensor], forward: Callable[[Tensor], object]
) -> None:
    """Measures BatchNorm's statistics anew, as plain means over the given batches.

    Without batches the running statistics stay.

    The averaged weights never trained with the running statistics that they inherit
    (Izmailov et al. 2018, https://arxiv.org/abs/1803.05407, do the same).
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    first = next(iter(images), None)
    if not norms or first is None:
        return
    momenta = [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for batch in itertools.chain([first], images):
            forward(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


class Normaliser:
    """uint8 NHWC arrays to normalised float NCHW tensors, by the contract."""

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        contract = config.contract
        mean = torch.tensor(contract.mean, device=device)
        std = torch.tensor(contract.std, device=device)
        self._scale = (1 / (255 * std)).view(1, 3, 1, 1)
        self._offset = (-mean / std).view(1, 3, 1, 1)
        self._format = torch.channels_last if config.channels_last else torch.contiguous_format

    def __call__(self, images: np.ndarray) -> Tensor:
        """uint8 (N, S, S, 3) to float32 (N, 3, S, S)."""
        pixels = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2)
        return (pixels.float() * self._scale + self._offset).contiguous(memory_format=self._format)


class _Average:
    """The exponential moving average of a model's parameters."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._values = [p.detach().clone() for p in model.parameters()]

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self._decay, (1 + step) / (_EMA_DELAY + step))
        current = [p.detach() for p in model.parameters()]
        torch._foreach_lerp_(self._values, current, 1 - decay)

    @torch.no_grad()
    def model(self, model: CardModel) -> CardModel:
        for parameter, value in zip(model.parameters(), self._values, strict=True):
            parameter.copy_(value)
        return model.eval()


class _Sums:
    """Means between two lines of the log."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, int]] = {}

    def _add(self, name: str, value: float) -> None:
        total, count = self._values.get(name, (0.0, 0))
        self._values[name] = (total + value, count + 1)

    def add(self, loss: float, terms: dict[str, Tensor]) -> None:
        self._add("loss", loss)
        for name, value in terms.items():
            self._add(f"loss_{name}", float(value.detach()))

    def add_shares(self, shares: dict[str, float]) -> None:
        for name, share in shares.items():
            self._add(f"share_{name}", share)

    def take(self) -> dict[str, float]:
        means = {name: total / count for name, (total, count) in self._values.items()}
        self._values = {}
        return means


@dataclass
class _Stop:
    is_set: bool = False


@contextmanager
def _stop_signal() -> Iterator[_Stop]:
    """Notes SIGTERM instead of dying in the middle of a step; restores the handler after."""
    stop = _Stop()

    def note(number: int, frame: FrameType | None) -> None:
        stop.is_set = True

    try:
        previous = signal.signal(signal.SIGTERM, note)
    except ValueError:  # not the main thread; the process then ends as it would
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, previous)


def learning_rate(config: TrainingConfig, step: int, total: int) -> float:
    """Linear warm-up, then a cosine to zero; anew where the frozen part ends.

    Args:
        config: The rates and shares.
        step: Counts from 0.
        total: Steps of the run.

    Returns:
        The backbone's rate; while it is frozen, the head's.
    """
    frozen = frozen_steps(config, total)
    peak = config.frozen_learning_rate if step < frozen else config.learning_rate
    here, length = (step, frozen) if step < frozen else (step - frozen, total - frozen)
    warm = config.warmup_share * length
    if here < warm:
        return peak * (here + 1) / max(1.0, warm)
    return peak * 0.5 * (1 + math.cos(math.pi * (here - warm) / max(1.0, length - warm)))


def frozen_steps(config: TrainingConfig, total: int) -> int:
    """How many of the first steps leave the backbone as it is."""
    return int(config.frozen_share * total)


class _Schedule:
    """Sets the optimiser's rates, and which parameters have a gradient at all."""

    def __init__(
        self, model: CardModel, criterion: Criterion, config: TrainingConfig, total: int
    ) -> None:
        self._config, self._total = config, total
        self._backbone = model.trainable_backbone_parameters(config.trainable_blocks)
        for parameter in model.backbone.parameters():
            parameter.requires_grad_(False)
        head = [*model.head_parameters(), *criterion.parameters()]
        groups = []
        for parameters, factor in ((self._backbone, 0.0), (head, 1.0)):
            # Biases and norms without decay.
            for decayed in (True, False):
                some = [p for p in parameters if (p.ndim > 1) == decayed]
                if some:
                    decay = config.weight_decay if decayed else 0.0
                    groups.append({"params": some, "weight_decay": decay, "head": factor})
        self.optimiser = torch.optim.AdamW(
            groups,
            lr=config.learning_rate,
            betas=(0.9, config.second_moment_decay),
            fused=True,
        )
        self.parameters = [*self._backbone, *head]

    def set(self, step: int) -> float:
        """Prepares a step; returns the learning rate."""
        frozen = frozen_steps(self._config, self._total)
        if step in (0, frozen):
            for parameter in self._backbone:
                parameter.requires_grad_(step >= frozen)
        rate = learning_rate(self._config, step, self._total)
        for group in self.optimiser.param_groups:
            faster = group["head"] and step >= frozen
            group["lr"] = rate * (self._config.head_rate_factor if faster else 1.0)
        return rate


def _not_finite(step: int, terms: dict[str, Tensor], what: str = "loss") -> None:
    values = ", ".join(f"{name} {float(value.detach()):g}" for name, value in terms.items())
    raise TrainingError(
        f"the {what} is not finite at step {step} ({values}); lower learning_rate or clip_norm"
    )
