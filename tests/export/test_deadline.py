"""When the compile job stops by itself, derived from the limit that SageMaker holds it to."""

from __future__ import annotations

import doctest
import time

import pytest

from export import deadline as deadline_module
from export.deadline import LONGEST_MARGIN_SECONDS, Deadline, duration


@pytest.mark.parametrize(
    ("job_seconds", "usable"), [(60, 50), (3600, 3000), (6 * 3600, 5.5 * 3600), (86_400, 84_600)]
)
def test_usable_time_is_the_job_limit_less_a_margin(job_seconds: int, usable: float) -> None:
    assert Deadline(job_seconds).usable_seconds == usable
    assert job_seconds - usable <= LONGEST_MARGIN_SECONDS


def test_remaining_time_shrinks_as_the_job_runs() -> None:
    deadline = Deadline(3600, started=time.monotonic() - 1000)
    assert 1990 < deadline.remaining() <= 2000


def test_remaining_time_of_a_late_job_is_zero() -> None:
    assert Deadline(60, started=time.monotonic() - 1000).remaining() == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(50, "50 s"), (119, "119 s"), (600, "10 min"), (19_800, "5.5 h")]
)
def test_duration_is_shown_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_module_example_gives_what_it_shows() -> None:
    result = doctest.testmod(deadline_module)
    assert result.attempted and not result.failed
