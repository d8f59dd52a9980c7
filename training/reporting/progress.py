"""What a job says while it runs: a bar on a terminal, plain lines everywhere else.

SageMaker reads curves out of the log by regular expressions, so figures are written as
``name=value``; see ``training.submission.submit.METRICS``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TextIO

from training.reporting.tracking import Tracker

#: Figures that a log line shows, in this order; all of them go to the tracker.
_FIRST = ("loss", "learning_rate", "images_per_second")


class ConsoleObserver:
    """Reports a loop's progress to the console and to the tracker.

    Args:
        label: What is trained, such as ``student stage1``.
        tracker: Takes every figure.
        stream: Where lines go; a bar appears when it is a terminal.

    Attributes:
        history: Step and figures of every interval so far.
    """

    def __init__(self, label: str, tracker: Tracker, stream: TextIO | None = None) -> None:
        self._label = label
        self._tracker = tracker
        self.history: list[tuple[int, dict[str, float]]] = []
        self._stream = stream or sys.stdout
        self._total = 0
        self._bar = None
        if self._stream.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=Console(file=self._stream),
            )
            self._task = self._bar.add_task(label, total=None, note="")
            self._bar.start()

    def step(self, step: int, total: int, images: int) -> None:
        """Moves the bar."""
        self._total = total
        if self._bar is not None:
            self._bar.update(self._task, completed=step, total=total)

    def metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Shows and records the figures of one interval."""
        self._tracker.metrics(metrics, step)
        self.history.append((step, dict(metrics)))
        if self._bar is not None:
            note = f"loss {metrics['loss']:.3f}, {metrics['images_per_second']:.0f} images/s"
            self._bar.update(self._task, note=note)
            return
        others = sorted(set(metrics) - set(_FIRST))
        values = " ".join(f"{name}={metrics[name]:.4g}" for name in (*_FIRST, *others))
        self.line(f"step={step}/{self._total} {values}")

    def validated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Shows and records what the averaged model is worth by now."""
        self._tracker.metrics(metrics, step)
        values = " ".join(f"{name}={value:.4f}" for name, value in metrics.items())
        self.line(f"step={step}/{self._total} {values}")

    def line(self, text: str) -> None:
        """One line about anything else."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            print(f"{self._label}: {text}", file=self._stream, flush=True)

    def close(self) -> None:
        """Puts the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
