"""The page of a release: the gate's figures in words, what was required, whether it holds."""

from __future__ import annotations

import pytest

from reports.gate_figures import gate_figures
from reports.release_page import release_page
from tests.reports.examples import compiled
from tests.reports.test_page import Read, words


def test_a_limit_that_is_not_met_is_said_beside_its_figure() -> None:
    given = compiled()
    figures = {each.key: each for each in gate_figures(given.gate, given.thresholds)}
    assert figures["cosine_mean"].met and figures["cosine_mean"].limit == "at least 0.9900"
    assert figures["card_cosine_worst"].met is False
    # By hand: 0.5 % are allowed, and 1.645 standard errors of 0.5 %.
    assert figures["top1_drop"].limit.startswith("at most 1.32 %") and figures["top1_drop"].met
    assert figures["top1_drop_standard_error"].met is None
    assert "not met" in words(Read(release_page(given, "Made for a test.")))


@pytest.mark.parametrize("passed", [True, False])
def test_page_says_what_happens_next(passed: bool) -> None:
    reasons = () if passed else ("top-1 falls by 0.1 <b>",)
    page = Read(release_page(compiled(passed=passed, reasons=reasons), "Made for a test."))
    text = words(page)
    assert ("a signed release is published" in text) is passed
    assert ("cards release retry" in text and "top-1 falls by 0.1 <b>" in text) is not passed
    assert "It has passed the fidelity gate" in text or not passed


@pytest.mark.parametrize("stated", ["", "CC-BY-4.0, by <b>Ada</b>"])
def test_licence_of_the_scans_is_stated_or_said_to_be_missing(stated: str) -> None:
    text = words(Read(release_page(compiled(licence=stated), "Made for a test.")))
    assert f"Licence of the scans{stated or 'not stated'}" in text
    assert ("The licence of the scans is not stated" in text) == (not stated)


def test_without_a_comparison_the_page_says_why() -> None:
    given = compiled(paired=None, lacking="the views of a card do not follow each other")
    text = words(Read(release_page(given, "Made for a test.")))
    assert "cannot be compared on the same views: the views of a card do not follow" in text
