"""The help fills the terminal's width, and keeps the line ends that are meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from cli.program.application import app
from cli.program.help_text import joined


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One\nline.", "One line."),
        ("First.\n\nSecond of\ntwo lines.", "First.\n\nSecond of two lines."),
        ("First.\n\n\b\ncards a   one\ncards b   two\n\nLast\none.",
         "First.\n\n\b\ncards a   one\ncards b   two\n\nLast one."),
        ("", ""),
    ],
)  # fmt: skip
def test_lines_of_a_paragraph_are_joined(text: str, shown: str) -> None:
    assert joined(text) == shown


def test_no_command_has_a_line_end_that_is_not_meant() -> None:
    found = {
        name: paragraph
        for name, text in helps("cards", get_command(app))
        for paragraph in text.split("\n\n")
        if "\n" in paragraph and not paragraph.startswith("\b")
    }
    assert found == {}


def helps(name: str, command: Any) -> Iterator[tuple[str, str]]:
    yield name, command.help or ""
    for child, each in getattr(command, "commands", {}).items():
        yield from helps(f"{name} {child}", each)
