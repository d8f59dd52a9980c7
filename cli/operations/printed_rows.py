"""The results of checks, for people and for machines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.operations.checks.check import Row

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


def print_rows(rows: Sequence[Row]) -> None:
    """Prints the results and how many there are of each state."""
    from cli.console import is_terminal, print_line

    if is_terminal():
        _draw(rows)
    else:
        width = max(len(row.check) for row in rows)
        for row in rows:
            print_line(f"{row.result.state.value:<11}  {row.check:<{width}}  {row.result.line}")
            if row.result.remedy:
                print_line(f"{'':<11}  {'':<{width}}  remedy: {row.result.remedy}")
    counts = Counter(row.result.state.value for row in rows)
    print_line(", ".join(f"{count} {state}" for state, count in counts.items()))


def _draw(rows: Sequence[Row]) -> None:
    """For a terminal: results in columns; remedies in one piece each, to be copied."""
    from rich.table import Table
    from rich.text import Text

    from cli.console import print_rich, safe_text

    width = max(len(row.check) for row in rows)
    for row in rows:
        state, remedy = row.result.state.value, row.result.remedy
        mark, colour = _MARKS.get(state, ("–", "dim"))
        line = row.result.line if state in _MARKS else f"{state}: {row.result.line}"
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=1)
        grid.add_column(width=width)
        grid.add_column(overflow="fold")
        grid.add_row(Text(mark, style=colour), Text(row.check, style="bold"), Text(safe_text(line)))
        print_rich(grid)
        if remedy:
            print_rich(
                Text(safe_text(f"{' ' * (width + 3)}→ {remedy}"), style="cyan"), soft_wrap=True
            )


def rows_document(rows: Sequence[Row]) -> dict[str, object]:
    """The results as ``--json`` gives them."""
    counts = Counter(row.result.state.value for row in rows)
    return {
        "counts": dict(counts),
        "findings": [
            {
                "check": row.check,
                "state": row.result.state.value,
                "line": row.result.line,
                "remedy": row.result.remedy,
            }
            for row in rows
        ],
    }
