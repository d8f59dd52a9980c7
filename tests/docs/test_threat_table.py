"""The page's table of threats has every attacker, and each row names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ATTACKERS = (
    *("training role", "compile role", "releaser", "approver", "someone with the release bucket"),
    *("someone with one SSM parameter", "someone between device and S3"),
    *("web page on a developer's machine", "another local user"),
    *("hostile card set", "hostile archive"),
)


def _rows() -> list[list[str]]:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    section = page.partition("\n## Threats\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_every_attacker_has_a_row() -> None:
    named = [each for row in _rows() for each in row[0].split(", ")]
    assert set(ATTACKERS) <= set(named)


@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row[0]}: {row[1][:40]}")
def test_row_names_files_with_tests(row: list[str]) -> None:
    attacker, attack, defence, tests = row
    assert attacker and attack and defence
    named = re.findall(r"`([^`]+)`", tests)
    assert named, "a row without a test shows nothing"
    for each in named:
        assert re.search(r"^ *(async )?def test_", (ROOT / each).read_text(), re.MULTILINE), each
