"""The one renderer of contact sheets: pictures with captions in a grid, written as a PNG.

What a sheet shows stands beside what it is about: queries and their answers
(``recognition.query_sheet``), camera effects (``recognition.views.effect_sheet``), suspicious scans
(``recognition.card_sets.suspects_sheet``). Each makes :class:`Tile` values and calls
:func:`draw_contact_sheet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from recognition.atomic_files import atomic_file

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

INK: Colour = (30, 32, 38)
FAINT: Colour = (110, 114, 124)
_PAPER: Colour = (246, 246, 243)
_WHITE: Colour = (255, 255, 255)
_OUTLINE: Colour = (222, 222, 218)
#: Views and scans are squares; shown in a trading card's proportion they look as they were.
_PICTURE = (150, 210)
_MARGIN, _PADDING, _LINE = 20, 12, 20
_TITLE_SIZE, _SUBTITLE_SIZE, _TEXT_SIZE = 22, 15, 14
#: Share of white over a picture that is shown faded.
_FADED = 0.62


@dataclass(frozen=True)
class Text:
    """One line of a caption, cut with dots where it does not fit."""

    text: str
    colour: Colour = INK


@dataclass(frozen=True)
class Tile:
    """One cell of a sheet.

    Attributes:
        pictures: uint8 RGB (h, w, 3) of any size, side by side; every tile of a sheet has as many.
        caption: Lines below the pictures.
        badge: A coloured label before the first line; None for none.
        frame: Colour of a frame around the last picture; None for none.
        faded: Whether the last picture is shown pale.
    """

    pictures: Sequence[Pixels]
    caption: Sequence[Text]
    badge: Text | None = None
    frame: Colour | None = None
    faded: bool = False


def draw_contact_sheet(
    tiles: Sequence[Tile], path: Path, title: str, *, subtitle: str = "", columns: int = 4
) -> None:
    """Writes a PNG.

    Args:
        tiles: At least one, row by row.
        path: The file, replaced as a whole.
        title: First line of the sheet.
        subtitle: A smaller second line; empty for none.
        columns: Tiles in a row, at most.

    Raises:
        ValueError: No tiles, or tiles with different numbers of pictures.
    """
    if not tiles:
        raise ValueError("a contact sheet needs at least one tile")
    counts = {len(tile.pictures) for tile in tiles}
    if len(counts) != 1:
        raise ValueError(f"tiles of one sheet hold {sorted(counts)} pictures; give each as many")
    columns = max(1, min(columns, len(tiles)))
    rows = -(-len(tiles) // columns)
    lines = max(len(tile.caption) for tile in tiles)
    wide = counts.pop() * (_PICTURE[0] + _PADDING) + _PADDING
    high = _PICTURE[1] + 2 * _PADDING + lines * _LINE + _PADDING // 2
    header = 88 if subtitle else 56
    width = _MARGIN + columns * (wide + _MARGIN)
    sheet = Image.new("RGB", (width, header + rows * (high + _MARGIN)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (_MARGIN, 16), Text(title), _TITLE_SIZE, width - 2 * _MARGIN)
    _write(draw, (_MARGIN, 52), Text(subtitle, FAINT), _SUBTITLE_SIZE, width - 2 * _MARGIN)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        x, y = _MARGIN + column * (wide + _MARGIN), header + row * (high + _MARGIN)
        draw.rounded_rectangle((x, y, x + wide, y + high), 8, fill=_WHITE, outline=_OUTLINE)
        _draw_tile(sheet, draw, tile, (x + _PADDING, y + _PADDING), wide - 2 * _PADDING)
    with atomic_file(path) as partial:
        sheet.save(partial, "PNG")


def _draw_tile(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, corner: tuple[int, int], width: int
) -> None:
    x, y = corner
    for number, picture in enumerate(tile.pictures):
        shown = _resized(picture)
        left = x + number * (_PICTURE[0] + _PADDING)
        last = number == len(tile.pictures) - 1
        if last and tile.faded:
            shown = Image.blend(shown, Image.new("RGB", shown.size, _WHITE), _FADED)
        sheet.paste(shown, (left, y))
        if last and tile.frame:
            box = (left - 2, y - 2, left + _PICTURE[0] + 1, y + _PICTURE[1] + 1)
            draw.rectangle(box, None, tile.frame, 3)
    y += _PICTURE[1] + _PADDING
    indent = _draw_badge(draw, tile.badge, (x, y)) if tile.badge else 0
    for number, line in enumerate(tile.caption):
        start = indent if number == 0 else 0
        _write(draw, (x + start, y + number * _LINE), line, _TEXT_SIZE, width - start)


def _draw_badge(draw: ImageDraw.ImageDraw, badge: Text, corner: tuple[int, int]) -> int:
    """Draws a label and returns the width that it takes, in pixels."""
    x, y = corner
    font = ImageFont.load_default(_TEXT_SIZE)
    width = round(draw.textlength(badge.text, font=font)) + 12
    draw.rounded_rectangle((x, y - 1, x + width, y + _LINE - 2), 5, fill=badge.colour)
    draw.text((x + 6, y), badge.text, font=font, fill=_WHITE)
    return width + 10


def _resized(picture: Pixels) -> Image.Image:
    method = cv2.INTER_AREA if picture.shape[0] >= _PICTURE[1] else cv2.INTER_CUBIC
    resized = cv2.resize(picture, _PICTURE, interpolation=method)
    return Image.fromarray(np.asarray(resized, dtype=np.uint8))


def _write(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], line: Text, size: int, width: int
) -> None:
    # Pillow's built-in font: no font file of the machine is needed.
    font, text = ImageFont.load_default(size), line.text
    if draw.textlength(text, font=font) > width:
        while text and draw.textlength(text + "...", font=font) > width:
            text = text[:-1]
        text += "..."
    draw.text(corner, text, font=font, fill=line.colour)
