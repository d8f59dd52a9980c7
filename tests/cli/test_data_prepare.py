"""cards data prepare, as it is typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from recognition.drawing import draw_card_set
from tests.cli.command import cards, refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "cards"
    draw_card_set(root, 9, seed=2, height=96)
    return root


def prepared(folder: Path, *arguments: str):
    return cards("data", "prepare", str(folder), "--out", str(folder.parent / "pack"),
                 "--size", "32", *arguments)  # fmt: skip


def test_the_good_ones_are_kept_and_everything_else_is_named(folder: Path) -> None:
    ids = [path.name for path in sorted(folder.iterdir())]
    whole = next((folder / ids[0]).iterdir())
    (folder / ids[1] / "torn.png").write_bytes(whole.read_bytes()[:300])
    (folder / "empty-1").mkdir()
    (folder / "copy-1").mkdir()
    shutil.copy(whole, folder / "copy-1" / "scan.png")
    (folder / "tiny-1").mkdir()
    Image.new("RGB", (20, 20)).save(folder / "tiny-1" / "dot.png")
    (folder / "notes.txt").write_text("hello")
    expect = folder.parent / "list.csv"
    expect.write_text("card_id,name\n" + "".join(f"{i},x\n" for i in [*ids[:8], "base1-1"]))
    done = prepared(folder, "--expect", str(expect))
    assert done.code == 0, done.all
    for words in (
        "10 cards, 10 scans",
        "left out (4):", f"{ids[1]}/torn.png: broken image", "empty-1: no usable image",
        "tiny-1/dot.png: 20 x 20 pixels are too few",
        f"copy-1/scan.png: the same image as card {ids[0]}", "notes.txt: not a card's folder",
        f"{ids[0]} and copy-1 (0.0 grey levels apart)",
        "expected and not there (1):\n  base1-1", "there and not expected (2):",
        "report.png", "next: cards data push",
    ):  # fmt: skip
        assert words in done.out, (words, done.out)
    report = json.loads((folder.parent / "pack" / "report.json").read_text())
    assert report["missing"] == ["base1-1"] and report["cards"] == 10
    with Image.open(folder.parent / "pack" / "report.png") as picture:
        assert picture.width > 300


def test_again_with_changed_cards_is_another_pack_in_the_same_place(folder: Path) -> None:
    first = prepared(folder, "--json").json
    again = prepared(folder, "--json").json
    assert again == first
    shutil.rmtree(sorted(folder.iterdir())[0])
    other = prepared(folder, "--json").json
    assert other["cards"] == 8 and other["digest"] != first["digest"]
    assert len(list((folder.parent / "pack").glob("scans-*"))) == 1


def test_a_target_that_holds_something_else_is_left_alone(folder: Path) -> None:
    target = folder.parent / "pack"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    refused(prepared(folder), "holds something else (thesis.txt)")
    assert (target / "thesis.txt").read_text() == "years of work"


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cards" / "a-1").mkdir(parents=True)
    refused(prepared(tmp_path / "cards"), "holds no usable card")


def test_a_list_that_cannot_be_read_is_an_error(folder: Path) -> None:
    refused(prepared(folder, "--expect", "nowhere.csv"), "--expect nowhere.csv: cannot be read")
