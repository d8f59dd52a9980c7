"""Retrieval figures against known values and against plain loops."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recognition.acceptance import (
    FLOAT_NOISE,
    acceptance_threshold,
    cosine_noise,
    false_accept_warning,
)
from recognition.retrieval import (
    auroc,
    best_matches,
    evaluate,
    l2_normalise,
)

scores = hnp.arrays(
    np.float32, st.integers(1, 120), elements=st.sampled_from(np.linspace(-1, 1, 21).tolist())
)


def test_auroc_known_values() -> None:
    assert auroc([3, 4], [1, 2]) == 1.0
    assert auroc([1, 2], [3, 4]) == 0.0
    assert auroc([1, 1], [1, 1, 1]) == 0.5
    assert auroc([0.1, 0.4, 0.35, 0.8], [0.1, 0.4]) == pytest.approx(0.625)
    with pytest.raises(ValueError, match="both known and unseen"):
        auroc([], [1.0])


@settings(deadline=None)
@given(scores, scores)
def test_auroc_equals_the_pairwise_definition(ours: np.ndarray, theirs: np.ndarray) -> None:
    pairs = [(a > b) + 0.5 * (a == b) for a in ours for b in theirs]
    assert auroc(ours, theirs) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 9)),
        elements=st.floats(-(2.0**60), 2.0**60, width=32),
    )
)
def test_normalising_gives_length_one_and_keeps_direction(rows: np.ndarray) -> None:
    rows[:, 0] = np.where(np.abs(rows).max(axis=1) == 0, 1.0, rows[:, 0])
    result = l2_normalise(rows)
    assert result.dtype == np.float32
    assert np.linalg.norm(result.astype(float), axis=1) == pytest.approx(1, abs=1e-5)
    lengths = np.linalg.norm(rows.astype(float), axis=1, keepdims=True)
    np.testing.assert_allclose(result * lengths, rows, rtol=1e-5, atol=1e-6 * lengths.max())
    np.testing.assert_allclose(l2_normalise(rows[0]), result[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_rows_without_direction_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"not finite|all zeros"):
        l2_normalise(np.full((2, 3), value))


def by_hand() -> dict:
    """Five cards on the axes; queries whose ranks can be counted by eye."""
    axes = np.eye(6)
    return {
        "gallery": axes[:5],
        "gallery_ids": ["a", "b", "c", "d", "e"],
        "queries": [
            [1, 0, 0, 0, 0, 0],  # a: first
            [0.5, 1, 0, 0, 0, 0],  # b: first
            [1, 0.9, 0.8, 0, 0, 0],  # c: third
            [1, 0.9, 0.8, 0.7, 0.6, 0],  # e: fifth
        ],
        "query_ids": ["a", "b", "c", "e"],
        "unseen_validation": [[0.3, 0, 0, 0, 0, 1], [0.1, 0, 0, 0, 0, 1]],
        "unseen_test": [[0.2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 1]],
    }


def test_evaluation_counted_by_hand() -> None:
    result = evaluate(**by_hand())
    assert (result.top1, result.top5) == (0.5, 1.0)
    assert (result.queries, result.gallery, result.cards) == (4, 5, 5)
    highest = 0.3 / math.sqrt(1.09)
    assert 1e-5 < result.threshold - highest <= cosine_noise(highest, FLOAT_NOISE) + 1e-6
    assert result.false_accept_target == 0.01
    assert result.warnings == (false_accept_warning(0.01, 2),)
    assert result.false_accept_rate == 0.5
    assert result.true_accept_rate == 1.0 and result.accepted_right == 0.5
    # Best similarities: known 1, .894, .639, .551; unseen .196 and .894 (the very same number).
    assert result.auroc == pytest.approx((4 + 1 + 0.5) / 8)
    assert result.top1_unseen is None
    document = json.loads(json.dumps(result.to_dict()))
    low, high = document["top1_interval"]
    assert 0 < low < 0.5 < high < 1
    # Ranks are 1, 1 and two that are not: the mean of their inverses is between top-1 and 1.
    assert result.top1 < result.mean_average_precision < 1
    assert result.intra_distance == pytest.approx(1 - result.mean_similarity)
    assert result.inter_distance > 1 - result.mean_best_other
    metrics = result.metrics()
    assert (metrics["top1_low"], metrics["top1_high"]) == (low, high)
    assert "warnings" not in metrics and document["warnings"] == list(result.warnings)
    assert "top1_unseen" not in document


def test_zero_shot_needs_the_unseen_cards_in_the_gallery() -> None:
    given = {**by_hand(), "unseen_gallery": np.eye(6)[5:], "unseen_gallery_ids": ["f"]}
    result = evaluate(**given, unseen_test_ids=["f", "f"])
    assert result.top1_unseen == 0.5 and result.to_dict()["top1_unseen_interval"]
    with pytest.raises(ValueError, match="given together"):
        evaluate(**given)
    with pytest.raises(ValueError, match="not unseen"):
        evaluate(**{**given, "unseen_gallery_ids": ["a"]}, unseen_test_ids=["a", "a"])


@pytest.mark.parametrize(("cards", "dimensions"), [(4, 3), (37, 96), (130, 768)])
def test_evaluate_collapsed_model_recognises_nothing(cards: int, dimensions: int) -> None:
    """Equal embeddings tie with every card, however their products are rounded."""
    rng = np.random.default_rng(dimensions)
    row = rng.normal(size=dimensions)
    # The same direction everywhere, of lengths that a normalisation rounds differently.
    same = row * rng.uniform(0.5, 2.0, size=(cards, 1))
    ids = [f"c{n}" for n in range(cards)]
    result = evaluate(same, ids, same, ids, same, same[: cards // 2 + 1], chunk=7)
    assert result.top1 == 0.0 and result.auroc == 0.5
    assert result.auroc_interval == (0.5, 0.5)
    assert result.true_accept_rate == 0.0 and result.false_accept_rate == 0.0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), chunk=st.integers(1, 40), cards=st.integers(2, 12))
def test_evaluation_equals_plain_loops(seed: int, chunk: int, cards: int) -> None:
    rng = np.random.default_rng(seed)
    gallery_ids = [f"c{k}" for k in rng.permutation(np.r_[:cards, rng.integers(0, cards, 5)])]
    gallery = rng.normal(size=(len(gallery_ids), 6))
    query_ids = [f"c{k}" for k in rng.integers(0, cards, 30)]
    queries = rng.normal(size=(30, 6)) + [gallery[gallery_ids.index(i)] for i in query_ids]
    outside, test = rng.normal(size=(25, 6)), rng.normal(size=(20, 6))
    result = evaluate(
        gallery, gallery_ids, queries, query_ids, outside, test, false_accepts=0.1, chunk=chunk
    )

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    def ranking(query: np.ndarray) -> list[tuple[float, str]]:
        best: dict[str, float] = {}
        for row, card in zip(gallery, gallery_ids, strict=True):
            best[card] = max(best.get(card, -2), cosine(row, query))
        return sorted(((value, card) for card, value in best.items()), reverse=True)

    ranked = [ranking(query) for query in queries]
    places = [[c for _, c in r].index(i) for r, i in zip(ranked, query_ids, strict=True)]
    assert result.top1 == pytest.approx(np.mean([place == 0 for place in places]))
    assert result.top5 == pytest.approx(np.mean([place < 5 for place in places]))
    best_out = sorted((ranking(query)[0][0] for query in outside), reverse=True)
    # Plain loops in double precision, the figures in single: equal but for rounding.
    assert best_out[2] + 1e-6 < result.threshold
    assert result.threshold == pytest.approx(acceptance_threshold(best_out, 0.1), abs=1e-6)
    false = [ranking(query)[0][0] >= result.threshold for query in test]
    assert result.false_accept_rate == pytest.approx(np.mean(false))
    true = [r[0][0] >= result.threshold for r in ranked]
    assert result.true_accept_rate == pytest.approx(np.mean(true))
    own = [{c: v for v, c in r}[i] for r, i in zip(ranked, query_ids, strict=True)]
    assert result.mean_similarity == pytest.approx(np.mean(own), abs=1e-5)
    other = [max(v for v, c in r if c != i) for r, i in zip(ranked, query_ids, strict=True)]
    assert result.mean_best_other == pytest.approx(np.mean(other), abs=1e-5)

    found = best_matches(gallery, gallery_ids, queries, k=3, chunk=chunk)
    for row, order in enumerate(ranked):
        assert found.card_ids[row].tolist() == [card for _, card in order[:3]]
        assert found.similarities[row] == pytest.approx([v for v, _ in order[:3]], abs=1e-5)


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("that card is not in the gallery", {"query_ids": ["a", "b", "c", "x"]}),
        ("4 rows but 1 card ids", {"query_ids": ["a"]}),
        ("5 rows but 1 card ids", {"gallery_ids": ["a"]}),
        ("2 dimensions, the gallery has 6", {"unseen_test": [[1, 2]]}),
        ("at least one row", {"unseen_validation": np.empty((0, 6))}),
        ("queries: .* all zeros", {"queries": np.zeros((4, 6))}),
        ("not finite", {"gallery": np.full((5, 6), np.nan)}),
        ("chunk must be", {"chunk": 0}),
    ],
)
def test_what_cannot_be_measured_is_refused(words: str, change: dict) -> None:
    with pytest.raises(ValueError, match=words):
        evaluate(**{**by_hand(), **change})
