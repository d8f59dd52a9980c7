"""Inputs that people's tools really write, in the project's shared folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognition.card_sets.scan import decode_image
from tests.cli.command import cards
from tests.cli.conftest import Stack

CASES = Path(__file__).resolve().parents[3].parent / "shared/cases"


@pytest.mark.parametrize("name", ["front.jfif", "png-text-2mb.png"])
def test_shared_image_is_a_scan_on_every_path(
    aws: Stack, card_folder: Path, tmp_path: Path, name: str
) -> None:
    case = CASES / name
    if not case.is_file():
        pytest.skip("no cases here")
    folder = tmp_path / "cards"
    shutil.copytree(card_folder, folder)
    (folder / "case-1").mkdir()
    shutil.copy(case, folder / "case-1" / name)
    checked = cards("data", "check", str(folder), "--json")
    assert checked.code == 0 and name not in checked.out, checked.all
    out = tmp_path / "pack"
    prepared = cards("data", "prepare", str(folder), "--out", str(out), "--size", "32", "--json")
    assert prepared.json["digest"] == checked.json["digest"], prepared.all
    assert "case-1" not in str(prepared.json["problems"])
    pushed = cards("data", "push", str(folder), "--json")
    assert pushed.json["digest"] == checked.json["digest"], pushed.all
    views = tmp_path / "views.png"
    assert cards("data", "views", str(case), "--out", str(views)).code == 0
    assert views.is_file()


def test_shared_png_has_the_pixels_of_its_image_data() -> None:
    case = CASES / "png-text-2mb.png"
    if not case.is_file():
        pytest.skip("no cases here")
    content = case.read_bytes()
    at = content.index(b"zTXt") - 4
    after = at + 12 + int.from_bytes(content[at : at + 4], "big")
    plain = content[:at] + content[after:]
    np.testing.assert_array_equal(decode_image(content), decode_image(plain))
    assert Image.open(case.with_name("front.jfif")).format == "JPEG"
