"""The middle of a few measurements, and how sure it is, without assuming how they are spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median and its 95 % interval by order statistics (the widest there is for few values)."""
    ordered = sorted(values)
    count = len(ordered)
    reach = 0
    # The lowest order statistic below which the median lies with no more than 2.5 % chance.
    while (
        reach + 1 < count / 2
        and sum(math.comb(count, k) for k in range(reach + 2)) / 2**count <= 0.025
    ):
        reach += 1
    return statistics.median(ordered), ordered[reach], ordered[count - 1 - reach]
