"""The training loop: one model, a stream of batches, weighted terms.

AdamW, linear warm-up and cosine decay, gradient accumulation and clipping, an exponential moving
average of the weights, bf16 autocast and channels-last where the recipe says so. What differs
between a teacher and a student is in the ``forward`` that the caller gives. A run that is killed
goes on from its checkpoint and ends with the same model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from training.config import TrainingConfig
from training.data.batches import Batch
from training.distributed.ranks import SINGLE_PROCESS, Ranks, any_of, average_gradients, gathered
from training.errors import StopRequested, TrainingError
from training.loop.averaging import Average, assign_weights
from training.loop.checkpoints import Checkpoints
from training.loop.guard import Guard, StepMetrics
from training.loop.interruption import stop_signal
from training.loop.schedule import Schedule
from training.losses.criterion import Criterion
from training.losses.shares import ShareWatch, gradient_shares
from training.losses.term import LossInputs
from training.models.networks import CardModel

#: Terms are watched for this share of the steps before an idle one stops the job.
_WATCH_SHARE = 0.1
_WATCH_EVERY = 10
#: Several processes ask each other this often whether one of them was asked to stop.
_ASK_EVERY = 8

Forward = Callable[[CardModel, Batch], LossInputs]
#: Figures of a model on the validation views; among them the score that early stopping follows.
Validate = Callable[[CardModel], dict[str, float]]
SCORE = "validation_score"


class TrainingObserver(Protocol):
    """Is called by the loop with its progress."""

    def step(self, step: int, total: int, images: int) -> None:
        """A step is done; ``images`` were trained on so far."""

    def metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Means since the last call: loss, each term's share, learning rate, images a second."""

    def validated(self, step: int, metrics: dict[str, float]) -> None:
        """What the averaged model is worth on the validation views."""

    def line(self, text: str) -> None:
        """One line about anything else."""


class Stateful(Protocol):
    """Something beside the model that a resumed run has to find again."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from :meth:`state_dict`."""


@dataclass
class History:
    """What the run measured about itself.

    Attributes:
        steps: Optimiser steps done.
        images: Images trained on (views and clean scans).
        seconds: Time in the loop, that of interrupted parts included.
        loss: Mean weighted loss of the last figures.
        shares: Each term's share of the gradient, mean over the run.
        stopped_early: Whether validation ended the run before its last step.
    """

    steps: int = 0
    images: int = 0
    seconds: float = 0.0
    loss: float = math.nan
    shares: dict[str, float] = field(default_factory=dict)
    stopped_early: bool = False


@dataclass(frozen=True)
class TrainingContext:
    """What the loop works with beside model and data.

    Attributes:
        observer: Is called with the progress.
        ranks: This process among those of the run; each is given its part of the batches.
        checkpoints: Where the run can go on from.
        keep_bad_batch: Folder for a batch that cannot be trained on.
        validate: Measures the averaged model now and then, as often as the configuration says.
        gathered: Called with each batch's inputs, once all processes' parts are gathered.
        kept: State that is part of every checkpoint.
    """

    observer: TrainingObserver
    ranks: Ranks = SINGLE_PROCESS
    checkpoints: Checkpoints | None = None
    keep_bad_batch: Path | None = None
    validate: Validate | None = None
    gathered: Callable[[LossInputs], None] = lambda inputs: None
    kept: Stateful | None = None


def train(
    model: CardModel,
    criterion: Criterion,
    batches: Callable[[int], Iterable[Batch]],
    forward: Forward,
    config: TrainingConfig,
    total: int,
    context: TrainingContext,
) -> tuple[CardModel, History]:
    """Trains a model in place and gives it its averaged weights.

    Args:
        model: On its device; trained in place.
        criterion: The weighted terms; its own parameters are trained, too.
        batches: The batches from a step on, which counts from 0, to the run's last.
        forward: Runs the model on a batch and gives the loss its inputs.
        config: Rates, clipping, precision.
        total: Optimiser steps.
        context: Progress, processes, checkpoints.

    Returns:
        The model with averaged weights (and the trained model's BatchNorm statistics), in
        evaluation mode, and the history.

    Raises:
        TrainingError: The loss or the gradient is not finite, the loss diverges, or a checkpoint
            cannot be written or read.
        IdleTermError: A loss term contributes nothing.
        StopRequested: SIGTERM; the checkpoint is written.
    """
    trainer = _Trainer(model, criterion, forward, config, total, context)
    with stop_signal() as stopping:
        trainer.resume()
        for batch in () if trainer.history.stopped_early else batches(trainer.history.steps):
            trainer.step(batch)
            # Every process must take the same turn, or those that go on wait for the others.
            asked = context.ranks.world == 1 or trainer.history.steps % _ASK_EVERY == 0
            if asked and any_of(stopping.is_set, context.ranks, trainer.device):
                trainer.save()
                raise StopRequested(
                    f"stopped by SIGTERM after step {trainer.history.steps} of {total}; nothing "
                    "was registered, the checkpoint is kept: the same job goes on from there"
                )
            trainer.save_in_time()
            if trainer.history.stopped_early:
                break
    return trainer.end()


class _Trainer:
    """The state of a run between two steps, and how to get from one to the next."""

    def __init__(
        self,
        model: CardModel,
        criterion: Criterion,
        forward: Forward,
        config: TrainingConfig,
        total: int,
        context: TrainingContext,
    ) -> None:
        self.device = next(model.parameters()).device
        self.history = History()
        self._model, self._criterion, self._forward = model, criterion, forward
        self._config, self._total, self._context = config, total, context
        self._schedule = Schedule(model, criterion, config, total)
        self._average = Average(model, config.ema_decay)
        self._guard = Guard(context.keep_bad_batch, config.divergence, context.ranks.rank)
        self._watch = ShareWatch(criterion.weights)
        self._watched = max(1, int(total * _WATCH_SHARE))
        self._share_sums = dict.fromkeys(criterion.weights, 0.0)
        self._share_count = 0
        self._sums = _RunningMeans()
        self._best = _BestWeights()
        self._rate = 0.0
        self._earlier = 0.0
        self._begun = self._reported = self._saved = time.monotonic()
        self._images_here = 0
        model.train()

    def step(self, batch: Batch) -> None:
        """Trains on one batch."""
        config, ranks, step = self._config, self._context.ranks, self.history.steps
        self._rate = self._schedule.set(step)
        if config.drop_path:
            # What is dropped is a matter of the step, too: a resumed run drops the same.
            torch.manual_seed((config.seed << 32) + step * ranks.world + ranks.rank)
        self._schedule.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for place in range(config.accumulate):
            part = batch.part(place, config.accumulate)
            inputs = gathered(self._forward(self._model, part), ranks)
            self._context.gathered(inputs)
            terms = {
                name: value / config.accumulate for name, value in self._criterion(inputs).items()
            }
            if step % _WATCH_EVERY == 0 and place == 0:
                self._measure_shares(step, terms, inputs)
            torch.autograd.backward(torch.stack(list(terms.values())).sum())
            for name, value in terms.items():
                sums[name] = sums[name] + value.detach() if name in sums else value.detach()
            self.history.images += len(inputs.views) + len(inputs.scans)
            self._images_here += len(inputs.views) + len(inputs.scans)
        average_gradients(self._schedule.parameters, ranks)
        norm = nn.utils.clip_grad_norm_(self._schedule.parameters, config.clip_norm)
        self._schedule.optimiser.step()
        self._average.update(self._model, step)
        self.history.steps = step + 1
        loss = torch.stack(list(sums.values())).sum()
        self._sums.add_all(self._guard.add(step + 1, batch, loss, norm, sums))
        self._context.observer.step(step + 1, self._total, self.history.images)
        self._report_progress()
        self._validate()

    def resume(self) -> None:
        """Goes on from the newest checkpoint, where there is one."""
        if self._context.checkpoints is None:
            return
        found = self._context.checkpoints.load(self.device)
        if found is None:
            return
        step, state = found
        if self._context.kept is not None:
            self._context.kept.load_state_dict(state["kept"])
        self._model.load_state_dict(state["model"])
        self._criterion.load_state_dict(state["criterion"])
        self._schedule.optimiser.load_state_dict(state["optimiser"])
        self._guard.load_state_dict(state["guard"])
        self._watch.load_state_dict(state["watch"])
        self._share_sums, self._share_count = state["shares"], state["share_count"]
        self._best = _BestWeights(**state["best"]).on(self.device)
        for value, kept in zip(self._average.values, state["average"], strict=True):
            value.copy_(kept)
        self.history.steps, self.history.images = step, state["images"]
        self.history.stopped_early = state["stopped_early"]
        self._earlier = state["seconds"]
        self._context.observer.line(f"resumed after step {step} of {self._total}")

    def save(self) -> None:
        """Writes a checkpoint, of figures that have all been looked at."""
        self._sums.add_all(self._guard.flush())
        self._saved = time.monotonic()
        if self._context.checkpoints is None:
            return
        state = {
            "model": self._model.state_dict(),
            "criterion": self._criterion.state_dict(),
            "optimiser": self._schedule.optimiser.state_dict(),
            "average": self._average.values,
            "guard": self._guard.state_dict(),
            "watch": self._watch.state_dict(),
            "shares": self._share_sums,
            "share_count": self._share_count,
            "best": vars(self._best),
            "kept": self._context.kept.state_dict() if self._context.kept is not None else {},
            "images": self.history.images,
            "stopped_early": self.history.stopped_early,
            "seconds": self._seconds(),
        }
        self._context.checkpoints.save(self.history.steps, state)

    def save_in_time(self) -> None:
        """Writes a checkpoint when the last one is old."""
        if time.monotonic() - self._saved >= 60 * self._config.checkpoint_minutes:
            self.save()

    def end(self) -> tuple[CardModel, History]:
        """Checks that the run is whole, and gives the model the weights that are kept."""
        self._sums.add_all(self._guard.flush())
        history = self.history
        if history.steps != self._total and not history.stopped_early:
            raise TrainingError(f"{history.steps} batches came, {self._total} were expected")
        self._watch.check()
        history.seconds = self._seconds()
        count = max(1, self._share_count)
        history.shares = {name: value / count for name, value in self._share_sums.items()}
        best = self._best.values
        assign_weights(self._model, self._average.values if best is None else best)
        return self._model.eval(), history

    def _seconds(self) -> float:
        return self._earlier + time.monotonic() - self._begun

    def _measure_shares(self, step: int, terms: dict[str, Tensor], inputs: LossInputs) -> None:
        shares = gradient_shares(terms, inputs.trained)
        for name, share in shares.items():
            self._share_sums[name] += share
        self._share_count += 1
        self._sums.add_shares(shares)
        self._watch.add(shares)
        if self._watched <= step < self._watched + _WATCH_EVERY:
            self._watch.check()

    def _report_progress(self) -> None:
        now, step = time.monotonic(), self.history.steps
        if now - self._reported < self._config.log_seconds and step != self._total:
            return
        self._sums.add_all(self._guard.flush())
        metrics = self._sums.take()
        self.history.loss = metrics["loss"]
        pace = self._images_here / max(1e-9, now - self._begun)
        self._context.observer.metrics(
            step, {**metrics, "learning_rate": self._rate, "images_per_second": pace}
        )
        self._reported = now

    def _validate(self) -> None:
        config, step = self._config, self.history.steps
        if self._context.validate is None or step not in validation_steps(config, self._total):
            return
        with self._average.applied(self._model):
            metrics = self._context.validate(self._model)
        self._context.observer.validated(step, metrics)
        if config.patience and self._best.should_stop_early(
            metrics[SCORE], self._average, config.patience
        ):
            self.history.stopped_early = True
            self._context.observer.line(
                f"stopped early after step {step} of {self._total}: no better validation score "
                f"than {self._best.score:.4f} in {config.patience} validations; those weights "
                "are kept"
            )


def validation_steps(config: TrainingConfig, total: int) -> frozenset[int]:
    """After which steps the averaged model is validated: evenly, the last step left out."""
    count = config.validations
    return frozenset(round(total * (i + 1) / (count + 1)) for i in range(count)) - {0, total}


@dataclass
class _BestWeights:
    """The best validated weights so far; early stopping keeps them."""

    score: float = -math.inf
    waited: int = 0
    values: list[Tensor] | None = None

    def should_stop_early(self, score: float, average: Average, patience: int) -> bool:
        """Records a score; whether ``patience`` of them in a row were no better."""
        if score > self.score:
            self.score, self.waited = score, 0
            self.values = [value.clone() for value in average.values]
        else:
            self.waited += 1
        return self.waited >= patience

    def on(self, device: torch.device) -> _BestWeights:
        """The same, its weights on a device."""
        if self.values is not None:
            self.values = [value.to(device) for value in self.values]
        return self


class _RunningMeans:
    """Means between two lines of the log."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, int]] = {}

    def _add(self, name: str, value: float) -> None:
        total, count = self._values.get(name, (0.0, 0))
        self._values[name] = (total + value, count + 1)

    def add_all(self, steps: Iterable[StepMetrics]) -> None:
        for metrics in steps:
            self._add("loss", metrics.loss)
            self._add("gradient_norm", metrics.norm)
            for name, value in metrics.terms.items():
                self._add(f"loss_{name}", value)

    def add_shares(self, shares: dict[str, float]) -> None:
        for name, share in shares.items():
            self._add(f"share_{name}", share)

    def take(self) -> dict[str, Any]:
        means = {name: total / count for name, (total, count) in self._values.items()}
        self._values = {}
        return means
