"""A roll-out is halted by the share of failed self-tests of its own release."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.fleet.rollout_failures import (
    LEAST_DEVICES,
    SelfTestCounts,
    count_self_tests,
    is_halted,
)
from tests.registry.fleet.device_reports import DIGEST, FAILED, PASSED, device_report

TESTS = st.sampled_from([None, PASSED, FAILED])


@given(st.lists(TESTS, max_size=30))
def test_only_self_tests_of_the_release_count(tests: list) -> None:
    reports = [device_report(f"shop-{n}", self_test=each) for n, each in enumerate(tests)]
    expected = SelfTestCounts(len(tests) - tests.count(None), tests.count(FAILED))
    assert count_self_tests(reports, DIGEST) == expected
    assert count_self_tests(reports, "cd" * 32) == SelfTestCounts(0, 0)


@pytest.mark.parametrize(("tested", "failed", "halted"), [
    (0, 0, False), (2, 2, False), (3, 0, False), (3, 1, True), (20, 1, False), (20, 2, True),
    (100, 5, False), (100, 6, True),
])  # fmt: skip
def test_more_than_a_twentieth_of_three_devices_halts(
    tested: int, failed: int, halted: bool
) -> None:
    assert is_halted(SelfTestCounts(tested, failed), 0.05) is halted


@given(st.integers(1, 100), st.integers(LEAST_DEVICES, 10_000), st.data())
def test_share_is_compared_as_it_is_written(percent: int, tested: int, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, tested))
    halted = is_halted(SelfTestCounts(tested, failed), percent / 100)
    assert halted is (Fraction(failed, tested) > Fraction(percent, 100))
