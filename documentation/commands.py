"""The reference page of the commands: ``cards`` by Typer, ``cards-edge`` by argparse."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from cli.program.application import app
from documentation.tables import code, table
from edge.cli.main import parser

#: Typer has its own copy of click's classes, which are not public.
Command = Any
Parameter = Any
_MARKUP = re.compile(r"\[/?(?:bold|italic|dim|red|green|yellow|cyan)\]")


def page() -> str:
    """The page, as Markdown."""
    parts = [
        "# Commands",
        "Generated from the code. `-h` and `--help` show the same in a terminal.",
    ]
    for name, command in cards_commands():
        parts += [f"## {name}", _words(command.help), *_cards_arguments(command)]
    for name, each in device_commands():
        described = each.description or _help_in_parent(name) or ""
        parts += [f"## {name}", _words(described), *_device_arguments(each)]
    return "\n\n".join(part for part in parts if part) + "\n"


def cards_commands() -> list[tuple[str, Command]]:
    """Every shown command and group of ``cards``, by its full name, in the help's order."""
    return list(_below("cards", get_command(app)))


def device_commands() -> list[tuple[str, argparse.ArgumentParser]]:
    """``cards-edge`` and every command of it, by its full name."""
    top = parser()
    return [(top.prog, top), *((f"{top.prog} {name}", each) for name, each in _children(top))]


def _below(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    if command.hidden:
        return
    yield name, command
    for child, each in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {child}", each)


def _children(top: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _help_in_parent(name: str) -> str | None:
    for action in parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                if name.endswith(f" {choice.dest}"):
                    return choice.help
    return None


def _words(text: str | None) -> str:
    """Help as Markdown: a paragraph that starts with the mark of no wrapping is a code block."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(_paragraph(_MARKUP.sub("", each)) for each in paragraphs)


def _paragraph(text: str) -> str:
    if text.startswith("\b"):
        body = text.removeprefix("\b").strip("\n")
        return f"```text\n{body}\n```"
    return text.replace("<", "&lt;")


def _cards_arguments(command: Command) -> Iterator[str]:
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    rows = [
        [code(_name(each)), _kind(each), _cell(getattr(each, "help", None)), _default(each)]
        for each in shown
        if each.name != "help"
    ]
    if rows:
        yield table(["Argument or option", "Value", "Meaning", "Default"], rows)


def _name(parameter: Parameter) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name)
    return ", ".join([*parameter.opts, *parameter.secondary_opts])


def _kind(parameter: Parameter) -> str:
    kind = str(parameter.bare_type())
    return "" if kind == "bool" else code(kind)


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    if value is False:
        return ""
    plain = getattr(value, "value", value)
    return code(str(plain)) if isinstance(plain, str | int | float) and plain != "" else ""


def _device_arguments(command: argparse.ArgumentParser) -> Iterator[str]:
    rows = [
        [
            code(", ".join(action.option_strings) or str(action.metavar or action.dest)),
            ", ".join(map(str, action.choices or [])),
            _cell((action.help or "").replace("%(default)s", str(action.default))),
        ]
        for action in command._actions
        if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
        and action.help != argparse.SUPPRESS
    ]
    if rows:
        yield table(["Argument or option", "Value", "Meaning"], rows)


def _cell(text: str | None) -> str:
    return _MARKUP.sub("", text or "").replace("<", "&lt;")
