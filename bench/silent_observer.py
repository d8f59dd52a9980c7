"""Suppresses a training loop's log lines: measurements print their own."""

from __future__ import annotations


class SilentObserver:
    """A ``TrainingObserver`` that does nothing."""

    def step(self, step: int, total: int, images: int) -> None:
        """Ignored."""

    def metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Ignored."""

    def validated(self, step: int, metrics: dict[str, float]) -> None:
        """Ignored."""

    def line(self, text: str) -> None:
        """Ignored."""
