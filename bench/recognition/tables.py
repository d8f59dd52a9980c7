"""The measurement as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping

from bench.recognition.measurement import REGIMES, Measured, Rate
from bench.recognition.parts import Parts


def tables(title: str, parts: Parts, measured: Mapping[str, Measured]) -> str:
    """One card set: a table for each regime and number of frames, and one of the effects."""
    known = f"{len(parts.known)} known cards, {len(parts.new)} new"
    if not parts.known:
        known = f"{len(parts.gallery)} cards, all of them new to the model"
    lines = [
        f"## {title}",
        "",
        f"{known}; {len(parts.strangers)} cards outside the gallery set the threshold, "
        f"{len(parts.unknown)} others are the unknown cards that are reported.",
    ]
    first = next(iter(measured.values()))
    for regime, frames in sorted(first.figures, key=lambda each: (each[1], REGIMES.index(each[0]))):
        lines += [
            "",
            f"### {regime}, {frames} frame{'s' if frames > 1 else ''}",
            "",
            "| | known, top-1 | new, top-1 | accepted and right | false accepts | ms a picture |",
            "|---|---|---|---|---|---|",
        ]
        for name, each in measured.items():
            found = each.figures[regime, frames]
            rates = (found.known, found.new, found.accepted_right, found.false_accepts)
            cells = " | ".join(map(_cell, rates))
            lines.append(f"| {name} | {cells} | {each.milliseconds:.0f} |")
    if first.effects:
        lines += [
            "",
            "### One strong effect, one frame: top-1, accepted and right",
            "",
            f"| | {' | '.join(measured)} |",
            f"|---|{'---|' * len(measured)}",
        ]
        for effect in first.effects:
            cells = " | ".join(
                f"{_cell(each.effects[effect].top1)}, "
                f"{each.effects[effect].accepted_right.value:.3f}"
                for each in measured.values()
            )
            lines.append(f"| {effect} | {cells} |")
    return "\n".join(lines)


def _cell(rate: Rate | None) -> str:
    if rate is None:
        return "–"
    low, high = rate.interval
    return f"{rate.value:.3f} ({low:.3f} to {high:.3f})"
