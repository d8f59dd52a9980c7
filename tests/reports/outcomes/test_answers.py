"""Which views went wrong, found again from the embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from recognition.acceptance.rule import AcceptanceRule
from recognition.retrieval import evaluate
from recognition.search.gallery import l2_normalise
from recognition.search.match_score import MatchScore
from reports.outcomes.answers import accepted_unknown, answers, confused, operating_curve, worst

IDS = ["a", "b", "c"]
GALLERY = np.eye(3, dtype=np.float32)


def test_worst_views_are_the_misnamed_ones_by_how_far_the_wrong_card_leads() -> None:
    views = l2_normalise([[1, 0.1, 0], [0.2, 1, 0], [0.6, 1, 0.55], [1, 0, 0.1], [0.5, 0.52, 0.5]])
    of = ["a", "a", "a", "c", "c"]
    found = answers(GALLERY, IDS, views, of, AcceptanceRule({1: 0.9}))
    assert found.right.tolist() == [True, False, False, False, False]
    assert found.accepted.tolist() == [True, True, False, True, False]
    assert worst(found, 3) == [3, 1, 2]
    assert confused(found, IDS, of) == [("a", "b", 2), ("c", "a", 1), ("c", "b", 1)]


def test_rows_of_a_gallery_need_not_be_sorted_by_card() -> None:
    views = l2_normalise([[1, 0.5, 0.1], [0.1, 0.5, 1]])
    found = answers(GALLERY, ["c", "a", "b"], views, ["c", "x"], AcceptanceRule({1: 0.9}))
    assert found.right[0] and found.other_row.tolist() == [1, 2]
    assert (found.own[1], found.accepted[0]) == (-1, False)


def test_tie_with_another_card_counts_as_wrong() -> None:
    found = answers(GALLERY, IDS, l2_normalise([[1, 1, 0]]), ["a"], AcceptanceRule({1: 0.5}))
    assert not found.right[0]


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_outcomes_agree_with_the_evaluation_that_is_reported(weight: float) -> None:
    rng = np.random.default_rng(1)
    gallery = l2_normalise(rng.normal(size=(30, 8)))
    ids = [f"card-{number:02}" for number in range(30)]
    of = [card for card in ids for _ in range(4)]
    views = l2_normalise(np.repeat(gallery, 4, axis=0) + rng.normal(size=(120, 8)) * 0.25)
    outside, test = (l2_normalise(rng.normal(size=(60, 8))) for _ in range(2))
    measured = evaluate(
        gallery, ids, views, of, outside, test, false_accepts=0.2, score=MatchScore(weight)
    )
    known = answers(gallery, ids, views, of, measured.rule)
    unknown = answers(gallery, ids, test, ["x"] * 60, measured.rule)
    assert float(known.right.mean()) == measured.top1
    assert float((known.right & known.accepted).mean()) == measured.accepted_right
    assert float(known.accepted.mean()) == measured.true_accept_rate
    assert float(unknown.accepted.mean()) == measured.false_accept_rate
    assert len(accepted_unknown(unknown, 100)) == round(measured.false_accept_rate * 60)
    row = next(r for r in operating_curve(known, unknown) if r[0] == measured.threshold)
    assert row[1:] == (measured.false_accept_rate, measured.accepted_right)
