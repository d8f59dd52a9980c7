"""On how many examples a property is tried: all in ``make test``, some in ``make quick``."""

from __future__ import annotations

import os

#: The most examples of one property in a quick run.
QUICK_EXAMPLES = 15
#: Hypothesis' own number, for properties that name none.
USUAL_EXAMPLES = 100
#: ``make quick`` sets the variable.
IS_QUICK = os.environ.get("CARDS_QUICK") == "1"


def examples(count: int = USUAL_EXAMPLES, quick: int = QUICK_EXAMPLES) -> int:
    """How many examples a property gets.

    Args:
        count: In ``make test``.
        quick: In ``make quick`` at most; fewer where each takes long.
    """
    return min(count, quick) if IS_QUICK else count


def stride(quick: int) -> int:
    """Step of a loop over cases that a test enumerates: 1, and ``quick`` in a quick run."""
    return quick if IS_QUICK else 1
