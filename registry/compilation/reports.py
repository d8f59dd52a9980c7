"""The form of a compile job's two reports, checked before anything in them is used.

A job's output prefix is written by the job's own code, so a report may hold anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from registry.names import SCANS_LICENCE_LIMIT

FIDELITY_REPORT = "fidelity.json"
COMPILATION_REPORT = "compilation.json"
#: The page of a release: the gate's report and what compiling changed, for people.
FIDELITY_PAGE = "fidelity.html"


def check(file: str, document: Mapping[str, Any]) -> None:
    """Checks that each field of a report that is given has the type that its readers expect.

    Args:
        file: :data:`FIDELITY_REPORT` or :data:`COMPILATION_REPORT`.
        document: Its content.

    Raises:
        ValueError: A field has another type; names it.
    """
    for field, holds in _FIELDS[file].items():
        if field in document and not holds(document[field]):
            raise ValueError(f"{field} has the wrong type")


def _text(value: object) -> bool:
    return isinstance(value, str)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _object(value: object) -> bool:
    return isinstance(value, dict)


def _card_set(value: object) -> bool:
    """An object; a licence in it is a short text, or None. Earlier jobs wrote none."""
    licence = value.get("licence") if isinstance(value, dict) else 0
    return licence is None or (isinstance(licence, str) and len(licence) <= SCANS_LICENCE_LIMIT)


def _number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _package(value: object) -> bool:
    return (
        isinstance(value, dict)
        and _text(value.get("stage"))
        and _text(value.get("artifact"))
        and _object(value.get("metadata"))
        and all(map(_text, value["metadata"].values()))
        and _object(value.get("metrics"))
        and all(map(_number, value["metrics"].values()))
    )


def _packages(value: object) -> bool:
    return isinstance(value, list) and all(map(_package, value))


_FIELDS: Mapping[str, Mapping[str, Callable[[object], bool]]] = {
    FIDELITY_REPORT: {"verdict": _text, "reasons": _texts, "figures": _object},
    COMPILATION_REPORT: {
        "source_name": _text,
        "source_arn": _text,
        "model": _text,
        "toolchain": _object,
        "contract": _object,
        "card_set": _card_set,
        "acceptance_threshold": _number,
        "acceptance": _object,
        "ship": _texts,
        "files": _object,
        "packages": _packages,
    },
}
