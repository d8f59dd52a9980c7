from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from recognition.card_checks import ALIKE, Findings, examine
from recognition.cardset import read_card_set
from recognition.drawing import draw_card_set
from recognition.pack import open_pack, write_pack
from registry.contract import Contract


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "cards"
    draw_card_set(root, 8, seed=1, height=240)
    return root


def examined(folder: Path, expected: list[str] | None = None) -> Findings:
    out = folder.parent / "pack"
    write_pack(read_card_set(folder, Contract()), out, 112)
    return examine(open_pack(out), expected)


def scan(folder: Path, place: int) -> Path:
    return next(iter(sorted(folder.iterdir())[place].glob("*.png")))


def test_a_clean_set_has_nothing_to_look_at(folder: Path) -> None:
    assert not examined(folder)


def test_a_rescan_under_another_id_is_seen(folder: Path) -> None:
    image = Image.open(scan(folder, 0)).convert("RGB")
    again = ImageEnhance.Brightness(image.resize((150, 210))).enhance(1.03)
    (folder / "copy-1").mkdir()
    again.save(folder / "copy-1" / "scan.jpg", quality=75)
    (pair,) = examined(folder).alike
    assert {pair.one, pair.other} == {"copy-1", sorted(folder.iterdir())[0].name}
    assert pair.distance < ALIKE / 2


def test_a_scan_in_the_wrong_folder_is_seen(folder: Path) -> None:
    first, second = (sorted(folder.iterdir())[place] for place in (0, 1))
    shutil.copy(scan(folder, 1), first / "stray.png")
    found = examined(folder)
    stray = next(s for s in found.strays if s.scan == "stray.png")
    assert (stray.card_id, stray.nearer) == (first.name, second.name)
    assert stray.distance < stray.own_distance


def test_a_second_scan_of_the_same_card_is_no_stray(folder: Path) -> None:
    first = sorted(folder.iterdir())[0]
    image = Image.open(scan(folder, 0)).convert("RGB")
    ImageEnhance.Color(image).enhance(0.9).save(first / "second.jpg", quality=80)
    assert not examined(folder).strays


def test_a_name_that_says_another_card_is_seen(folder: Path) -> None:
    first, second = (sorted(folder.iterdir())[place].name for place in (0, 1))
    scan(folder, 0).rename(folder / first / f"{second}_Alakazam.png")
    assert examined(folder).misnamed == ((first, f"{second}_Alakazam.png", second),)


def test_what_is_missing_and_what_nobody_expected(folder: Path) -> None:
    ids = [path.name for path in sorted(folder.iterdir())]
    found = examined(folder, [*ids[1:], "base1-1"])
    assert (found.missing, found.unexpected) == (("base1-1",), (ids[0],))


def test_playing_cards_are_all_told_apart() -> None:
    cards = Path(__file__).resolve().parents[2].parent / "shared/data/playing-cards"
    if not cards.is_dir():
        pytest.skip("no playing cards here")
    from recognition.card_checks import _compare, thumbnail

    read = read_card_set(cards, Contract())
    scans = read.first_scans(Contract())
    small = np.stack([thumbnail(each) for each in scans])
    names = [card.scans[0].name for card in read.cards]
    assert _compare(small, read.card_ids, names) == ((), ())
