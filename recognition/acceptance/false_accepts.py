"""The false-accept target, and which rates a number of unknown cards can show.

A target of 1 % is shown by 299 unknown cards or more: with fewer, even if none of their views is
accepted, a rate above the target would not contradict what was seen.

Example:
    >>> from recognition.acceptance.false_accepts import cards_to_show, false_accept_bound
    >>> cards_to_show(0.01), cards_to_show(0.001)
    (299, 2995)
    >>> round(false_accept_bound(0, 299), 4), round(false_accept_bound(2, 299), 4)
    (0.01, 0.0239)
"""

from __future__ import annotations

import math

#: Share of unknown cards' queries that a threshold may accept, where nothing else is set.
FALSE_ACCEPTS = 0.01
#: Of the one-sided interval whose upper end must meet the target.
CONFIDENCE = 0.95
#: Halvings of the interval in which a bound is searched: 2^-60 is below float64's resolution.
_HALVINGS = 60


def false_accept_bound(passing: float, cards: int, confidence: float = CONFIDENCE) -> float:
    """Upper end of a one-sided interval of a rate over cards.

    Args:
        passing: Sum over the cards of the share of a card's views that pass, 0 to ``cards``.
        cards: How many independent cards were looked at.
        confidence: Of the interval, in (0, 1).

    Returns:
        The highest rate in [0, 1] that so few passing cards do not contradict.

    Raises:
        ValueError: No cards, or ``passing`` outside 0 to ``cards``.
    """
    if cards < 1 or not 0 <= passing <= cards + 1e-9:
        raise ValueError(f"{passing} passing of {cards} cards give no rate")
    share = min(1.0, passing / cards)
    allowed = -math.log(1 - confidence) / cards
    low, high = share, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _divergence(share, middle) > allowed:
            high = middle
        else:
            low = middle
    return high


def cards_to_show(target: float) -> int:
    """How many unknown cards show a false-accept rate in (0, 1) if none of their views passes."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-target) - 1e-9)


def _divergence(share: float, rate: float) -> float:
    """Kullback and Leibler's divergence of one Bernoulli distribution from another, in nats."""
    if rate >= 1:
        return 0.0 if share >= 1 else math.inf
    found = 0.0
    if share > 0:
        found += share * math.log(share / rate)
    if share < 1:
        found += (1 - share) * math.log((1 - share) / (1 - rate))
    return found
