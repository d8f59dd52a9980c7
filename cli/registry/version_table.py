"""A version as one row: the columns of ``cards registry list`` and ``search``, and for machines."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from cli.version_facts import STATUS_WORDS
from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from registry.versions.packages import PackageSummary
    from registry.versions.queries import Filters


def columns(chosen: Filters) -> list[str]:
    """The headings of a list; each metric that is asked about has one."""
    asked = dict.fromkeys(each.key for each in chosen.thresholds)
    return ["#", "NAME", "STATUS", "CREATED (UTC)", *(key.upper() for key in asked), "SUMMARY"]


def cells(row: PackageSummary, chosen: Filters) -> list[str]:
    """A row under those headings."""
    asked = dict.fromkeys(each.key for each in chosen.thresholds)
    metadata = row.metadata or {}
    return [
        str(row.version),
        str(row.name or "–"),
        "failed" if row.failure else STATUS_WORDS.get(row.approval, row.approval),
        f"{row.created.astimezone(UTC):%Y-%m-%d %H:%M}",
        *(metadata.get(key, "–") for key in asked),
        one_line(row.summary),
    ]


def document(row: PackageSummary, chosen: Filters | None = None) -> dict[str, Any]:
    """A row for machines; the keys are always the same."""
    asked = {each.key for each in chosen.thresholds} if chosen else set()
    return {
        "version": row.version,
        "name": str(row.name) if row.name else None,
        "type": row.name.model_type if row.name else None,
        "stage": row.name.stage if row.name else None,
        "approval": row.approval,
        "failure": row.failure,
        "created": row.created.isoformat(),
        "arn": row.arn,
        "description": row.description,
        "metrics": {key: (row.metadata or {}).get(key) for key in sorted(asked)},
    }
