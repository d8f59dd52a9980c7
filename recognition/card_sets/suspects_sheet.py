"""A picture of pairs of scans that are suspiciously alike: a person sees at once what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from recognition.whole_files import whole_file

Pixels = NDArray[np.uint8]

# Scans are squares; shown in a trading card's proportion they look as they were.
_CARD = (132, 184)
_CELL = (2 * _CARD[0] + 36, _CARD[1] + 86)
_COLUMNS, _MARGIN, _HEADER = 4, 20, 58
_PAPER, _INK, _FAINT, _WHITE = (246, 246, 243), (30, 32, 38), (110, 114, 124), (255, 255, 255)


def draw_pairs(
    pairs: Sequence[tuple[Pixels, Pixels, tuple[str, str], str]], path: Path, title: str
) -> None:
    """Writes a PNG.

    Args:
        pairs: Two scans, uint8 RGB (h, w, 3), whose they are, and a line about both; at least
            one pair.
        path: The file, replaced as a whole.
        title: First line of the picture.
    """
    rows = -(-len(pairs) // _COLUMNS)
    columns = min(_COLUMNS, len(pairs))
    width = _MARGIN + columns * (_CELL[0] + _MARGIN)
    sheet = Image.new("RGB", (width, _HEADER + rows * (_CELL[1] + _MARGIN)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _line(draw, (_MARGIN, 18), title, 18, _INK, width - 2 * _MARGIN)
    for place, (one, other, names, note) in enumerate(pairs):
        x = _MARGIN + place % _COLUMNS * (_CELL[0] + _MARGIN)
        y = _HEADER + place // _COLUMNS * (_CELL[1] + _MARGIN)
        draw.rounded_rectangle((x, y, x + _CELL[0], y + _CELL[1]), 8, fill=_WHITE)
        for image, left in ((one, x + 12), (other, x + 24 + _CARD[0])):
            card = cv2.resize(image, _CARD, interpolation=cv2.INTER_AREA)
            sheet.paste(Image.fromarray(np.asarray(card, dtype=np.uint8)), (left, y + 12))
        text = y + _CARD[1] + 20
        # One below the other: side by side there is no room for a set's long ids.
        for line, name in enumerate(names):
            _line(draw, (x + 12, text + 19 * line), name, 13, _INK, _CELL[0] - 24)
        _line(draw, (x + 12, text + 40), note, 12, _FAINT, _CELL[0] - 24)
    with whole_file(path) as partial:
        sheet.save(partial, "PNG")


def _line(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    room: int,
) -> None:
    font = ImageFont.load_default(size)
    if draw.textlength(text, font=font) > room:
        while text and draw.textlength(text + "...", font=font) > room:
            text = text[:-1]
        text += "..."
    draw.text(at, text, font=font, fill=colour)
