"""JSON from outside, checked before anything reads it: its length, its depth, its type, its text.

>>> parse_object(b'{"release": "x"}', limit=100)
{'release': 'x'}
>>> parse_object(b"[" * 5000, limit=10_000)
Traceback (most recent call last):
    ...
registry.untrusted.json_object.JsonObjectError: is nested deeper than 32 levels
"""

from __future__ import annotations

import json
from typing import Any

#: No document of this product is nested half as deep.
DEPTH_LIMIT = 32


class JsonObjectError(ValueError):
    """Text that is not a JSON object within the limits; says why."""


def parse_object(body: bytes | str, limit: int) -> dict[str, Any]:
    """Reads a JSON object.

    Args:
        body: The text, as UTF-8.
        limit: The most bytes, or characters, that it may have.

    Raises:
        JsonObjectError: It is longer, deeper than :data:`DEPTH_LIMIT`, no object, or has text that
            cannot be written as UTF-8.
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
        JsonObjectError: It is no JSON, too deep, or has text that cannot be written as UTF-8.
    """
    try:
        text = body.decode() if isinstance(body, bytes) else body
        value = json.loads(text)
        _require_shallow(value)
    except RecursionError:
        raise JsonObjectError(f"is nested deeper than {DEPTH_LIMIT} levels") from None
    except JsonObjectError:
        raise
    except ValueError as error:
        raise JsonObjectError(f"is not JSON ({error})") from None
    return value


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
