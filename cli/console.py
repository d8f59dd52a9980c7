"""Everything that the commands print: tables and progress on a terminal, plain lines elsewhere.

Every text passes :func:`safe_text`: names, keys and reasons come from outside and may hold escape
codes. No other module of ``cli`` prints (tests/cli/test_console.py holds that).

A pipe, a log file and a CI run get whole lines, written as things happen; a person at a terminal
gets tables and one moving line. Nothing here is imported before it is needed: rich costs more
than the rest of ``cards --help``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from registry.untrusted.text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.tree import Tree


_GAP = 3
_NARROWEST = 12


class TreeNode(Protocol):
    """A line with lines below it."""

    @property
    def label(self) -> str: ...

    @property
    def children(self) -> Sequence[TreeNode]: ...


def is_terminal() -> bool:
    """Whether a person watches stdout."""
    return bool(getattr(sys.stdout, "isatty", bool)())


def console() -> Console:
    """A rich console on stdout (made anew, so that a redirected stdout is seen)."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not is_terminal())


def safe_text(text: str) -> str:
    """Text without what could command a terminal: control characters become question marks.

    Line ends and tabs stay. What the stream's encoding cannot hold is replaced when it is written,
    see :func:`_write`.
    """
    return printable(text, keep="\n\t")


def print_line(line: str = "") -> None:
    """Prints one line to stdout, at once."""
    _write(sys.stdout, line)


def print_stderr(line: str) -> None:
    """Prints one line to stderr, after everything that went to stdout."""
    sys.stdout.flush()
    _write(sys.stderr, line)


def _write(stream: TextIO, line: str) -> None:
    """Writes safe text in the encoding of the stream; what it cannot hold becomes ``?``."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    safe = safe_text(line).encode(encoding, "replace").decode(encoding)
    print(safe, file=stream, flush=True)


def print_json(document: Any) -> None:
    """Prints a document for machines: JSON, keys as given, dates as ISO 8601.

    Control characters are escaped, as JSON has it; bytes of a file name that are no UTF-8, which
    JSON cannot hold, become question marks.
    """
    text = json.dumps(document, indent=2, default=str, ensure_ascii=False)
    known = text.encode("utf-8", "replace").decode()
    print_line(json.dumps(json.loads(known), indent=2))


def print_rich(renderable: RenderableType, **options: Any) -> None:
    """Prints something that rich draws; its texts have passed :func:`safe_text`."""
    console().print(renderable, **options)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    right: Sequence[int] = (),
    cut: int | None = None,
) -> None:
    """Prints a table: drawn on a terminal, aligned columns without lines elsewhere.

    Args:
        columns: The headings.
        rows: The cells.
        title: A line above it.
        right: Which columns are numbers and stand on the right.
        cut: A column, not the first, that gives way where the terminal is too narrow.
    """
    # A line end in a cell would look like another row.
    rows = [[safe_text(cell).replace("\n", "?") for cell in row] for row in rows]
    if is_terminal():
        from rich.box import SIMPLE_HEAD
        from rich.markup import escape
        from rich.table import Table

        if cut is not None:
            columns, *rows = _fitted(columns, rows, cut, console().width)
        table = Table(
            title=safe_text(title) or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False
        )
        for index, column in enumerate(columns):
            table.add_column(
                column,
                justify="right" if index in right else "left",
                overflow="fold",
                no_wrap=index < len(columns) - 1,
            )
        for row in rows:
            table.add_row(*[escape(cell) for cell in row])
        print_rich(table)
        return
    widths = [max(len(row[column]) for row in [columns, *rows]) for column in range(len(columns))]
    if title:
        print_line(title)
    for row in [columns, *rows]:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print_line("  ".join(cells).rstrip())


def _fitted(
    columns: Sequence[str], rows: Sequence[Sequence[str]], column: int, width: int
) -> list[list[str]]:
    """Headings and rows with one column cut to what the others leave, or left out."""
    table = [list(columns), *(list(row) for row in rows)]
    places = range(len(columns))
    others = sum(max(len(row[place]) for row in table) for place in places if place != column)
    room = width - others - _GAP * len(columns)
    if room < _NARROWEST:
        return [row[:column] + row[column + 1 :] for row in table]
    for row in table:
        if len(row[column]) > room:
            row[column] = row[column][: room - 1] + "…"
    return table


def print_tree(root: TreeNode) -> None:
    """Prints a tree, by rich on a terminal and by indentation elsewhere."""
    if is_terminal():
        from rich.markup import escape
        from rich.tree import Tree

        drawn = Tree(escape(safe_text(root.label)))

        def grow(branch: Tree, node: TreeNode) -> None:
            for child in node.children:
                grow(branch.add(escape(safe_text(child.label))), child)

        grow(drawn, root)
        print_rich(drawn)
        return

    def walk(node: TreeNode, depth: int) -> None:
        print_line(f"{'  ' * depth}{'└ ' if depth else ''}{node.label}")
        for child in node.children:
            walk(child, depth + 1)

    walk(root, 0)


class Activity:
    """One thing under way, with a line that says how far it is.

    On a terminal the line moves in place; elsewhere it is printed anew, at most once every
    ``interval`` seconds, so that a log stays readable.
    """

    def __init__(self, title: str, interval: float, status: Any) -> None:
        self.title = title
        self._interval = interval
        self._status = status
        self._printed = time.monotonic()

    def update(self, detail: str) -> None:
        """Shows the progress."""
        if self._status is not None:
            from rich.markup import escape

            line = safe_text(f"{self.title} · {detail}")
            width = console().width - 4
            self._status.update(escape(line if len(line) <= width else line[: width - 1] + "…"))
        elif time.monotonic() - self._printed >= self._interval:
            self._printed = time.monotonic()
            print_line(f"  {self.title}: {detail}")

    def log(self, line: str) -> None:
        """Prints a line that stays."""
        if self._status is not None:
            self._status.console.print(safe_text(line), markup=False, highlight=False)
        else:
            print_line(line)


@contextmanager
def activity(title: str, *, interval: float = 5.0) -> Iterator[Activity]:
    """Shows that ``title`` is under way until the block ends."""
    if not is_terminal():
        yield Activity(title, interval, None)
        return
    from rich.markup import escape

    with console().status(escape(safe_text(title))) as status:
        yield Activity(title, interval, status)


def bar(done: int, total: int, width: int = 24) -> str:
    """How far something is, as a bar of block characters."""
    share = min(1.0, max(0.0, done / total)) if total > 0 else 0.0
    full = int(share * width)
    return "█" * full + "░" * (width - full)


def fraction(value: float | None) -> str:
    """A share from 0 to 1 as text with three decimals; a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def percentage(share: float) -> str:
    """A share from 0 to 1 in percent, with the decimals that it needs: ``1 %``, ``0.05 %``."""
    return f"{Decimal(f'{share:.6g}').scaleb(2).normalize():f} %"


def seconds(value: float) -> str:
    """A time as people read it: ``4.2 s``, ``1 min 05 s``."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def size(value: float) -> str:
    """Bytes as people read them, in powers of 1000: ``4.8 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError
