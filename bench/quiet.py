"""A training loop's reports, said to nobody: measurements print their own lines."""

from __future__ import annotations


class Quiet:
    """Stands where the loop says what happens (``training.loop.training_loop.Report``)."""

    def step(self, step: int, total: int, images: int) -> None:
        """Ignored."""

    def figures(self, step: int, figures: dict[str, float]) -> None:
        """Ignored."""

    def validated(self, step: int, figures: dict[str, float]) -> None:
        """Ignored."""

    def line(self, text: str) -> None:
        """Ignored."""
