"""Every JSON document that differs from a good one in one place, as a hostile writer would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

#: As they stand in the text: Python's own reader takes all of them.
HOSTILE_VALUES = (
    *("null", "true", "-1", "0", "0.5", "1e999", "-1e999", "NaN", "1" + "0" * 400, '""', '"nan"'),
    *('"\\u001b[31m\\u0000\\n"', '"\\ud800"', '"' + "x" * 5000 + '"', '"../../etc"', '"1"'),
    *("[]", "{}", "[[]]", "[null]", '[{"a": []}]', '{"a": null}', '{"": [1]}'),
)
_PLACE = "the place that is changed"


def variants(document: Any) -> Iterator[tuple[str, bytes]]:
    """Each change of one value, and each removal of one.

    Args:
        document: A good document.

    Yields:
        What was changed, and the text.
    """
    for path in _paths(document):
        where = "/".join(map(str, path))
        text = json.dumps(_changed(document, path, _PLACE))
        for value in HOSTILE_VALUES:
            yield f"{where} = {value[:30]}", text.replace(f'"{_PLACE}"', value).encode()
        if path and isinstance(path[-1], str):
            yield f"without {where}", json.dumps(_changed(document, path)).encode()


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _paths(below, (*path, key))
    elif isinstance(value, list):
        for at, below in enumerate(value[:2]):
            yield from _paths(below, (*path, at))


def _changed(value: Any, path: tuple[str | int, ...], new: Any = None) -> Any:
    """A copy with the value at a path replaced, or, without a new one, removed."""
    if not path:
        return new
    first, rest = path[0], path[1:]
    pairs = dict(value) if isinstance(value, dict) else dict(enumerate(value))
    if not rest and new is None:
        del pairs[first]
    else:
        pairs[first] = _changed(pairs[first], rest, new)
    return pairs if isinstance(value, dict) else list(pairs.values())
