"""A contact sheet of pairs of scans that are suspiciously alike, for a person to judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recognition.contact_sheet import FAINT, Pixels, Text, Tile, draw_contact_sheet


@dataclass(frozen=True)
class SuspectPair:
    """Two scans to show side by side.

    Attributes:
        scans: uint8 RGB (h, w, 3) each.
        card_ids: Whose they are, in the same order.
        note: One line about both.
    """

    scans: tuple[Pixels, Pixels]
    card_ids: tuple[str, str]
    note: str


def draw_suspects_sheet(pairs: Sequence[SuspectPair], path: Path, title: str) -> None:
    """Writes a PNG.

    Args:
        pairs: At least one.
        path: The file, replaced as a whole.
        title: First line of the sheet.

    Raises:
        ValueError: No pairs.
    """
    tiles = [
        Tile(pair.scans, [*map(Text, pair.card_ids), Text(pair.note, FAINT)]) for pair in pairs
    ]
    draw_contact_sheet(tiles, path, title)
