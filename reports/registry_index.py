"""An index of the registry as one page: what waits, what is live, what was rejected and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.rendering import registry_page

#: The status of a version that an approval would release; others that are pending are
#: steps on the way to one. The template looks for the same words.
WAITING = "waits for approval"
#: Versions in one index: a page stays within its bound, and the newest come first.
ROWS = 2000
_TEXT = 300


@dataclass(frozen=True)
class Entry:
    """A version in the index.

    Attributes:
        status: ``live``, :data:`WAITING`, or the approval in a word.
        registered: When, in UTC.
        summary: Of its description.
        reason: Why it was approved or rejected, or failed; empty where that was not read.
        page: File name of its own page; empty where there is none.
    """

    name: str
    status: str
    registered: str
    summary: str
    reason: str = ""
    page: str = ""


def index_page(group: str, entries: Sequence[Entry]) -> str:
    """The index; every version that is left out is counted on it."""
    shown = [
        Entry(
            each.name, each.status, each.registered, each.summary[:_TEXT], each.reason[:_TEXT],
            each.page,
        )
        for each in entries[:ROWS]
    ]  # fmt: skip
    return registry_page(group, shown, len(entries) - len(shown))
