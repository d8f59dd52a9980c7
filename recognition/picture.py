"""A picture of queries beside what they were recognised as, for a person to judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from recognition.recogniser import Recognition
from recognition.whole_files import whole_file

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Views and scans are squares; shown in a trading card's proportion they look as they were.
CARD_SIZE = (150, 210)
CELL_WIDTH, CELL_HEIGHT = 2 * CARD_SIZE[0] + 44, CARD_SIZE[1] + 104
MARGIN, HEADER = 24, 84
PAPER: Colour = (246, 246, 243)
CELL: Colour = (255, 255, 255)
INK: Colour = (30, 32, 38)
FAINT: Colour = (110, 114, 124)
GREEN: Colour = (28, 132, 72)
RED: Colour = (190, 40, 44)
AMBER: Colour = (176, 112, 10)


@dataclass(frozen=True)
class Shown:
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
        """``right``, ``wrong``, ``turned away`` (rightly or not) or ``wrongly accepted``."""
        if self.truth is None:
            return "turned away" if self.recognition.card_id is None else "wrongly accepted"
        if self.recognition.card_id is None:
            return "wrongly turned away"
        return "right" if self.recognition.card_id == self.truth else "wrong"


def draw_sheet(shown: Sequence[Shown], path: Path, title: str, columns: int = 3) -> None:
    """Writes a PNG with each query beside its best match.

    Args:
        shown: At least one query.
        path: The file, replaced as a whole.
        title: First line of the picture.
        columns: Queries in a row.

    Raises:
        ValueError: Nothing to show.
    """
    if not shown:
        raise ValueError("no query to draw a picture of")
    columns = max(1, min(columns, len(shown)))
    rows = -(-len(shown) // columns)
    width = MARGIN + columns * (CELL_WIDTH + MARGIN)
    height = HEADER + rows * (CELL_HEIGHT + MARGIN)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, title, (MARGIN, 16), 24, INK, width - 2 * MARGIN)
    _write(draw, _summary(shown), (MARGIN, 50), 15, FAINT, width - 2 * MARGIN)
    for place, item in enumerate(shown):
        row, column = divmod(place, columns)
        x = MARGIN + column * (CELL_WIDTH + MARGIN)
        _cell(sheet, draw, item, x, HEADER + row * (CELL_HEIGHT + MARGIN))
    with whole_file(path) as partial:
        sheet.save(partial, "PNG")


def _summary(shown: Sequence[Shown]) -> str:
    counts: dict[str, int] = {}
    for item in shown:
        counts[item.verdict] = counts.get(item.verdict, 0) + 1
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return (
        "left: camera view; right: best match in the index; "
        f"numbers: similarity and the release's threshold; {told}"
    )


def _cell(sheet: Image.Image, draw: ImageDraw.ImageDraw, item: Shown, x: int, y: int) -> None:
    verdict, answer = item.verdict, item.recognition
    colour = GREEN if verdict in ("right", "turned away") else RED
    if verdict == "wrongly turned away":
        colour = AMBER
    draw.rounded_rectangle(
        (x, y, x + CELL_WIDTH, y + CELL_HEIGHT), 10, fill=CELL, outline=(222, 222, 218)
    )
    card_wide, card_high = CARD_SIZE
    left, right, top = x + 12, x + CELL_WIDTH - 12 - card_wide, y + 12
    sheet.paste(_card(item.view), (left, top))
    match = _card(item.match)
    if answer.card_id is None:  # the best candidate was not good enough: shown faint
        match = Image.blend(match, Image.new("RGB", match.size, CELL), 0.62)
    sheet.paste(match, (right, top))
    draw.rectangle(
        (right - 2, top - 2, right + card_wide + 1, top + card_high + 1), None, colour, 3
    )

    text, line = x + 12, top + card_high + 10
    room = CELL_WIDTH - 24
    badge = verdict.upper()
    font = _font(15)
    end = text + 8 + round(draw.textlength(badge, font=font))
    draw.rounded_rectangle((text, line, end + 8, line + 23), 6, fill=colour)
    draw.text((text + 8, line + 2), badge, font=font, fill=(255, 255, 255))
    relation = ">=" if answer.similarity >= answer.threshold else "<"
    score = f"{answer.similarity:.3f} {relation} {answer.threshold:.3f}"
    _write(draw, score, (end + 18, line + 3), 14, INK, x + CELL_WIDTH - 30 - end)
    truth = item.truth if item.truth is not None else "a card that is not in the index"
    _write(draw, f"seen: {truth}", (text, line + 31), 14, INK, room)
    best = answer.candidates[0][0] if answer.candidates else "none"
    said = best if answer.card_id is not None else f"unknown (nearest: {best})"
    _write(draw, f"said: {said}", (text, line + 52), 14, colour, room)


def _card(image: Pixels) -> Image.Image:
    shrinks = image.shape[0] >= CARD_SIZE[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return Image.fromarray(np.asarray(cv2.resize(image, CARD_SIZE, interpolation=method)))


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    at: tuple[int, int],
    size: int,
    colour: Colour,
    room: int,
) -> None:
    """Writes a line, cut with dots where it does not fit."""
    font = _font(size)
    if draw.textlength(text, font=font) > room:
        while text and draw.textlength(text + "...", font=font) > room:
            text = text[:-1]
        text += "..."
    draw.text(at, text, font=font, fill=colour)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's built-in font: no font file of the machine is needed."""
    return ImageFont.load_default(size)
