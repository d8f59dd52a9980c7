"""A comparison as a picture: metrics with their intervals, and training curves."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.errors import CliError
from recognition.atomic_files import write_atomically
from registry.untrusted.text import html_text
from registry.versions.comparison import METRICS, ComparedVersion, Comparison, Row
from registry.versions.queries import number

#: Paul Tol's bright scheme: told apart with every common colour blindness, and on paper.
_COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB")
_CURVES = 6
_COLUMNS = 3
_DULL = ("learning_rate", "images_per_second")
_DASHES = ("-", "--", "-.", ":")
_INK = "#333333"


def write(path: Path, compared: Comparison, subjects: Sequence[ComparedVersion]) -> None:
    """Writes a ``.png``, or an ``.html`` with picture and tables: the whole file or none.

    Raises:
        CliError: matplotlib is not installed, or there is nothing to draw.
    """
    picture = draw(compared, subjects)
    body = picture
    if path.suffix.lower() == ".html":
        body = page(picture, compared).encode()
    write_atomically(path, body)


def draw(compared: Comparison, subjects: Sequence[ComparedVersion]) -> bytes:
    """The picture as a PNG.

    Raises:
        CliError: matplotlib is not installed, or there is nothing to draw.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise CliError(
            "--plot: matplotlib is not installed; make setup in the repository installs it"
        ) from None
    bars = [row for row in compared.sections.get("Metrics", ()) if _drawable(row)]
    curves = _curve_names(subjects)
    if not bars and not curves:
        raise CliError("--plot: these versions have no metric in common form and no tracked run")
    curve_rows = -(-len(curves) // _COLUMNS)
    tall = 0.28 * len(bars) * (len(subjects) + 1.2)
    heights = [max(2.0, tall)] * bool(bars) + [2.6] * curve_rows
    legend = 0.3 * len(subjects) + 0.3
    figure = Figure(figsize=(11, sum(heights) + legend + 0.4), layout="constrained", dpi=130)
    grid = figure.subfigures(len(heights) + 1, 1, squeeze=False, height_ratios=[legend, *heights])
    parts: list[Any] = list(grid[:, 0])
    _legend(parts.pop(0), compared.labels)
    if bars:
        _bars(parts.pop(0), bars, len(subjects))
    for index, part in enumerate(parts):
        _curves(part, curves[index * _COLUMNS : (index + 1) * _COLUMNS], subjects)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def page(picture: bytes, compared: Comparison) -> str:
    """A self-contained HTML page: no script, nothing that is fetched."""
    head = "".join(f"<th>{html_text(label)}</th>" for label in compared.labels)
    tables = "".join(
        f"<h2>{html_text(title)}</h2><table><tr><th></th>{head}</tr>"
        + "".join(_table_row(row) for row in rows)
        + "</table>"
        for title, rows in compared.sections.items()
    )
    notes = "".join(f"<p class=note>{html_text(note)}</p>" for note in compared.notes)
    title = html_text(" · ".join(compared.labels))
    image = base64.b64encode(picture).decode()
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 75rem; margin: 2rem auto;
  padding: 0 1rem }}
img {{ max-width: 100% }}
table {{ border-collapse: collapse; width: 100%; table-layout: fixed }}
th, td {{ text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd;
  overflow-wrap: anywhere; vertical-align: top }}
td:first-child, th:first-child {{ width: 14rem }}
tr.differs td:first-child::before {{ content: "≠ "; color: #b00 }}
.best {{ font-weight: 600 }} .best::after {{ content: " ★" }}
.tied::after {{ content: " ≈"; color: #777 }}
.note {{ background: #fff6d6; padding: .5rem .75rem }}
</style>
<h1>{title}</h1>{notes}
<img alt="Metrics with 95 % intervals, and training curves" src="data:image/png;base64,{image}">
{tables}
<p>≠ differs · ★ best · ≈ within noise of the best (95 %, Newcombe's interval)</p>
</html>
"""


def _table_row(row: Row) -> str:
    cells = []
    for index, value in enumerate(row.values):
        kind = "best" if index == row.best else "tied" if index in row.tied else ""
        rate = row.rates[index] if row.rates else None
        text = "–" if value is None else value
        if rate:
            text = f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]"
        cells.append(f'<td class="{kind}">{html_text(text)}</td>')
    return (
        f'<tr class="{"differs" if row.differs else ""}"><td>{html_text(row.key)}</td>'
        f"{''.join(cells)}</tr>"
    )


def _drawable(row: Row) -> bool:
    """Whether a metric is a share or a cosine, so that one axis from 0 to 1 serves all."""
    values = [value for value in map(number, row.values) if value is not None]
    return bool(METRICS[row.key].better and values and all(0 <= v <= 1 for v in values))


def _curve_names(subjects: Sequence[ComparedVersion]) -> list[str]:
    """Curves worth drawing: those of most runs first, at most six."""
    counts: dict[str, int] = {}
    for subject in subjects:
        for name, points in (subject.run.curves if subject.run else {}).items():
            if len(points) > 1:
                counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], *_telling(name)))[:_CURVES]


def _telling(name: str) -> tuple[bool, bool, str]:
    """Losses first, what a setting or the machine decides last."""
    return not name.startswith("loss"), name in _DULL, name


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _legend(part: Any, labels: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=_colour(index), label=label) for index, label in enumerate(labels)]
    part.legend(handles=handles, loc="center", frameon=False, fontsize=11)


def _bars(part: Any, rows: Sequence[Row], count: int) -> None:
    """One group a metric, one bar a version, whiskers where the interval is known."""
    axes = part.subplots()
    height = 0.8 / count
    for group, row in enumerate(rows):
        for index, text in enumerate(row.values):
            value = number(text)
            if value is None:
                continue
            place = group + (index - (count - 1) / 2) * height
            rate = row.rates[index] if row.rates else None
            axes.barh(place, value, height * 0.9, color=_colour(index))
            end = value
            if rate:
                end = rate.high
                errors = [[max(0.0, value - rate.low)], [max(0.0, rate.high - value)]]
                axes.errorbar(value, place, xerr=errors, color=_INK, capsize=2.5, lw=1.1)
            mark = " ★" if index == row.best else " ≈" if index in row.tied else ""
            axes.annotate(
                f"{value:.3f}{mark}",
                (end, place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
                color=_INK,
            )
    axes.set_yticks(
        range(len(rows)),
        [row.key + (" (less is better)" if METRICS[row.key].better < 0 else "") for row in rows],
    )
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_xlim(0, 1.12)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_title(
        "Metrics, with 95 % intervals where they are rates   (★ best, ≈ within noise of it)",
        loc="left",
        fontsize=11,
        color=_INK,
    )
    _plain(axes, "x")


def _curves(part: Any, names: Sequence[str], subjects: Sequence[ComparedVersion]) -> None:
    for axes, name in zip(part.subplots(1, _COLUMNS, squeeze=False)[0], names, strict=False):
        for index, subject in enumerate(subjects):
            points = subject.run.curves.get(name, ()) if subject.run else ()
            if len(points) > 1:
                steps, values = zip(*points, strict=True)
                style = _DASHES[index % len(_DASHES)]
                axes.plot(steps, values, style, color=_colour(index), lw=1.6)
        axes.set_title(name, loc="left", fontsize=10, color=_INK)
        axes.set_xlabel("step", fontsize=9, color=_INK)
        _plain(axes, "both")
    for axes in part.axes[len(names) :]:
        axes.set_axis_off()


def _plain(axes: Any, grid: str) -> None:
    axes.grid(axis=grid, color="#e4e4e4", lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, labelsize=9, colors=_INK)
