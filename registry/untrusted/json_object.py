"""JSON from outside, checked before anything reads it: length, depth, type, text and numbers.

>>> parse_object(b'{"release": "x"}', limit=100)
{'release': 'x'}
>>> parse_object(b"[" * 5000, limit=10_000)
Traceback (most recent call last):
    ...
registry.untrusted.json_object.JsonObjectError: is nested deeper than 32 levels
>>> parse_object(b'{"top1": NaN}', limit=100)
Traceback (most recent call last):
    ...
registry.untrusted.json_object.JsonObjectError: is not JSON (NaN is no number of JSON)
"""

from __future__ import annotations

import json
import math
from typing import Any

#: No document of this product is nested half as deep.
DEPTH_LIMIT = 32
#: Whole numbers lie within 64 bits; nothing that is counted here comes near.
_WHOLE_LIMIT = 2**63


class JsonObjectError(ValueError):
    """Text that is not a JSON object within the limits; says why."""


def parse_object(body: bytes | str, limit: int) -> dict[str, Any]:
    """Reads a JSON object.

    Args:
        body: The text, as UTF-8.
        limit: The most bytes, or characters, that it may have.

    Raises:
        JsonObjectError: It is longer, deeper than :data:`DEPTH_LIMIT`, no object, has text that
            cannot be written as UTF-8, or a number that is not finite or beyond 64 bits.
    """
    if len(body) > limit:
        raise JsonObjectError(f"is longer than {limit} bytes")
    document = parse_value(body)
    if not isinstance(document, dict):
        raise JsonObjectError(f"is a JSON {type(document).__name__}, not an object")
    return document


def parse_value(body: bytes | str) -> Any:
    """Reads any JSON value of a known length.

    Raises:
        JsonObjectError: It is no JSON, too deep, has text that cannot be written as UTF-8, or a
            number that is not finite or beyond 64 bits.
    """
    try:
        text = body.decode() if isinstance(body, bytes) else body
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite, parse_int=_whole)
        _require_shallow(value)
    except RecursionError:
        raise JsonObjectError(f"is nested deeper than {DEPTH_LIMIT} levels") from None
    except JsonObjectError:
        raise
    except ValueError as error:
        raise JsonObjectError(f"is not JSON ({error})") from None
    return value


def _no_number(word: str) -> float:
    """For NaN and Infinity, which Python's reader takes and JSON does not have."""
    raise JsonObjectError(f"is not JSON ({word} is no number of JSON)")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise JsonObjectError(f"has a number that is too large ({text[:20]})")
    return number


def _whole(text: str) -> int:
    # Whoever reads it may make a float of it, or pass it to a service that takes 64 bits.
    number = int(text)
    if abs(number) >= _WHOLE_LIMIT:
        raise JsonObjectError(f"has a number beyond 64 bits ({text[:20]}…)")
    return number


def _require_shallow(value: object) -> None:
    """Walks a value level by level; a lone surrogate in its text fails to encode."""
    level = [value]
    for _ in range(DEPTH_LIMIT + 1):
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                below += [*each, *each.values()]
            elif isinstance(each, list):
                below += each
            elif isinstance(each, str):
                each.encode()
        if not below:
            return
        level = below
    raise JsonObjectError(f"is nested deeper than {DEPTH_LIMIT} levels")
