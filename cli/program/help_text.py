"""Help texts whose paragraphs fill the terminal's width.

typer shows each paragraph after the first with the line ends of the source, and then wraps it: a
narrow terminal gets a word or two on every other line.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

#: Before a paragraph whose line ends are meant.
_AS_IT_IS = "\b"


def unwrap(app: typer.Typer) -> None:
    """Joins the lines of each paragraph in the help of an application and all of its commands."""
    if isinstance(app.info.help, str):
        app.info.help = joined(app.info.help)
    for command in app.registered_commands:
        command.help = joined(command.help or inspect.getdoc(command.callback) or "") or None
    for group in app.registered_groups:
        if group.typer_instance:
            unwrap(group.typer_instance)


def joined(text: str) -> str:
    """The text with one line for each paragraph.

    Args:
        text: Paragraphs with an empty line between them.
    """
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        each if each.startswith(_AS_IT_IS) else each.replace("\n", " ") for each in paragraphs
    )
