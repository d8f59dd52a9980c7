"""How sure a measured rate is, and whether two of them differ.

Wilson's score interval (E. B. Wilson, 1927, JASA 22) and Newcombe's interval of a difference that
is built from two of them (R. G. Newcombe, 1998, Statistics in Medicine 17, method 10).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: The normal quantile of a 95 % interval.
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Rate:
    """A measured share with its 95 % interval; all three in [0, 1]."""

    value: float
    low: float
    high: float


def wilson_interval(hits: float, trials: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a rate; 95 % by default.

    Neither number need be whole: trials that depend on each other count as fewer.

    Raises:
        ValueError: No trials, or hits outside 0 to trials.
    """
    if trials < 1 or not 0 <= hits <= trials:
        raise ValueError(f"{hits} hits of {trials} trials give no rate")
    # As floats: the product of two great whole numbers would be none.
    hits, trials = float(hits), float(trials)
    rate = hits / trials
    scale = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / scale
    half = z * math.sqrt(rate * (1 - rate) / trials + (z / (2 * trials)) ** 2) / scale
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == trials else min(1.0, centre + half)
    return low, high


def difference(one: Rate, other: Rate) -> tuple[float, float]:
    """The 95 % interval of ``one - other``, as if their trials were independent.

    Two models that were measured on the same views are told apart better than this: the interval
    is then too wide, never too narrow.
    """
    between = one.value - other.value
    below = math.hypot(one.value - one.low, other.high - other.value)
    above = math.hypot(one.high - one.value, other.value - other.low)
    return between - below, between + above


def differ(one: Rate, other: Rate) -> bool:
    """Whether two rates differ by more than chance would make them (95 %)."""
    low, high = difference(one, other)
    return low > 0 or high < 0
