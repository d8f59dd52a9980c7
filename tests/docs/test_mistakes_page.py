"""``docs/mistakes.md`` and the tests called ``test_mistake_<number>_…`` name the same mistakes."""

from __future__ import annotations

import ast
import re

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "mistakes.md").read_text(encoding="utf-8")
HEADING = re.compile(r"^## ([0-9]+)\. \S", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py::test_mistake_([0-9]+)_\w+)`")


def named_tests() -> set[str]:
    """The node ids of all tests with such a name."""
    return {
        f"{file.relative_to(ROOT)}::{node.name}"
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and re.match(r"test_mistake_[0-9]+_", node.name)
    }


def sections() -> dict[int, str]:
    """The text below each heading, by its number."""
    parts = HEADING.split(PAGE)[1:]
    return {int(number): text for number, text in zip(parts[::2], parts[1::2], strict=True)}


def test_mistakes_are_numbered_without_gaps() -> None:
    numbers = [int(number) for number in HEADING.findall(PAGE)]
    assert numbers == list(range(1, len(numbers) + 1)) and numbers


def test_page_names_every_test_and_no_other() -> None:
    assert {name for name, _ in TEST.findall(PAGE)} == named_tests()


def test_every_mistake_names_a_test_of_its_own_number() -> None:
    for number, text in sections().items():
        found = {int(each) for _, each in TEST.findall(text)}
        assert found == {number}, f"mistake {number} names tests of {sorted(found)}"
