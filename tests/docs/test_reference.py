"""The generated reference pages name everything that the code has."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.program.application import app
from documentation import commands, registry, settings
from documentation.commands import Command
from documentation.site import GENERATED, ROOT, lay_out
from edge.cli.main import parser
from registry.aws_errors import KNOWN
from registry.versions.comparison import METRICS
from registry.versions.metadata_schema import SCHEMA_KEYS
from reports.figures import MEANINGS
from tests.docs.pages import read


def titles(text: str) -> set[str]:
    return set(re.findall(r"^## (.+)$", text, re.MULTILINE))


def walk(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    yield name, command
    for child, each in getattr(command, "commands", {}).items():
        yield from walk(f"{name} {child}", each)


def test_every_command_of_cards_is_there_with_its_options() -> None:
    text = commands.page()
    sections = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", text, re.MULTILINE))
    shown = [pair for pair in walk("cards", get_command(app)) if not pair[1].hidden]
    assert len(shown) > 30
    for name, command in shown:
        for parameter in command.params:
            if parameter.name != "help" and not getattr(parameter, "hidden", False):
                wanted = parameter.opts[0] if parameter.opts[0].startswith("-") else None
                wanted = wanted or parameter.metavar or parameter.name
                assert wanted in sections[name], f"{name}: {wanted}"


def test_every_command_of_the_device_is_there() -> None:
    (commands_of,) = (
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    assert len(commands_of.choices) > 6
    assert {f"cards-edge {name}" for name in commands_of.choices} <= titles(commands.page())


def leaves(value: Any, prefix: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, f"{prefix}.{key}")
    else:
        yield prefix


def test_every_setting_of_cdk_json_is_there_with_a_meaning() -> None:
    written = json.loads((ROOT / "cdk.json").read_text())["context"]["cards"]
    names = [each.name for each in settings.settings()]
    assert set(leaves(written, "cards")) <= set(names)
    assert len(names) == len(set(names)) > 30
    assert all(each.meaning for each in settings.settings())
    rows = read(settings.page()).rows
    assert [cells[0][0] for _, cells in rows] == names


def test_a_meaning_has_all_its_lines() -> None:
    class Example:
        """An example.

        Attributes:
            first: One line
                and another.
            second: A last one.

        """

    assert settings.meanings_of(Example) == {
        "first": "One line and another.",
        "second": "A last one.",
    }


def test_every_metadata_key_is_there() -> None:
    rows = {cells[0][0] for _, cells in read(registry.metadata_page()).rows}
    # A copy has it beside the keys of its kind; the page says so above the tables.
    assert set(SCHEMA_KEYS) - rows == {"PromotedFrom"}


def test_every_metric_is_there() -> None:
    text = registry.metrics_page()
    assert {key for key in (*METRICS, *MEANINGS) if f"| `{key}` |" not in text} == set()


def test_every_error_is_there() -> None:
    rows = read(registry.errors_page()).rows
    assert [cells[1][0] for _, cells in rows] == [
        each.code for known in KNOWN.values() for each in known
    ]


@pytest.mark.parametrize("name", GENERATED)
def test_each_row_has_as_many_cells_as_its_head(name: str) -> None:
    width = 0
    for line in GENERATED[name]().splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        width = width or cells
        assert cells == width, line


def test_site_has_every_page_once(tmp_path: Path) -> None:
    lay_out(tmp_path)
    pages = {str(page.relative_to(tmp_path)) for page in tmp_path.rglob("*.md")}
    assert set(pages_of_navigation()) == pages
    assert len(pages_of_navigation()) == len(pages)


def test_links_of_the_site_lead_to_files(tmp_path: Path) -> None:
    lay_out(tmp_path)
    for page in tmp_path.rglob("*.md"):
        for link in read(page.read_text(encoding="utf-8")).links:
            if not re.match(r"[a-z]+:|#", link):
                target = page.parent / link.partition("#")[0]
                assert target.is_file(), f"{page.relative_to(tmp_path)}: {link}"


def pages_of_navigation() -> list[str]:
    """Pages that ``mkdocs.yml`` lists, in order."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return list(_pages(yaml.safe_load(text[text.index("\nnav:") :])["nav"]))


def _pages(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for each in entry.values() if isinstance(entry, dict) else entry:
            yield from _pages(each)
