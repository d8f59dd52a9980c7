"""Links, paths, settings and commands that the documentation names exist."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import click
import pytest
from typer.main import get_command

from cli.program.application import app
from infra.settings import Settings
from tests.docs.pages import PAGES, ROOT, Page, read

#: Folders of the checkout that the documentation may point into.
TOP = {
    entry.name
    for entry in ROOT.iterdir()
    if entry.is_dir() and (entry.name.isidentifier() or entry.name == "docs")
}
_PATH = re.compile(r"[A-Za-z_][\w.-]*(?:/[\w.-]+)*/?")


def broken_links(page: Path, content: Page) -> list[str]:
    """Relative links of a page that lead to no file, or to no heading of it."""
    broken = []
    for link in content.links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_relative_to(ROOT) or not target.exists():
            broken.append(f"{link}: no such file")
        elif anchor and anchor not in read(target.read_text(encoding="utf-8")).anchors:
            broken.append(f"{link}: no such heading")
    return broken


def missing_paths(content: Page) -> list[str]:
    """Code spans that are paths of the checkout, and lead nowhere.

    Only paths that start with one of its folders count; ``config.json`` may be any file.
    """
    paths = [
        code
        for code in content.codes
        if _PATH.fullmatch(code) and "/" in code and code.partition("/")[0] in TOP
    ]
    return [path for path in paths if not (ROOT / path).exists()]


def unknown_settings(content: Page) -> list[str]:
    """Code spans such as ``cards.compile.gate`` that name no setting."""
    spans = [re.match(r"cards((?:\.[a-z0-9_]+)+)", code) for code in content.codes]
    return [span[0] for span in spans if span and not _is_setting(Settings, span[1].split(".")[1:])]


def _is_setting(cls: Any, path: list[str]) -> bool:
    if not path:
        return True
    if not is_dataclass(cls) or path[0] not in {field.name for field in fields(cls)}:
        return False
    return _is_setting(get_type_hints(cls)[path[0]], path[1:])


def unknown_commands(content: Page) -> list[str]:
    """Code spans such as ``cards registry list`` that name no command.

    ``a|b`` and ``a | b`` stand for either word; arguments and options are not checked.
    """
    unknown, cards = [], get_command(app)
    for code in content.codes:
        words = re.sub(r" \| ", "|", code).split()
        if words[:1] == ["cards"] and not _is_command(cards, words[1:]):
            unknown.append(code)
    return unknown


def _is_command(command: click.Command, words: list[str]) -> bool:
    children = getattr(command, "commands", None)
    if not children or not words or not re.fullmatch(r"[a-z|-]+", words[0]):
        return True
    return all(
        word in children and _is_command(children[word], words[1:]) for word in words[0].split("|")
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_names_only_what_exists(page: Path) -> None:
    content = read(page.read_text(encoding="utf-8"))
    assert broken_links(page, content) == []
    assert missing_paths(content) == []
    assert unknown_settings(content) == []
    assert unknown_commands(content) == []


def test_every_page_of_docs_is_linked() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in read(page.read_text(encoding="utf-8")).links
        if "://" not in link
    }
    pages = {page.resolve() for page in PAGES if page.parent != ROOT}
    assert pages - linked == set()


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(page.name[:4]) for page in sorted((ROOT / "docs/decisions").glob("0*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_faults_in_a_page_are_found() -> None:
    text = (
        "# A heading\n[x](nowhere.md) [y](README.md#no-such-heading) [z](README.md) [w](../..)\n\n"
        "`registry/nothing.py`, `registry/names.py`, `cards.compile.gates`, `cards.compile.gate`,\n"
        "`cards nothing`, `cards release list|nothing`, `cards release list --json`\n\n"
        "```bash\n`registry/code_block.py`\n```\n"
    )
    content = read(text)
    assert broken_links(ROOT / "page.md", content) == [
        "nowhere.md: no such file",
        "README.md#no-such-heading: no such heading",
        "../..: no such file",
    ]
    assert missing_paths(content) == ["registry/nothing.py"]
    assert unknown_settings(content) == ["cards.compile.gates"]
    assert unknown_commands(content) == ["cards nothing", "cards release list|nothing"]


def test_anchors_are_github_s() -> None:
    text = "# To change X, open Y\n## `a_b` and c-d\n## Twice\n## Twice\n"
    assert read(text).anchors == {"to-change-x-open-y", "a_b-and-c-d", "twice", "twice-1"}
