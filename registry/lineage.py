"""Which model came from which: the chain of recorded parents."""

from __future__ import annotations

from typing import Any

from registry.packages import Package, describe

DEPTH_LIMIT = 32


class LineageError(ValueError):
    """A chain of parents that cannot be right; names the version."""


def ancestors(sagemaker: Any, package: Package) -> list[Package]:
    """The versions that a version was made from, nearest first.

    The chain ends early where a parent has been deleted.

    Raises:
        LineageError: A version is its own ancestor, or the chain is longer than any real one.
    """
    chain: list[Package] = []
    seen = {package.arn}
    current = package
    while current.parent_arn:
        if current.parent_arn in seen or len(chain) >= DEPTH_LIMIT:
            raise LineageError(f"{package.label}: its parents go in a circle at {current.label}")
        parent = describe(sagemaker, current.parent_arn)
        if parent is None:
            break
        chain.append(parent)
        seen.add(parent.arn)
        current = parent
    return chain
