"""The renderer that all contact sheets share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognition.contact_sheet import Text, Tile, draw_contact_sheet

RED, BLUE = (200, 30, 30), (20, 40, 220)


def picture(colour: tuple[int, int, int] = (120, 120, 120), height: int = 64) -> np.ndarray:
    return np.full((height, height, 3), colour, np.uint8)


def colours(path: Path) -> set[tuple[int, ...]]:
    pixels = np.asarray(Image.open(path)).reshape(-1, 3)
    return {tuple(int(v) for v in row) for row in np.unique(pixels, axis=0)}


def test_tiles_fill_rows_of_the_given_number_of_columns(tmp_path: Path) -> None:
    tiles = [Tile([picture()], [Text("a card")])] * 5
    sizes = {}
    for columns in (1, 2, 5, 9):
        draw_contact_sheet(tiles, tmp_path / "sheet.png", "title", columns=columns)
        sizes[columns] = Image.open(tmp_path / "sheet.png").size
    assert sizes[5] == sizes[9]
    assert sizes[1][0] < sizes[2][0] < sizes[5][0] and sizes[1][1] > sizes[2][1] > sizes[5][1]


def test_badge_and_frame_have_their_colours(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    draw_contact_sheet([Tile([picture()], [Text("x")])], path, "title")
    assert not {RED, BLUE} & colours(path)
    tile = Tile([picture()], [Text("x")], badge=Text("WRONG", RED), frame=BLUE)
    draw_contact_sheet([tile], path, "title")
    assert {RED, BLUE} <= colours(path)


@pytest.mark.parametrize("height", [64, 400])
def test_last_picture_alone_is_faded(tmp_path: Path, height: int) -> None:
    path = tmp_path / "sheet.png"
    pair = [picture(RED, height), picture(BLUE, height)]
    draw_contact_sheet([Tile(pair, [Text("x")], faded=True)], path, "title")
    assert RED in colours(path) and BLUE not in colours(path)


def test_long_lines_do_not_widen_the_sheet(tmp_path: Path) -> None:
    widths = []
    for text in ("x", "x" * 500):
        draw_contact_sheet([Tile([picture()], [Text(text)])], tmp_path / "a.png", text)
        widths.append(Image.open(tmp_path / "a.png").width)
    assert widths[0] == widths[1]


def test_sheet_without_tiles_or_with_uneven_ones_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one tile"):
        draw_contact_sheet([], tmp_path / "a.png", "title")
    uneven = [Tile([picture()], []), Tile([picture()] * 2, [])]
    with pytest.raises(ValueError, match=r"hold \[1, 2\] pictures"):
        draw_contact_sheet(uneven, tmp_path / "a.png", "title")
    assert not list(tmp_path.iterdir())
