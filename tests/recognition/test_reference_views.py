"""Reference views: which are chosen, and what of their file a reader accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recognition.reference_views import (
    CLEAR,
    REFERENCE_VIEWS,
    ReferenceViewsError,
    chosen_rows,
    read_reference_views,
    write_reference_views,
)
from tests.recognition.example_reference_views import example


def test_answers_are_those_above_the_threshold() -> None:
    assert example().answers == ("base1-1", None)


def test_written_views_are_read_back_and_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_reference_views(tmp_path / name / REFERENCE_VIEWS, example())
    read = read_reference_views(tmp_path / "one" / REFERENCE_VIEWS)
    assert np.array_equal(read.views, example().views)
    assert np.array_equal(read.embeddings, example().embeddings)
    assert (read.card_ids, read.similarities) == (example().card_ids, example().similarities)
    assert (read.threshold, read.cosine_mean, read.cosine_each) == (0.7, 0.99, 0.98)
    bytes_ = {path.read_bytes() for path in tmp_path.rglob(REFERENCE_VIEWS)}
    assert len(bytes_) == 1


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 not a zip", b"\x80\x04K\x01."], ids=["empty", "zip", "pickle"]
)
def test_file_of_another_kind_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / REFERENCE_VIEWS
    path.write_bytes(content)
    with pytest.raises(ReferenceViewsError, match=REFERENCE_VIEWS):
        read_reference_views(path)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("views", np.zeros((2, 8, 8, 3), np.float32), "views must be uint8"),
        ("views", np.zeros((0, 8, 8, 3), np.uint8), "views must be uint8"),
        ("embeddings", np.zeros((3, 4), np.float32), "embeddings must be float32 \\(2, D\\)"),
        ("embeddings", np.full((2, 4), np.nan, np.float32), "not finite"),
        ("card_ids", np.array(["a"]), "card_ids must be 2 texts"),
        ("similarities", np.array([1, 2]), "similarities must be 2 numbers"),
        ("tolerance", np.array([0.9]), "tolerance two"),
        ("threshold", np.array("x"), "not finite"),
    ],
)
def test_field_of_another_form_is_refused_with_the_reason(
    tmp_path: Path, field: str, value: np.ndarray, reason: str
) -> None:
    path = tmp_path / REFERENCE_VIEWS
    write_reference_views(path, example())
    with np.load(path) as archive:
        fields = {name: archive[name] for name in archive.files}
    np.savez(path, **{**fields, field: value})
    with pytest.raises(ReferenceViewsError, match=reason):
        read_reference_views(path)


def test_clear_answers_are_chosen_and_unclear_ones_left_out() -> None:
    first = np.array([0.70, 0.95, 0.90, 0.90, 0.40])
    second = np.array([0.10, 0.20, 0.895, 0.10, 0.399])
    # Row 0 is at the threshold, row 2 is nearly another card; row 4 is rejected by far.
    assert chosen_rows(first, second, 0.7, 3) == [1, 3, 4]
    assert chosen_rows(first, second, 0.7, 2) == [1, 3]
    assert abs(first[0] - 0.7) < CLEAR and first[2] - second[2] < CLEAR


def test_clearest_answers_are_chosen_where_none_is_clear() -> None:
    assert chosen_rows(np.array([0.7, 0.71]), np.array([0.7, 0.7]), 0.7, 1) == [1]
    assert chosen_rows(np.array([0.7]), np.array([0.7]), 0.7, 5) == [0]
