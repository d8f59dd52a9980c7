"""The contact sheet of queries: the verdict of each, and a file that opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognition.query_sheet import GREEN, RED, AnsweredQuery, draw_query_sheet
from recognition.recogniser import Recognition


def shown(
    truth: str | None, answer: str | None, similarity: float, name: str = "a-1"
) -> AnsweredQuery:
    view = np.full((64, 64, 3), 120, np.uint8)
    candidates = ((answer or name, similarity), ("z-9", 0.1))
    return AnsweredQuery(view, truth, Recognition(answer, similarity, 0.5, candidates), view)


@pytest.mark.parametrize(
    ("truth", "answer", "verdict"),
    [
        ("a-1", "a-1", "right"),
        ("a-1", "a-2", "wrong"),
        ("a-1", None, "wrongly rejected"),
        (None, None, "rejected"),
        (None, "a-2", "wrongly accepted"),
    ],
)
def test_verdict_of_truth_and_answer(truth: str | None, answer: str | None, verdict: str) -> None:
    assert shown(truth, answer, 0.7 if answer else 0.3).verdict == verdict


def colours(path: Path) -> set[tuple[int, int, int]]:
    pixels = np.asarray(Image.open(path)).reshape(-1, 3)
    return {tuple(int(v) for v in row) for row in np.unique(pixels, axis=0)}


def test_sheet_is_a_png_in_the_colours_of_its_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "new" / "matches.png"
    draw_query_sheet([shown("a-1", "a-1", 0.9)], path, "Right ones only")
    assert Image.open(path).format == "PNG"
    assert GREEN in colours(path) and RED not in colours(path)
    draw_query_sheet([shown("a-1", "a-1", 0.9), shown("a-1", "a-2", 0.9)], path, "One is wrong")
    assert GREEN in colours(path) and RED in colours(path)
    assert [item.name for item in path.parent.iterdir()] == ["matches.png"]


def test_more_queries_make_more_rows_and_long_names_are_cut(tmp_path: Path) -> None:
    few, many = tmp_path / "few.png", tmp_path / "many.png"
    draw_query_sheet([shown("a-1", "a-1", 0.9)] * 3, few, "t" * 500)
    draw_query_sheet([shown("b" * 100, None, 0.2, "c" * 100)] * 7, many, "title")
    assert Image.open(few).width == Image.open(many).width
    assert Image.open(many).height > 2 * Image.open(few).height
    with pytest.raises(ValueError, match="no query"):
        draw_query_sheet([], few, "title")
