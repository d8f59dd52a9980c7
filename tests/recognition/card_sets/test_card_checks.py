from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from recognition.card_sets.card_checks import CardSetFindings, _compare, examine, thumbnail
from recognition.card_sets.card_set import read_card_set
from recognition.card_sets.pack import open_pack
from recognition.card_sets.pack_writing import write_pack
from recognition.card_sets.same_print import compare_prints
from recognition.sample_cards.drawing import draw_card_set
from registry.contract import Contract
from tests.properties import stride


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "cards"
    draw_card_set(root, 8, seed=1, height=240)
    return root


def examined(folder: Path, expected: list[str] | None = None) -> CardSetFindings:
    out = folder.parent / "pack"
    write_pack(read_card_set(folder, Contract()), out, 112)
    return examine(open_pack(out), expected)


def scan(folder: Path, place: int) -> Path:
    return next(iter(sorted(folder.iterdir())[place].glob("*.png")))


def test_clean_set_has_no_findings(folder: Path) -> None:
    assert not examined(folder)


def test_a_rescan_under_another_id_is_seen(folder: Path) -> None:
    image = Image.open(scan(folder, 0)).convert("RGB")
    again = ImageEnhance.Brightness(image.resize((150, 210))).enhance(1.03)
    (folder / "copy-1").mkdir()
    again.save(folder / "copy-1" / "scan.jpg", quality=75)
    (pair,) = examined(folder).alike
    assert {pair.one, pair.other} == {"copy-1", sorted(folder.iterdir())[0].name}
    assert pair.distance < 2 and pair.agreement > 0.95


def test_a_reprint_with_another_line_of_text_is_not_taken_for_the_same_card(folder: Path) -> None:
    image = Image.open(scan(folder, 0)).convert("RGB").resize((360, 500))
    for name, line in (("first-print", "Flip a coin. If heads,"), ("reprint", "Draw two cards")):
        print_of = image.copy()
        ImageDraw.Draw(print_of).text((40, 330), line, fill=(0, 0, 0), font_size=26)
        (folder / name).mkdir()
        print_of.save(folder / name / "scan.png")
    shutil.rmtree(sorted(folder.iterdir())[0])
    assert not examined(folder).alike


def test_a_picture_that_many_cards_share_is_one_pair_a_card(folder: Path) -> None:
    """As where a set's missing scans were all filled with the picture of a card's back."""
    for number in range(30):
        (folder / f"blank-{number}").mkdir()
        shutil.copy(scan(folder, 0), folder / f"blank-{number}" / "back.png")
    found = examined(folder).alike
    assert {card for pair in found for card in (pair.one, pair.other)} == {
        *(f"blank-{number}" for number in range(30)),
        sorted(folder.iterdir())[0].name,
    }
    assert len(found) <= 31


def test_a_scan_in_the_wrong_folder_is_seen(folder: Path) -> None:
    first, second = (sorted(folder.iterdir())[place] for place in (0, 1))
    shutil.copy(scan(folder, 1), first / "stray.png")
    # The card's own scan is nearer to some other card than to the stray; it is not what is meant.
    found = examined(folder)
    (stray,) = found.strays
    assert stray.scan == "stray.png" and (stray.card_id, stray.nearer) == (first.name, second.name)
    assert stray.distance < stray.own_distance
    assert not found.alike, "the two cards are not one because of it"


def test_a_second_scan_of_the_same_card_is_no_stray(folder: Path) -> None:
    first = sorted(folder.iterdir())[0]
    image = Image.open(scan(folder, 0)).convert("RGB")
    ImageEnhance.Color(image).enhance(0.9).save(first / "second.jpg", quality=80)
    assert not examined(folder).strays


def test_a_name_that_says_another_card_is_seen(folder: Path) -> None:
    first, second = (sorted(folder.iterdir())[place].name for place in (0, 1))
    scan(folder, 0).rename(folder / first / f"{second}_Alakazam.png")
    assert examined(folder).misnamed == ((first, f"{second}_Alakazam.png", second),)


def test_an_id_with_an_underscore_is_an_id(folder: Path) -> None:
    ids = [path.name for path in sorted(folder.iterdir())]
    for place, name in enumerate(("swsh", "swsh_1", "swsh_1_2")):
        (folder / ids[place]).rename(folder / name)
    for card, scan_of in (("swsh_1", "swsh_1_Pikachu"), ("swsh", "swsh_1_2_Raichu")):
        next((folder / card).iterdir()).rename(folder / card / f"{scan_of}.png")
    # A name that begins with its own card's id is right, whatever else it begins with.
    assert examined(folder).misnamed == ()
    next((folder / "swsh_1").iterdir()).rename(folder / "swsh_1" / f"{ids[3]}_x\x1b[31m.png")
    assert examined(folder).misnamed == (("swsh_1", f"{ids[3]}_x?[31m.png", ids[3]),)


def test_missing_and_unexpected_cards_are_reported(folder: Path) -> None:
    ids = [path.name for path in sorted(folder.iterdir())]
    found = examined(folder, [*ids[1:], "base1-1"])
    assert (found.missing, found.unexpected) == (("base1-1",), (ids[0],))


def test_playing_cards_are_all_distinguished() -> None:
    cards = Path(__file__).resolve().parents[3].parent / "shared/data/playing-cards"
    if not cards.is_dir():
        pytest.skip("no playing cards here")
    read = read_card_set(cards, Contract())
    scans = read.first_scans(Contract())
    small = np.stack([thumbnail(each) for each in scans])
    candidates, strays = _compare(small, read.card_ids, [""] * len(small))
    pairs = [(row, near) for row, found in candidates.items() for _, near in found[:1]]
    assert len(pairs) > 100 and not strays
    pairs = pairs[:: stride(10)]
    assert not [pair for pair in pairs if compare_prints(scans[pair[0]], scans[pair[1]]).same_print]
