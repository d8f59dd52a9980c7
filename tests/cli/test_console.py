"""What is printed where nobody watches, and how figures read."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import console
from cli.console import (
    _fitted,
    activity,
    fraction,
    percentage,
    print_json,
    print_line,
    print_stderr,
    print_table,
    print_tree,
    seconds,
    size,
)
from cli.registry.lineage_drawing import Branch


def test_table_outside_a_terminal_is_plain_and_aligned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(["NAME", "SIZE"], [["a", "1"], ["long [name]", "1000"]], title="Files", right=[1])
    assert capsys.readouterr().out.splitlines() == [
        "Files",
        "NAME         SIZE",
        "a               1",
        "long [name]  1000",
    ]


def test_tree_is_indented(capsys: pytest.CaptureFixture[str]) -> None:
    print_tree(Branch("a", [Branch("b", [Branch("c")]), Branch("d")]))
    assert capsys.readouterr().out.splitlines() == ["a", "  └ b", "    └ c", "  └ d"]


def test_progress_in_a_log_is_complete_lines_at_intervals(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with activity("training", interval=3600) as task:
        for step in range(100):
            task.update(f"step {step}")
        task.log("a line that stays")
    assert capsys.readouterr().out == "a line that stays\n"
    with activity("training", interval=0) as task:
        task.update("step 1")
    assert capsys.readouterr().out == "  training: step 1\n"


ESCAPE = "a\x1b[2Jb\x07c\x9bd\u202ee"
SAFE = "a?[2Jb?c?d?e"


def test_escape_codes_never_reach_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(ESCAPE)
    print_stderr(ESCAPE)
    print_table(["NAME"], [[ESCAPE]], title=ESCAPE)
    print_tree(Branch(ESCAPE, [Branch(ESCAPE)]))
    with activity(ESCAPE, interval=0) as task:
        task.update(ESCAPE)
        task.log(ESCAPE)
    out, err = capsys.readouterr()
    assert err == f"{SAFE}\n"
    assert out.splitlines() == [
        SAFE, SAFE, "NAME", SAFE, SAFE, f"  └ {SAFE}", f"  {SAFE}: {SAFE}", SAFE,
    ]  # fmt: skip


def test_line_end_in_a_cell_starts_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["NAME", "STATE"], [["a\nb  approved", "pending"]])
    assert capsys.readouterr().out.splitlines()[1:] == ["a?b  approved  pending"]


def test_escape_codes_never_reach_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "dumb")
    print_table(["NAME", "MORE"], [[ESCAPE, "x"]])
    print_tree(Branch(ESCAPE, [Branch(ESCAPE)]))
    with activity(ESCAPE) as task:
        task.update(ESCAPE)
        task.log(ESCAPE)
    text = screen.getvalue()
    assert text.count(SAFE) >= 4
    assert not {"\x07", "\x9b", "\u202e"} & set(text)
    assert "\x1b[2J" not in text


def test_text_beyond_the_encoding_of_the_stream_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    print_line("prix: 3 € \udcff")
    stream.flush()
    assert stream.buffer.getvalue() == b"prix: 3 ? ?\n"  # type: ignore[attr-defined]


def test_json_is_escaped_and_holds_no_lone_surrogates(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a\udcff": [ESCAPE, "😀", 1.5, None], "b": Path("x\udcff")})
    out = capsys.readouterr().out
    assert out.isascii() and "\x1b" not in out and "udcff" not in out
    assert json.loads(out) == {"a?": [ESCAPE, "😀", 1.5, None], "b": "x?"}


def test_only_the_console_module_prints() -> None:
    import ast

    printing = []
    for file in sorted(Path(console.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if (
                name in ("print", "typer.echo", "typer.secho")
                or (name.endswith((".write", ".writelines")) and name.startswith("sys."))
                or name.endswith("console.print")
            ):
                printing.append(file.name)
    assert set(printing) == {"console.py"}


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@given(
    st.lists(st.lists(st.text(max_size=40), min_size=3, max_size=3), max_size=5),
    st.integers(20, 200),
)
def test_one_column_is_shortened_and_the_others_are_complete(
    rows: list[list[str]], width: int
) -> None:
    columns = ["A", "B", "C"]
    table = _fitted(columns, rows, 1, width)
    for before, after in zip([columns, *rows], table, strict=True):
        assert [after[0], after[-1]] == [before[0], before[2]]
        if len(after) == 3 and after[1] != before[1]:
            assert after[1] == before[1][: len(after[1]) - 1] + "…"
    natural = sum(max([1, *(len(row[at]) for row in rows)]) for at in range(3))
    if natural + 9 + 12 <= width:
        assert table == [columns, *rows]
    if len(table[0]) == 3:
        assert sum(max(len(row[at]) for row in table) for at in range(3)) + 9 <= width


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (fraction(0.98765), "0.988"),
        (fraction(None), "–"),
        (percentage(0.01), "1 %"),
        (percentage(0.001), "0.1 %"),
        (percentage(0.0005), "0.05 %"),
        (percentage(0.07), "7 %"),
        (percentage(0), "0 %"),
        (percentage(1), "100 %"),
        (percentage(1 / 3), "33.3333 %"),
        (seconds(4.25), "4.2 s"),
        (seconds(65), "1 min 05 s"),
        (seconds(119.7), "2 min 00 s"),
        (size(0), "0 B"),
        (size(999), "999 B"),
        (size(4_812_619), "4.8 MB"),
        (size(5e12), "5000.0 GB"),
    ],
)
def test_numbers_are_formatted_for_reading(shown: str, text: str) -> None:
    assert shown == text
