"""EventBridge's matching, as far as the product's patterns use it.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html: every field of the
pattern must be in the event; the values of a field are alternatives; an object descends.
"""

from __future__ import annotations

from typing import Any


def matches(pattern: dict[str, Any], event: Any) -> bool:
    """Whether a rule with this pattern fires for the event."""
    if not isinstance(event, dict):
        return False
    for field, wanted in pattern.items():
        found = event.get(field)
        if isinstance(wanted, dict):
            if not matches(wanted, found):
                return False
        elif not any(_one(each, found) for each in wanted):
            return False
    return True


def _one(wanted: Any, found: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(wanted == found)
    ((operator, operand),) = wanted.items()
    if operator != "prefix":
        raise AssertionError(f"the tests do not know the operator {operator}")
    return isinstance(found, str) and found.startswith(operand)
