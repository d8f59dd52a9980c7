"""Whether a value fits a shape of botocore's model: yes or no, without the words.

Nearly all values fit, and a page of a list has a thousand of them. What does not fit goes to
:mod:`.service_model`, which says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from localcloud.sagemaker.api_model import java_patterns

NUMBERS = ("integer", "long", "float", "double")

Check = Callable[[Any], bool]


@cache
def check_of(shape: Any) -> Check:
    """The check of a shape's values; made once for each shape.

    Args:
        shape: A botocore shape.
    """
    kind = shape.type_name
    if kind in NUMBERS:
        return _number(shape)
    return _MADE_BY.get(kind, lambda shape: lambda value: True)(shape)


def _structure(shape: Any) -> Check:
    required, members = shape.required_members, shape.members
    # A member's check is made when there is a value: shapes may contain themselves.
    checks: dict[str, Check] = {}

    def fits(value: Any) -> bool:
        if not isinstance(value, Mapping):
            return False
        for name in required:
            if value.get(name) is None:
                return False
        for name, item in value.items():
            if item is None or name not in members:
                continue
            check = checks.get(name)
            if check is None:
                check = checks[name] = check_of(members[name])
            if not check(item):
                return False
        return True

    return fits


def _list(shape: Any) -> Check:
    member, within = shape.member, _bounds(shape)
    return lambda value: (
        isinstance(value, list) and within(len(value)) and all(map(check_of(member), value))
    )


def _map(shape: Any) -> Check:
    key, item, within = shape.key, shape.value, _bounds(shape)
    return lambda value: (
        isinstance(value, Mapping)
        and within(len(value))
        and all(map(check_of(key), value))
        and all(map(check_of(item), value.values()))
    )


def _string(shape: Any) -> Check:
    within, allowed = _bounds(shape), getattr(shape, "enum", None)
    pattern = shape.metadata.get("pattern")

    def fits(value: Any) -> bool:
        return (
            isinstance(value, str)
            and within(len(value))
            and (not allowed or value in allowed)
            and (not pattern or java_patterns.fits(pattern, value))
        )

    return fits


def _number(shape: Any) -> Check:
    within = _bounds(shape)
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and within(value)
    )


def _timestamp(shape: Any) -> Check:
    # JSON has seconds since 1970; who asks through boto3 gives a time.
    return lambda value: isinstance(value, int | float | datetime) and not isinstance(value, bool)


def _bounds(shape: Any) -> Callable[[float], bool]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    return lambda size: (least is None or size >= least) and (most is None or size <= most)


_MADE_BY: Mapping[str, Callable[[Any], Check]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "boolean": lambda shape: lambda value: isinstance(value, bool),
    "timestamp": _timestamp,
}
