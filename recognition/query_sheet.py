"""A contact sheet of queries beside what they were recognised as, for a person to judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recognition.contact_sheet import INK, Colour, Pixels, Text, Tile, draw_contact_sheet
from recognition.recogniser import Recognition

GREEN: Colour = (28, 132, 72)
RED: Colour = (190, 40, 44)
AMBER: Colour = (176, 112, 10)
_COLOURS = {
    "right": GREEN,
    "rejected": GREEN,
    "wrongly rejected": AMBER,
    "wrong": RED,
    "wrongly accepted": RED,
}


@dataclass(frozen=True)
class AnsweredQuery:
    """One query to show.

    Attributes:
        view: uint8 RGB (h, w, 3), what the camera saw.
        truth: The card's id, or None where the card is not in the index.
        recognition: What the recogniser answered.
        match: uint8 RGB scan of the best candidate.
    """

    view: Pixels
    truth: str | None
    recognition: Recognition
    match: Pixels

    @property
    def verdict(self) -> str:
        """``right``, ``wrong``, ``rejected`` (rightly or wrongly) or ``wrongly accepted``."""
        if self.truth is None:
            return "rejected" if self.recognition.card_id is None else "wrongly accepted"
        if self.recognition.card_id is None:
            return "wrongly rejected"
        return "right" if self.recognition.card_id == self.truth else "wrong"


def draw_query_sheet(
    queries: Sequence[AnsweredQuery], path: Path, title: str, columns: int = 3
) -> None:
    """Writes a PNG with each query beside its best match.

    Args:
        queries: At least one.
        path: The file, replaced as a whole.
        title: First line of the sheet.
        columns: Queries in a row.

    Raises:
        ValueError: No queries.
    """
    if not queries:
        raise ValueError("there is no query to draw")
    counts = Counter(query.verdict for query in queries)
    summary = (
        "left: camera view; right: best match in the index; numbers: similarity and the release's "
        f"threshold; {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}"
    )
    tiles = [_tile(query) for query in queries]
    draw_contact_sheet(tiles, path, title, subtitle=summary, columns=columns)


def _tile(query: AnsweredQuery) -> Tile:
    answer, colour = query.recognition, _COLOURS[query.verdict]
    relation = ">=" if answer.similarity >= answer.threshold else "<"
    truth = query.truth if query.truth is not None else "a card that is not in the index"
    best = answer.candidates[0][0] if answer.candidates else "none"
    named = best if answer.card_id is not None else f"unknown (nearest: {best})"
    return Tile(
        pictures=(query.view, query.match),
        caption=(
            Text(f"{answer.similarity:.3f} {relation} {answer.threshold:.3f}"),
            Text(f"shown: {truth}", INK),
            Text(f"recognised: {named}", colour),
        ),
        badge=Text(query.verdict.upper(), colour),
        frame=colour,
        # The best candidate was not similar enough.
        faded=answer.card_id is None,
    )
