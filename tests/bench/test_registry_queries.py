"""The measurement of the registry's queries runs, and its own answers are right."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.order_statistics import median_interval
from bench.registry_queries import main


@pytest.mark.processes
def test_measurement_runs_and_ours_is_right_within_three_calls(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["--versions", "250"])
    told = capsys.readouterr().out
    ours = re.findall(r"^  ours +(\d+) calls .*?(right|WRONG)?$", told, re.MULTILINE)
    assert ours == [("3", "right"), ("1", "right"), ("3", "right"), ("1", "")]
    guide = re.findall(r"^  guide +(\d+) calls .*?(right|WRONG)?$", told, re.MULTILINE)
    assert guide == [("1", "WRONG"), ("1", "WRONG"), ("3", "right"), ("3", "")]


def test_interval_of_a_median_is_known() -> None:
    # Conover, Practical Nonparametric Statistics, table A3: n = 16 takes the 4th and the 13th.
    assert median_interval([float(n) for n in range(1, 17)]) == (8.5, 4.0, 13.0)
    assert median_interval([float(n) for n in range(1, 26)]) == (13.0, 8.0, 18.0)
    assert median_interval([5.0]) == (5.0, 5.0, 5.0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_interval_holds_its_median(values: list[float]) -> None:
    middle, low, high = median_interval(values)
    assert min(values) <= low <= middle <= high <= max(values)
