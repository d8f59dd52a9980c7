"""The pictures of a run: how it learned, and how well known and unknown cards come apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.reporting.evaluation import TrainingResult

MetricHistory = Sequence[tuple[int, Mapping[str, float]]]
_BINS = 40


def training_curves(figures: MetricHistory) -> Any:
    """Loss and each term's share of the gradient, over the steps.

    Args:
        figures: Step and figures of every interval that the loop reported.

    Returns:
        A matplotlib figure.
    """
    steps = [step for step, _ in figures]
    names = list(figures[-1][1]) if figures else []
    shares = [name for name in names if name.startswith("share_")]
    figure = _figure(1, 2, (10, 4))
    loss, share = figure.axes
    loss.plot(steps, [values["loss"] for _, values in figures], color="tab:blue")
    loss.set(title="Loss", xlabel="step", ylabel="weighted sum of the terms")
    if shares:
        stacked = [[values.get(name, np.nan) for _, values in figures] for name in shares]
        share.stackplot(
            steps, np.nan_to_num(stacked), labels=[s.removeprefix("share_") for s in shares]
        )
        share.set_ylim(0, 1)
        share.legend(loc="lower left", fontsize="small")
    share.set(title="Share of the gradient, by term", xlabel="step")
    return figure


def similarities(result: TrainingResult) -> Any:
    """Best similarities of views of known and of unknown cards, with the acceptance threshold.

    Args:
        outcome: A model's evaluation.

    Returns:
        A matplotlib figure.
    """
    known = (result.seen.embeddings @ result.gallery.T).max(axis=1)
    unknown = (result.unknown @ result.gallery.T).max(axis=1)
    everything = np.concatenate([known, unknown])
    bins = np.linspace(float(everything.min()), float(everything.max()) + 1e-6, _BINS)
    figure = _figure(1, 1, (7, 4))
    (axes,) = figure.axes
    for values, label, colour in (
        (known, f"known cards ({len(known)} views)", "tab:blue"),
        (unknown, f"unknown cards ({len(unknown)} views)", "tab:orange"),
    ):
        share = np.full(len(values), 1 / len(values))
        axes.hist(values, bins=bins, weights=share, alpha=0.6, label=label, color=colour)
    axes.axvline(
        result.test.cosine_threshold, color="black", linestyle="--", label="accepted from here"
    )
    axes.set(
        title=f"Nearest card's similarity (AUROC {result.test.auroc:.3f})",
        xlabel="cosine",
        ylabel="share of views",
    )
    axes.legend(fontsize="small")
    return figure


def _figure(rows: int, columns: int, size: tuple[float, float]) -> Any:
    # Not pyplot: it looks for a display, and keeps every figure.
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    figure.subplots(rows, columns)
    return figure
