"""Charts as numbers that a template draws in SVG: they follow the page's colours, dark or light."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 30, 14, 46
Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place in the drawing, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Shape:
    """A line or an area.

    Attributes:
        points: ``x,y x,y …`` in the drawing.
        colour: Number of its colour, from 1.
        label: Its name in the legend.
    """

    points: str
    colour: int
    label: str


@dataclass(frozen=True)
class Mark:
    """A point that is pointed out."""

    x: float
    y: float
    text: str
    anchor: str


@dataclass(frozen=True)
class Chart:
    """A drawing with two axes.

    Attributes:
        title: What it shows.
        description: The same with its main figures, for those who do not see it.
        lines: Drawn as lines.
        areas: Drawn as areas.
    """

    title: str
    description: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Shape, ...] = ()
    areas: tuple[Shape, ...] = ()
    mark: Mark | None = None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, percent: bool, count: int = 5) -> tuple[Tick, ...]:
        step = _step((self.high - self.low) / count)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step * 100 if percent else step) + 1e-9))
        return tuple(
            Tick(
                self.at(place * step),
                f"{place * step * 100:.{digits}f} %" if percent else f"{place * step:,.{digits}f}",
            )
            for place in range(first, last + 1)
        )


def operating_curve(
    rows: Sequence[tuple[float, float, float]], threshold: float, rate: float, named: float
) -> Chart:
    """Named right against unknown cards named, for every threshold, with the one in use marked.

    Args:
        rows: Threshold, false-accept rate, accepted and right.
        threshold: The one in use.
        rate: The false-accept rate at it.
        named: Accepted and right at it.
    """
    # Beyond what anybody would choose the curve says nothing.
    most = max(0.05, min(1.0, 4 * rate))
    shown = [row for row in rows if row[1] <= most] or list(rows[-1:])
    lowest = min([named, *(row[2] for row in shown)])
    x = _Axis(0, most, _LEFT, WIDTH - _RIGHT)
    y = _Axis(max(0.0, math.floor(lowest * 10 - 1e-9) / 10), 1.0, HEIGHT - _BOTTOM, _TOP)
    line = Shape(_points([(x.at(r), y.at(n)) for _, r, n in shown]), 1, "other thresholds")
    place = x.at(min(rate, most)), y.at(named)
    text = f"threshold {threshold:.3f}"
    return Chart(
        title="What other thresholds would bring",
        description=(
            f"At the threshold in use, {threshold:.4f}, {named:.2%} of the views of known cards "
            f"are named right and {rate:.2%} of the views of unknown cards are named. A lower "
            "threshold moves to the right."
        ),
        x_label="views of unknown cards that are named",
        y_label="views of known cards named right",
        x_ticks=x.ticks(percent=True),
        y_ticks=y.ticks(percent=True),
        lines=(line,),
        mark=Mark(*place, text, "start" if place[0] < WIDTH * 0.6 else "end"),
    )


def loss_curve(steps: Sequence[int], loss: Sequence[float]) -> Chart:
    """The loss over the steps; each sequence has at least one value."""
    x, y = _steps_axis(steps), _Axis(*_spread(min(loss), max(loss)), HEIGHT - _BOTTOM, _TOP)
    line = Shape(_points([(x.at(s), y.at(v)) for s, v in zip(steps, loss, strict=True)]), 1, "loss")
    return Chart(
        title="Loss",
        description=f"The loss goes from {loss[0]:.4g} to {loss[-1]:.4g} in {steps[-1]:,} steps.",
        x_label="step",
        y_label="weighted sum of the terms",
        x_ticks=x.ticks(percent=False),
        y_ticks=y.ticks(percent=False),
        lines=(line,),
    )


def share_curve(steps: Sequence[int], shares: Mapping[str, Sequence[float]]) -> Chart:
    """Each term's share of the gradient over the steps, on top of each other."""
    x, y = _steps_axis(steps), _Axis(0, 1, HEIGHT - _BOTTOM, _TOP)
    below = [0.0] * len(steps)
    areas = []
    for number, (name, values) in enumerate(shares.items(), start=1):
        above = [min(1.0, low + max(0.0, value)) for low, value in zip(below, values, strict=True)]
        outline = [(x.at(step), y.at(top)) for step, top in zip(steps, above, strict=True)]
        outline += [(x.at(step), y.at(low)) for step, low in zip(steps, below, strict=True)][::-1]
        areas.append(Shape(_points(outline), number, name))
        below = above
    last = ", ".join(f"{name} {values[-1]:.0%}" for name, values in shares.items())
    return Chart(
        title="Share of the gradient, by term",
        description=f"At the end: {last}.",
        x_label="step",
        y_label="share",
        x_ticks=x.ticks(percent=False),
        y_ticks=y.ticks(percent=True),
        areas=tuple(areas),
    )


def _steps_axis(steps: Sequence[int]) -> _Axis:
    return _Axis(*_spread(steps[0], steps[-1]), _LEFT, WIDTH - _RIGHT)


def _spread(low: float, high: float) -> tuple[float, float]:
    """Two ends that differ."""
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _step(wanted: float) -> float:
    """1, 2 or 5 times a power of ten, not below what is wanted."""
    power = float(10.0 ** math.floor(math.log10(wanted)))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= wanted * (1 - 1e-9))


def _points(places: Sequence[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)
