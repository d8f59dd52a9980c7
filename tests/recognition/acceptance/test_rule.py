"""The rule by which answers count: thresholds by frames, and its form in a manifest."""

from __future__ import annotations

import json

import pytest

from recognition.acceptance.rule import AcceptanceRule
from recognition.search.match_score import MatchScore

RULE = AcceptanceRule({1: 0.7, 3: 0.8}, MatchScore(0.5, 2), printing_margin=0.02)


def test_rule_accepts_from_its_threshold_for_so_many_frames() -> None:
    ranked = [[0.95, 0.3, 0.1], [0.85, 0.3, 0.1], [0.7, 0.3, 0.1]]  # scores .85, .75, .6
    assert RULE.accepts(ranked).tolist() == [True, True, False]
    assert RULE.accepts(ranked, frames=3).tolist() == [True, False, False]


def test_number_of_frames_that_was_not_measured_has_the_stricter_neighbour() -> None:
    assert [RULE.threshold(n) for n in (1, 2, 3, 9)] == [0.7, 0.8, 0.8, 0.8]
    assert AcceptanceRule({1: 0.7, 3: 0.6}).threshold(2) == 0.7
    with pytest.raises(ValueError, match="at least one"):
        RULE.threshold(0)


def test_printing_is_named_from_the_margin_on() -> None:
    assert RULE.names_printing(float("inf")) and RULE.names_printing(0.02)
    assert not RULE.names_printing(0.0199)


def test_rule_is_read_back_from_a_manifest_and_made_of_an_older_one() -> None:
    manifest = {"acceptance": {**json.loads(json.dumps(RULE.to_dict())), "bound": 0.01}}
    assert AcceptanceRule.from_manifest({**manifest, "acceptance_threshold": 0.1}) == RULE
    old = AcceptanceRule.from_manifest({"acceptance_threshold": 0.64})
    assert old == AcceptanceRule({1: 0.64}, MatchScore(), 0.0)
    assert old.threshold(3) == 0.64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"thresholds": {}}, "thresholds is missing"),
        ({"thresholds": {"3": 0.5}}, "none for a single frame"),
        ({"thresholds": {"1": 0.5, "x": 0.5}}, "no number of frames"),
        ({"thresholds": {"1": 0.5, "0": 0.5}}, "not 1 to"),
        ({"thresholds": {"1": 0.5, "9" * 5000: 0.5}}, "no number of frames"),
        ({"thresholds": {"1": True}}, "thresholds is not a number"),
        ({"thresholds": {"1": float("nan")}}, "thresholds is not a number"),
        ({"printing_margin": -0.1}, "must not be negative"),
        ({"score": None}, "this code knows"),
    ],
)
def test_rule_of_another_form_is_refused(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        AcceptanceRule.from_dict({**RULE.to_dict(), **change})


def test_manifest_without_a_usable_threshold_is_refused() -> None:
    for manifest in ({}, {"acceptance_threshold": "high"}, {"acceptance": []}):
        with pytest.raises(ValueError, match="acceptance"):
            AcceptanceRule.from_manifest(manifest)
