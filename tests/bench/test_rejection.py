"""The comparison of scores, thresholds and frames, on made-up embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from bench.rejection import compare_scores, compare_thresholds, parts_of, report


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(160, 32))
    found: dict[str, np.ndarray] = {
        "gallery": centres[:60],
        "gallery_ids": np.asarray([f"k{n}" for n in range(60)]),
    }
    for name, first, count, spread in (
        ("known_validation", 0, 60, 0.7),
        ("known_test", 0, 60, 0.7),
        ("unseen_validation", 60, 30, 0.7),
        ("unseen_test", 90, 30, 0.7),
        ("strangers", 120, 40, 0.7),
    ):
        rows = np.repeat(centres[first : first + count], 6, axis=0)
        found[name] = (rows + rng.normal(size=rows.shape) * spread).astype(np.float32)
        letter = "k" if name.startswith("known") else name
        found[f"{name}_ids"] = np.repeat([f"{letter}{n}" for n in range(count)], 6)
    return found


def test_scores_are_compared_at_the_same_share_of_unknown_views(
    arrays: dict[str, np.ndarray],
) -> None:
    found = {each.name: each for each in compare_scores(parts_of(arrays), target=0.05)}
    assert len(found) == 8
    for each in found.values():
        assert 0.5 < each.auroc <= 1 and 0 < each.validation <= 1
    # The regression of cosine and gap is no worse than the cosine where it was fitted.
    assert found["logistic: cosine, gap"].auroc >= found["best cosine"].auroc - 1e-3


def test_threshold_by_cards_passes_fewer_unknown_views_than_one_by_views(
    arrays: dict[str, np.ndarray],
) -> None:
    found = compare_thresholds(parts_of(arrays), (30, 55), target=0.05, draws=20)
    assert {each.cards for each in found} == {30}, "55 of 60 leave too few to measure"
    views, cards, none = found
    assert views.false >= cards.false >= none.false
    assert views.right >= cards.right >= none.right


def test_report_has_its_tables_and_how_strangers_predict(arrays: dict[str, np.ndarray]) -> None:
    lines = report(arrays, 0.05)
    assert sum(line.startswith("|---") for line in lines) == 4
    assert lines[-1].startswith("40 drawn strangers alone")
