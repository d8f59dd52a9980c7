"""What `cards index add` says; that it does it, tests/e2e/test_added_cards.py shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cli.index.addition import Addition, figures, lines
from tests.cli.command import cards, refused
from tests.cli.conftest import Stack

FOUND = Addition(
    outcome="registered",
    name="student-efficientnet-lite0-stage2-v2",
    arn="arn:aws:sagemaker:us-east-2:123456789012:model-package/cards/7",
    release="student-efficientnet-lite0-stage2-v1.onnx-int8-00000000",
    parent="student-efficientnet-lite0-stage2-v1",
    cards_uri="s3://training/cards/0f3a/",
    cards_digest="0f3a",
    new=("a", "b"),
    present=("c",),
    held_out=(),
    added=2,
    problems=(),
    twins=(),
    metrics={
        "top1_added": 0.95,
        "top1_added_low": 0.9,
        "top1_added_high": 0.98,
        "added_queries": 240.0,
        "accepted_right_added": 0.7,
        **{f"{key}{end}": 0.5 for key in ("top1", "accepted_right") for end in ("", "_before")},
        "false_accept_rate": 0.012,
        "false_accept_rate_before": 0.008,
    },
    newer=None,
)


def test_figures_of_added_cards_and_of_the_others_are_printed() -> None:
    text = "\n".join(lines(FOUND))
    assert "2 new cards, 1 that the release has already" in text
    assert "top-1 0.950 (0.900 to 0.980) of 240 views, 0.700 accepted and right" in text
    assert "false accepts 0.008 → 0.012" in text
    assert "student-efficientnet-lite0-stage2-v2: waits for approval" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"newer": "student-x-stage2-v9"}, "the candidate channel points to student-x-stage2-v9"),
        ({"held_out": ("c",)}, "1 of them are held out to measure with, and in no index: c"),
        ({"problems": ("c/front.png: is cut short (broken)",)}, "c/front.png: is cut short"),
        ({"problems": tuple(map(str, range(12)))}, "… and 2 more (--json lists all)"),
        ({"twins": (("a", "z"),)}, "a and z show the same print: they cannot be told apart"),
        ({"twins": tuple(("a", str(i)) for i in range(12))}, "… and 2 more such pairs"),
        ({"outcome": "already registered", "metrics": {}}, "is there already"),
    ],
)
def test_finding_that_needs_attention_is_printed(changes: dict[str, object], words: str) -> None:
    assert words not in "\n".join(lines(FOUND))
    assert words in "\n".join(lines(replace(FOUND, **changes)))  # type: ignore[arg-type]


def test_nothing_measured_is_no_figure() -> None:
    assert figures({}) == []


def test_unknown_release_is_refused_in_one_line(aws: Stack, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    refused(
        cards("index", "add", "student-x-stage2-v9.onnx-int8-00000000", "--cards", str(tmp_path)),
        "student-x-stage2-v9.onnx-int8-00000000",
    )
