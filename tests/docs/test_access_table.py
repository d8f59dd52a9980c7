"""The page's table 'who may do what' is what the deployed roles were asked, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.operations.account.access_table import ROWS, Row, table
from tests.e2e.test_deployed_roles import CALLS, MAY

PAGE = Path(__file__).resolve().parents[2] / "docs/reliability.md"


def test_page_has_the_generated_table() -> None:
    assert table() in PAGE.read_text(), (
        "write the page's table with: python -m scripts.access_table"
    )


def test_every_deployed_role_has_its_row() -> None:
    assert sorted(row.role for row in ROWS) == sorted(MAY)


@pytest.mark.parametrize("row", ROWS, ids=[row.role for row in ROWS])
def test_row_is_what_the_deployed_role_may(row: Row) -> None:
    allowed = set(MAY[row.role].split())
    named = {call for calls in (*row.may.values(), *row.may_not.values()) for call in calls}
    assert all((*row.may.values(), *row.may_not.values())), "an entry without calls shows nothing"
    assert named <= set(CALLS)
    for words, calls in row.may.items():
        assert set(calls) <= allowed, words
    for words, calls in row.may_not.items():
        assert not set(calls) & allowed, words
