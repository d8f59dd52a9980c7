"""What differs between two releases, by their manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: What differs between any two releases, and says nothing about the model.
_OF_COURSE = frozenset({"signature", "compilation_report_sha256", "schema"})
_SHOWN = 12


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every value that differs, by its path: ``{"what", "before", "after"}``.

    Files are compared as wholes: size and the beginning of the digest. A value that one of the
    two lacks is None there.

    Args:
        before: A parsed manifest.
        after: Another.
    """
    one, other = dict(_flat(before)), dict(_flat(after))
    return [
        {"what": key, "before": one.get(key), "after": other.get(key)}
        for key in sorted({*one, *other})
        if one.get(key) != other.get(key)
    ]


def _flat(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in manifest.items():
        if key in _OF_COURSE:
            continue
        if key == "files":
            for name, file in value.items():
                yield f"files.{name}", f"{file['bytes']} bytes, {file['sha256'][:_SHOWN]}"
        elif key == "lineage":
            yield "lineage", " <- ".join(str(step.get("name")) for step in value)
        else:
            yield from _leaves(key, value)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    else:
        yield path, value
