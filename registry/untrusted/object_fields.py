"""Fields of a JSON object from outside: each of its type, within its limits, or an error.

>>> text({"name": "shop-12"}, "name", 64)
'shop-12'
>>> whole_number({"serial": True}, "serial", 0, 9)
Traceback (most recent call last):
    ...
ValueError: serial must be a whole number from 0 to 9
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_MOMENT_LIMIT = 40


def text(document: Mapping[str, Any], key: str, limit: int, *, least: int = 1) -> str:
    """A field that holds printable text.

    Args:
        document: The object.
        key: The field's name.
        limit: The most characters.
        least: The fewest characters.

    Raises:
        ValueError: It is missing, no text, too short, too long, or has a character that cannot be
            shown.
    """
    value = document.get(key)
    if not isinstance(value, str) or not least <= len(value) <= limit or not value.isprintable():
        raise ValueError(f"{key} must be {least} to {limit} printable characters")
    return value


def whole_number(document: Mapping[str, Any], key: str, low: int, high: int) -> int:
    """A field that holds a whole number from ``low`` to ``high``.

    Raises:
        ValueError: It is missing, of another type or out of its range.
    """
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{key} must be a whole number from {low} to {high}")
    return value


def moment(document: Mapping[str, Any], key: str) -> datetime:
    """A field that holds a time in ISO 8601 with its time zone; in UTC.

    Raises:
        ValueError: It is missing, or no such time.
        OverflowError: It lies outside the years 1 to 9999 in UTC.
    """
    value = document.get(key)
    if not isinstance(value, str) or len(value) > _MOMENT_LIMIT:
        raise ValueError(f"{key} must be a time in ISO 8601")
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError(f"{key} has no time zone")
    return found.astimezone(UTC)
