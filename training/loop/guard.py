"""Stops a run whose figures are no longer figures, and keeps the batch that did it.

On a GPU the figures of a step are copied to the host while the next ones run and read two steps
later, so that looking at them never makes the GPU wait.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.data.batches import Batch
from training.errors import TrainingError

#: Steps whose mean loss is compared: the run's first ones with the last ones.
WINDOW = 20
_LAG_ON_GPU = 2


@dataclass(frozen=True)
class StepMetrics:
    """One step's figures, on the host."""

    step: int
    loss: float
    norm: float
    terms: dict[str, float]


class _Copy:
    """Values on their way from the device."""

    def __init__(self, values: Tensor) -> None:
        self._event: Any = None
        if values.device.type == "cuda":
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            event: Any = torch.cuda.Event  # its constructor is untyped
            self._event = event()
            self._event.record()
        else:
            self._values = values

    def read(self) -> list[float]:
        if self._event is not None:
            self._event.synchronize()
        return [float(value) for value in self._values.tolist()]


class Guard:
    """Reads every step's figures once they have arrived.

    Args:
        folder: Where a batch is kept that cannot be trained on.
        divergence: How many times its first mean the loss may become; 0 allows anything.
        rank: Of the process; part of the file's name where there are several.
    """

    def __init__(self, folder: Path | None, divergence: float, rank: int = 0) -> None:
        self._folder, self._factor, self._rank = folder, divergence, rank
        self._waiting: deque[tuple[int, Batch, tuple[str, ...], _Copy]] = deque()
        self._first: list[float] = []
        self._last: deque[float] = deque(maxlen=WINDOW)

    def add(
        self, step: int, batch: Batch, loss: Tensor, norm: Tensor, terms: dict[str, Tensor]
    ) -> Sequence[StepMetrics]:
        """Takes a step's figures; returns those that have arrived.

        Args:
            step: Counts from 1.
            batch: What it was trained on.
            loss: Scalar.
            norm: Of the gradient, before clipping.
            terms: Weighted scalars by name.

        Raises:
            TrainingError: A figure that has arrived is not finite, or the loss has grown.
        """
        values = torch.stack([v.detach().float() for v in (loss, norm, *terms.values())])
        self._waiting.append((step, batch, tuple(terms), _Copy(values)))
        return self._take(_LAG_ON_GPU if values.device.type == "cuda" else 0)

    def flush(self) -> Sequence[StepMetrics]:
        """Waits for what is still on its way."""
        return self._take(0)

    def _take(self, left: int) -> list[StepMetrics]:
        arrived = []
        while len(self._waiting) > left:
            step, batch, names, copy = self._waiting.popleft()
            loss, norm, *terms = copy.read()
            metrics = StepMetrics(step, loss, norm, dict(zip(names, terms, strict=True)))
            self._judge(metrics, batch)
            arrived.append(metrics)
        return arrived

    def _judge(self, metrics: StepMetrics, batch: Batch) -> None:
        terms = ", ".join(f"{name} {value:g}" for name, value in metrics.terms.items())
        if not (math.isfinite(metrics.loss) and math.isfinite(metrics.norm)):
            quantity = "gradient" if math.isfinite(metrics.loss) else "loss"
            raise TrainingError(
                f"the {quantity} is not finite at step {metrics.step} ({terms}); "
                f"{self._keep(metrics, batch)}lower learning_rate or clip_norm"
            )
        if len(self._first) < WINDOW:
            self._first.append(metrics.loss)
            return
        self._last.append(metrics.loss)
        if not self._factor or len(self._last) < WINDOW:
            return
        before, now = sum(self._first) / WINDOW, sum(self._last) / WINDOW
        if now > self._factor * before:
            raise TrainingError(
                f"training diverges: the loss was {before:.4g} over the first {WINDOW} steps and "
                f"is {now:.4g} over those up to step {metrics.step} ({terms}); "
                f"{self._keep(metrics, batch)}lower learning_rate, or set divergence 0 to go on"
            )

    def _keep(self, metrics: StepMetrics, batch: Batch) -> str:
        """Writes the batch; says where, for the message."""
        if self._folder is None:
            return ""
        name = f"bad-batch-{self._rank}.npz" if self._rank else "bad-batch.npz"
        path = self._folder / name
        document = {"step": metrics.step, "terms": {k: str(v) for k, v in metrics.terms.items()}}
        arrays: dict[str, Any] = {
            "views": torch.as_tensor(batch.views).cpu().numpy(),
            "scans": torch.as_tensor(batch.scans).cpu().numpy(),
            "cards": batch.cards,
            "about": np.asarray(json.dumps(document)),
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(path, **arrays)
        except OSError as error:  # the reason of the stop matters more
            return f"its batch could not be kept ({error.strerror or error}); "
        return f"its batch is in the job's output as {name}; "

    def state_dict(self) -> dict[str, list[float]]:
        """What a resumed run needs."""
        return {"first": list(self._first), "last": list(self._last)}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Goes on from :meth:`state_dict`."""
        self._first = list(state["first"])
        self._last = deque(state["last"], maxlen=WINDOW)
