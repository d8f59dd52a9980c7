"""A compile job's report: the licence of the scans is one short line, or not stated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recognition.card_sets.card_set import LICENCE, read_licence
from registry.compilation.reports import COMPILATION_REPORT, check
from tests.registry.compilation.compiled_files import report


def given(**card_set: Any) -> dict[str, Any]:
    return {**report("student", "arn"), "card_set": {"digest": "d" * 64, **card_set}}


def test_report_without_a_licence_and_with_the_longest_is_taken(tmp_path: Path) -> None:
    (tmp_path / LICENCE).write_text("CC-BY-4.0 by many " * 100)
    longest, _ = read_licence(tmp_path)
    assert longest
    for card_set in ({}, {"licence": None}, {"licence": longest.text}):
        check(COMPILATION_REPORT, given(**card_set))


@pytest.mark.parametrize("licence", ["a" * 201, 7, ["MIT"], False])
def test_licence_of_another_form_is_refused(licence: object) -> None:
    with pytest.raises(ValueError, match="card_set"):
        check(COMPILATION_REPORT, given(licence=licence))
