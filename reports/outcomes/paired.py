"""Two models compared on the same views: the difference, how sure it is, which cards changed.

The difference of a view is 1 where only the new model is right, -1 where only the other is, and 0
otherwise. Views of one card are not independent, so the 95 % interval of the mean difference is a
percentile interval of a bootstrap over cards (:mod:`recognition.clustered_intervals`): cards are
drawn with replacement, each with all of its views. Where no view of n cards differs, a bootstrap
would show an interval of no width; a difference that shows in none of n cards is then below
1 - 0.025^(1/n) with 97.5 % to either side (Clopper and Pearson 1934, Biometrika 26).

Example:
    >>> from reports.outcomes.view_outcomes import ViewOutcomes
    >>> new = ViewOutcomes("d", ("a", "b"), 2, "RRRr")
    >>> live = ViewOutcomes("d", ("a", "b"), 2, "RrRr")
    >>> found = compare(new, live)
    >>> found.named.difference, found.named.won, found.named.lost
    (0.25, 1, 0)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.clustered_intervals import Clusters, mean_interval
from reports.outcomes.view_outcomes import ViewOutcomes

#: Of an interval's two sides together.
_OUTSIDE = 0.05


@dataclass(frozen=True)
class Difference:
    """The difference of two shares that were measured on the same views.

    Attributes:
        new: Share by the new model.
        other: Share by the other one.
        low: Lower end of the difference's 95 % interval, over cards.
        high: Upper end.
        won: Views that only the new model has right.
        lost: Views that only the other has right.
        views: Views that were compared.
        cards: Cards that they are of.
    """

    new: float
    other: float
    low: float
    high: float
    won: int
    lost: int
    views: int
    cards: int

    @property
    def difference(self) -> float:
        """New less other."""
        return (self.won - self.lost) / self.views

    @property
    def word(self) -> str:
        """``better``, ``worse``, or ``not told apart``: the interval holds 0."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "not told apart"


@dataclass(frozen=True)
class ChangedCard:
    """A card whose views are answered differently.

    Attributes:
        before: Views that the other model names right.
        after: Views that the new model names right.
        views: Of so many.
    """

    card_id: str
    before: int
    after: int
    views: int


@dataclass(frozen=True)
class PairedComparison:
    """A new model against another one, on the same views.

    Attributes:
        named: Accepted and right, as a device answers.
        first: The right card is nearest, whatever the threshold says.
        accepted: Accepted, right or wrong.
        won: Cards of which more views are named right, the largest gains first.
        lost: Cards of which fewer are, the largest losses first.
    """

    named: Difference
    first: Difference
    accepted: Difference
    won: tuple[ChangedCard, ...]
    lost: tuple[ChangedCard, ...]

    @property
    def rows(self) -> tuple[tuple[str, Difference], ...]:
        """The three differences, each with what it is of."""
        return (
            ("Named right", self.named),
            ("Named at all, right or wrong", self.accepted),
            ("Right card nearest, before the threshold", self.first),
        )


def why_not(new: ViewOutcomes, other: ViewOutcomes) -> str:
    """Why two models cannot be compared view by view; empty where they can."""
    if new.cards != other.cards or new.per_card != other.per_card:
        return "they were measured on other cards, or on another number of views of each"
    return "" if new.digest == other.digest else "they were measured on other views"


def compare(new: ViewOutcomes, other: ViewOutcomes) -> PairedComparison:
    """Compares two models view by view.

    Raises:
        ValueError: They were not measured on the same views.
    """
    fault = why_not(new, other)
    if fault:
        raise ValueError(fault)
    of_new, of_other = new.named(), other.named()
    before, after = of_other.sum(axis=1), of_new.sum(axis=1)
    changed = after - before
    order = np.argsort(-np.abs(changed), kind="stable")
    cards = [
        ChangedCard(new.cards[index], int(before[index]), int(after[index]), new.per_card)
        for index in order.tolist()
        if changed[index]
    ]
    return PairedComparison(
        named=difference(of_new, of_other),
        first=difference(new.first(), other.first()),
        accepted=difference(new.accepted(), other.accepted()),
        won=tuple(card for card in cards if card.after > card.before),
        lost=tuple(card for card in cards if card.after < card.before),
    )


def difference(new: NDArray[np.bool_], other: NDArray[np.bool_]) -> Difference:
    """The difference of two shares.

    Args:
        new: bool (cards, views), hits of the new model.
        other: The same of the other model, of the same views.
    """
    cards, views = new.shape
    per_view = new.astype(np.float64) - other.astype(np.float64)
    if not per_view.any():
        high = 1 - (_OUTSIDE / 2) ** (1 / cards)
        low = -high
    else:
        # All cards have as many views: the mean of the cards' means is the mean of the views.
        low, high = mean_interval(per_view.mean(axis=1), Clusters(None, cards))
    return Difference(
        new=float(new.mean()),
        other=float(other.mean()),
        low=low,
        high=high,
        won=int((new & ~other).sum()),
        lost=int((other & ~new).sum()),
        views=cards * views,
        cards=cards,
    )
