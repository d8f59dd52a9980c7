"""On how many examples a property is tried: on all in ``make test``, on a few in ``make quick``."""

from __future__ import annotations

import os

#: The most examples of one property in a quick run.
QUICK_EXAMPLES = 15
#: Hypothesis' own number, for properties that name none.
USUAL_EXAMPLES = 100
#: ``make quick`` sets the variable.
IS_QUICK = os.environ.get("CARDS_QUICK") == "1"


def examples(count: int = USUAL_EXAMPLES) -> int:
    """How many examples a property gets that asks for ``count`` of them."""
    return min(count, QUICK_EXAMPLES) if IS_QUICK else count
