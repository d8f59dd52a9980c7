"""Retrieval figures against known values and against plain loops."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recognition.acceptance.printing_margin import choose_printing_margin
from recognition.acceptance.rounding_noise import FLOAT_NOISE
from recognition.acceptance.rule import AcceptanceRule
from recognition.acceptance.threshold import choose_threshold
from recognition.retrieval import auroc, evaluate
from recognition.search.frames import in_frames
from recognition.search.gallery import TIE, best_matches, l2_normalise
from recognition.search.match_score import MatchScore
from tests.properties import examples

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
    noise = MatchScore().noise(highest, FLOAT_NOISE, TIE)
    assert 1e-5 < result.threshold - highest <= noise + 1e-6
    assert result.cosine_threshold == result.threshold
    assert result.false_accept_target == 0.01
    # Two cards of which none passes: a rate r is contradicted where (1 - r)^2 is below 5 %.
    assert result.false_accept_bound == pytest.approx(1 - 0.05**0.5)
    assert result.threshold_cards == 2
    (warning,) = result.warnings
    assert "299 unknown cards or more; 2 set the threshold" in warning
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


def views_of(cards: int, views: int, spread: float, seed: int = 0) -> dict:
    """Cards in random directions of 24 dimensions, with noisy views of each part."""
    rng = np.random.default_rng(seed)
    centres = l2_normalise(rng.normal(size=(3 * cards, 24)))

    def seen(part: int) -> tuple[np.ndarray, list[str]]:
        rows = np.repeat(centres[part * cards : (part + 1) * cards], views, axis=0)
        ids = [f"p{part}-{card}" for card in range(cards) for _ in range(views)]
        return rows + rng.normal(size=rows.shape) * spread, ids

    (queries, query_ids), (outside, outside_ids), (test, test_ids) = map(seen, range(3))
    return {
        "gallery": centres[:cards],
        "gallery_ids": [f"p0-{card}" for card in range(cards)],
        "queries": queries,
        "query_ids": query_ids,
        "unseen_validation": outside,
        "unseen_validation_ids": outside_ids,
        "unseen_test": test,
        "unseen_test_ids": test_ids,
        "unseen_gallery": centres[2 * cards :],
        "unseen_gallery_ids": [f"p2-{card}" for card in range(cards)],
    }


def test_three_frames_are_measured_beside_one_and_are_better() -> None:
    given = views_of(40, 7, 0.35)
    result = evaluate(**given)
    several = result.three_frames
    assert several is not None and (several.frames, several.queries) == (3, 80)
    assert several.unseen_test == 80 and several.top1_unseen is not None
    assert several.top1 > result.top1 and several.accepted_right > result.accepted_right
    # The same as an evaluation of the mean embeddings.
    parts = {}
    for name in ("queries", "unseen_validation", "unseen_test"):
        ids = "query_ids" if name == "queries" else f"{name}_ids"
        parts[name], parts[ids] = in_frames(given[name], given[ids])
    alone = evaluate(**{**given, **parts})
    assert several.top1 == alone.top1 and several.top1_unseen == alone.top1_unseen
    assert several.accepted_right == alone.accepted_right
    assert several.false_accept_rate == alone.false_accept_rate
    assert result.rule.thresholds == {1: result.threshold, 3: alone.threshold}
    metrics = result.metrics()
    assert metrics["three_frames_top1"] == several.top1
    assert metrics["three_frames_top1_low"] < several.top1 < metrics["three_frames_top1_high"]
    assert json.loads(json.dumps(result.to_dict()))["three_frames"]["top1"] == several.top1
    assert alone.three_frames is None and "three_frames" not in alone.to_dict()


def test_curve_falls_from_all_accepted_and_holds_the_threshold_s_figures() -> None:
    result = evaluate(**views_of(40, 6, 0.3))
    thresholds, false, right = np.asarray(result.curve).T
    assert (np.diff(thresholds) > 0).all()
    assert (np.diff(false) <= 0).all() and (np.diff(right) <= 0).all()
    assert right[0] == pytest.approx(result.top1)
    acceptance = json.loads(json.dumps(result.acceptance()))
    assert AcceptanceRule.from_dict(acceptance) == result.rule
    assert acceptance["bound"] == result.false_accept_bound and acceptance["cards"] == 40


def test_another_score_decides_by_its_own_threshold() -> None:
    given = views_of(40, 6, 0.3)
    cosine, gap = evaluate(**given), evaluate(**given, score=MatchScore(1.0))
    assert gap.rule.score.weight == 1.0 and gap.threshold != cosine.threshold
    assert gap.cosine_threshold == cosine.threshold
    assert gap.top1 == cosine.top1 and gap.auroc != cosine.auroc


def strangers(count: int, near: float, given: dict) -> dict:
    """Views of added unknown cards, each mixed with one of the gallery's to a degree."""
    rng = np.random.default_rng(5)
    rows = l2_normalise(rng.normal(size=(count, 24)))
    like = given["gallery"][rng.integers(0, len(given["gallery"]), count)]
    return {
        "strangers": rows + near * like,
        "stranger_ids": [f"stranger-{place}" for place in range(count)],
    }


def test_strangers_like_the_own_unknown_cards_make_the_threshold_surer() -> None:
    given = views_of(30, 6, 0.3)
    alone = evaluate(**given)
    with_strangers = evaluate(**given, **strangers(400, 0.6, given))
    assert alone.threshold_cards == 30 and alone.warnings
    assert with_strangers.threshold_cards == 430 and not with_strangers.warnings
    assert with_strangers.false_accept_estimate <= 0.01
    assert with_strangers.false_accept_bound < alone.false_accept_bound
    assert with_strangers.strangers_rate == 0.0


def test_strangers_easier_than_the_own_unknown_cards_do_not_count() -> None:
    """The threshold that they alone would give lets too many of the own unknown views pass."""
    given = views_of(30, 6, 0.3)
    far = strangers(400, -1.0, given)
    far["strangers"][:] = -np.abs(given["gallery"].sum(axis=0)) + 0.05 * far["strangers"]
    result = evaluate(**given, **far)
    assert result.strangers_rate is not None and result.strangers_rate > 0.01
    assert result.threshold_cards == 30 and result.threshold == evaluate(**given).threshold
    assert result.warnings


def test_strangers_without_ids_or_among_the_own_cards_are_refused() -> None:
    given = views_of(10, 3, 0.3)
    added = strangers(5, 0.0, given)
    with pytest.raises(ValueError, match="given together"):
        evaluate(**given, strangers=added["strangers"])
    with pytest.raises(ValueError, match="also one of unseen_validation"):
        evaluate(**given, **{**added, "stranger_ids": ["p1-0"] * 5})


def test_printing_margin_lets_few_wrong_printings_be_named() -> None:
    gallery = l2_normalise([[1, 0.2, 0], [1, -0.2, 0], [0, 0, 1]])
    ids, artworks = ["a1", "a2", "b"], {"a1": "a", "a2": "a"}
    # Views of a1, by how far they lean to it; two of them lean to a2.
    leaning = [0.2, 0.1, 0.05, -0.02, -0.01]
    views = [[1, lean, 0] for lean in leaning]
    margin = choose_printing_margin(gallery, ids, views, ["a1"] * 5, artworks)
    cosines = l2_normalise(views) @ gallery[:2].T
    mistaken = (cosines[:, 1] - cosines[:, 0])[3:]
    assert mistaken.max() < margin < mistaken.max() + 1e-3
    # One of five may be wrong: the margin lies between the two mistakes.
    some = choose_printing_margin(gallery, ids, views, ["a1"] * 5, artworks, wrong=0.2)
    assert mistaken.min() < some < mistaken.max()
    # Never mistaken, or nothing to mistake: every printing may be named.
    assert choose_printing_margin(gallery, ids, views[:3], ["a1"] * 3, artworks) == 0.0
    assert choose_printing_margin(gallery, ids, views, ["a1"] * 5, {}) == 0.0


def test_two_levels_counted_by_hand() -> None:
    """Cards a1 and a2 are two printings of one artwork; b has one of its own."""
    gallery = l2_normalise([[1, 0.2, 0, 0], [1, -0.2, 0, 0], [0, 0, 1, 0]])
    result = evaluate(
        gallery,
        ["a1", "a2", "b"],
        [
            [1, 0.2, 0, 0],  # a1, clearly: the printing is named, and right
            [1, 0.01, 0, 0],  # a1 by too little: the artwork alone
            [1, -0.2, 0, 0],  # a1 that looks like a2: the wrong printing is named
            [0, 0, 1, 0],  # b: its artwork has no other printing
            [0, 0.01, 0.3, 1],  # b, too far from everything to be accepted
        ],
        ["a1", "a1", "a1", "b", "b"],
        [[0, 0.1, 0.5, 1]],
        [[0, 0, 0.1, 1]],
        artworks={"a1": "a", "a2": "a"},
        printing_margin=0.02,
        false_accepts=0.4,
    )
    art = result.artworks
    assert art is not None and (art.artworks, art.cards) == (2, 2)
    assert (result.top1, result.accepted_right) == (0.8, 0.6)
    assert (art.top1, art.accepted_right) == (1.0, 0.8)
    assert (art.printing_named, art.printing_wrong) == (0.4, 0.2)
    assert result.to_dict()["artworks"]["printing_named_interval"]
    assert result.metrics()["artworks_top1"] == 1.0
    alone = evaluate(gallery, ["a1", "a2", "b"], [[1, 0.2, 0, 0]], ["a1"], gallery, gallery)
    assert alone.artworks is None


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


@settings(max_examples=examples(40), deadline=None)
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
    chosen = choose_threshold(best_out, target=0.1)
    assert result.threshold == pytest.approx(chosen.threshold, abs=1e-6)
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
def test_input_that_cannot_be_measured_is_refused(words: str, change: dict) -> None:
    with pytest.raises(ValueError, match=words):
        evaluate(**{**by_hand(), **change})
