"""The measurement of finding cards, on a few scenes."""

from __future__ import annotations

import numpy as np
import pytest

from bench.frames.finding import corner_errors, main, measure, scans
from bench.frames.outline_weights import fit


def test_few_scenes_are_measured_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenes", "1", "--sizes", "320x240"]) == 0
    text = capsys.readouterr().out
    assert "| all | 9 |" in text and "false, all sizes:" in text and " of 4" in text


def test_two_outlines_are_compared_whichever_corner_comes_first() -> None:
    square = np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]])
    assert corner_errors(np.roll(square, 3, axis=0) + 1, square) == pytest.approx([2**0.5] * 4)


def test_card_on_a_plain_table_counts_as_found() -> None:
    count = measure("plain", (480, 360), range(2), scans(None)[:2])
    assert count.scenes == 2 and count.found + count.elsewhere <= 2
    assert len(count.errors) == 4 * count.found and not count.false


def test_weights_of_a_known_rule_are_found_again() -> None:
    rng = np.random.default_rng(1)
    rows = rng.uniform(0, 1, (4000, 2))
    likely = 1 / (1 + np.exp(-(rows @ [3.0, -2.0] + 0.5)))
    labels = (rng.uniform(0, 1, 4000) < likely).astype(float)
    assert fit(rows, labels, np.ones(4000)) == pytest.approx([3.0, -2.0, 0.5], abs=0.35)
