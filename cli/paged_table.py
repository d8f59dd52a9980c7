"""A list whose rows are printed page by page, while the next page is on its way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cli.console import activity, console, is_terminal, print_line, print_stderr

#: In a pipe the progress is printed to stderr, not more often than this.
_INTERVAL_SECONDS = 5.0


class Listing:
    """Rows under stable headings.

    The first page decides how wide the columns are; the last one takes what is left.
    """

    def __init__(
        self, columns: Sequence[str], right: Sequence[int], task: Any, quiet: bool
    ) -> None:
        self._columns = columns
        self._right = right
        self._task = task
        self._quiet = quiet
        self._widths: list[int] = []
        self._told = time.monotonic()
        self.shown = 0

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Prints a page's rows."""
        self.shown += len(rows)
        if self._quiet or not rows:
            return
        if not self._widths:
            self._widths = [
                max(map(len, column)) for column in zip(self._columns, *rows, strict=True)
            ]
            self._print(self._columns)
        for row in rows:
            self._print(row)

    def progress(self, detail: str) -> None:
        """Says how far the reading is: in place on a terminal, now and then on stderr elsewhere."""
        if self._task is not None:
            self._task.update(detail)
        elif time.monotonic() - self._told >= _INTERVAL_SECONDS:
            self._told = time.monotonic()
            print_stderr(f"  {detail}")

    def _print(self, row: Sequence[str]) -> None:
        cells = [
            cell.rjust(width) if column in self._right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, self._widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        if self._task is None:
            print_line(line)
            return
        width = console().width
        self._task.log(line if len(line) <= width else line[: width - 1] + "…")


@contextmanager
def listing(
    columns: Sequence[str], *, right: Sequence[int] = (), title: str, quiet: bool = False
) -> Iterator[Listing]:
    """A list that is read until the block ends.

    Args:
        columns: The headings.
        right: Which columns are numbers and stand on the right.
        title: What is read, for the progress line.
        quiet: Print no rows: they are for a machine, all at once.
    """
    if not is_terminal():
        yield Listing(columns, right, None, quiet)
        return
    with activity(title) as task:
        yield Listing(columns, right, task, quiet)
