"""The paired difference: by hand, and where it may not be made."""

from __future__ import annotations

import numpy as np
import pytest

from reports.outcomes.paired import compare, difference, why_not
from reports.outcomes.view_outcomes import ViewOutcomes
from tests.reports.examples import LIVE_OUTCOMES, outcomes


def test_difference_counts_views_that_only_one_version_names_right() -> None:
    # By hand: cards 1 to 4 have 4, 3, 2, 2 views named right, live 4, 4, 2, 0.
    found = compare(outcomes(), outcomes(LIVE_OUTCOMES))
    named = found.named
    assert (named.new, named.other) == (11 / 16, 10 / 16)
    assert (named.won, named.lost, named.views, named.cards) == (2, 1, 16, 4)
    assert named.difference == pytest.approx(1 / 16)
    assert [(c.card_id, c.before, c.after) for c in found.won] == [("base1-4", 0, 2)]
    assert [(c.card_id, c.before, c.after) for c in found.lost] == [("base1-2", 4, 3)]


def test_interval_over_two_cards_is_the_one_worked_out_by_hand() -> None:
    # One card gains all of its views and the other none. Of two cards drawn with replacement the
    # mean is 0, 0.5 or 1 with chances 1/4, 1/2, 1/4: 2.5 % and 97.5 % are 0 and 1.
    found = difference(np.ones((2, 3), bool), np.asarray([[0, 0, 0], [1, 1, 1]], bool))
    assert (found.low, found.difference, found.high) == (0.0, 0.5, 1.0)
    assert found.word == "not told apart"


def test_interval_is_over_cards_and_not_over_views() -> None:
    one_card_in_four = np.zeros((40, 25), bool)
    one_card_in_four[:10] = True
    spread = np.zeros((40, 25), bool)
    spread.reshape(-1)[::4] = True
    none = np.zeros((40, 25), bool)
    of_cards, of_views = difference(one_card_in_four, none), difference(spread, none)
    assert of_cards.difference == of_views.difference == 0.25
    assert of_cards.high - of_cards.low > 3 * (of_views.high - of_views.low)
    # The normal approximation of 10 of 40 independent cards: 0.25 ± 1.96 √(.25 · .75 / 40).
    assert of_cards.high - 0.25 == pytest.approx(1.96 * np.sqrt(0.25 * 0.75 / 40), rel=0.15)


def test_versions_that_answer_alike_keep_an_interval_of_some_width() -> None:
    hits = np.ones((100, 2), bool)
    found = difference(hits, hits)
    # By hand: 1 - 0.025 ** (1 / 100) = 0.0362.
    assert found.high == pytest.approx(0.0362, abs=1e-4) and found.low == -found.high
    assert found.word == "not told apart"


def test_clear_gain_is_called_better_and_its_opposite_worse() -> None:
    gain, none = np.ones((30, 2), bool), np.zeros((30, 2), bool)
    none[:3] = True
    assert difference(gain, none).word == "better"
    assert difference(none, gain).word == "worse"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (outcomes(digest="another"), "other views"),
        (ViewOutcomes("d0", ("base1-1",), 16, "R" * 16), "other cards"),
        (outcomes("R" * 8), "other cards, or on another number"),
    ],
)
def test_other_views_are_not_compared(other: ViewOutcomes, words: str) -> None:
    assert words in why_not(outcomes(), other)
    with pytest.raises(ValueError, match=words):
        compare(outcomes(), other)
