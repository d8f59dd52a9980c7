"""What may be added to a card set, and that the grown set is the one that a reader would find."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from recognition.card_sets.added_cards import AddedCards, compare, merged
from recognition.card_sets.card_set import CardSet, CardSetError, read_card_set
from recognition.card_sets.pack import open_pack, verify_pack
from recognition.card_sets.pack_writing import extend_pack, write_pack
from recognition.card_sets.same_print_pairs import same_print_pairs
from recognition.sample_cards.drawing import draw_card_set
from registry.contract import Contract

SIZE = 32
CONTRACT = Contract(size=SIZE)
ROW = 3 * (2 * SIZE) ** 2


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    draw_card_set(root, 9, seed=6, height=192)
    return root


@pytest.fixture
def old_folder(drawn: Path, tmp_path: Path) -> Path:
    """Six cards; the first, third and fifth of all nine are missing."""
    folder = Path(shutil.copytree(drawn, tmp_path / "old"))
    for card in sorted(folder.iterdir())[0:6:2]:
        shutil.rmtree(card)
    return folder


@pytest.fixture
def new_folder(drawn: Path, old_folder: Path, tmp_path: Path) -> Path:
    """The other three, and one of the six, unchanged."""
    folder = Path(shutil.copytree(drawn, tmp_path / "new"))
    for card in sorted(old_folder.iterdir())[1:]:
        shutil.rmtree(folder / card.name)
    return folder


def read(folder: Path) -> CardSet:
    return read_card_set(folder, CONTRACT)


def union(one: Path, other: Path, folder: Path) -> CardSet:
    shutil.copytree(one, folder)
    shutil.copytree(other, folder, dirs_exist_ok=True)
    return read(folder)


def test_new_cards_are_told_from_those_that_are_present(old_folder: Path, new_folder: Path) -> None:
    old, new = read(old_folder), read(new_folder)
    found = compare(old, new)
    assert found.present == (old.card_ids[0],)
    assert set(found.new) == set(new.card_ids) - {old.card_ids[0]} and len(found.new) == 3


def test_merged_folders_are_the_set_that_one_folder_would_be(
    old_folder: Path, new_folder: Path, tmp_path: Path
) -> None:
    old, new = read(old_folder), read(new_folder)
    grown = merged(old, new, compare(old, new))
    whole = union(old_folder, new_folder, tmp_path / "both")
    assert (grown.digest, grown.card_ids) == (whole.digest, whole.card_ids)
    assert [c.digests for c in grown.cards] == [c.digests for c in whole.cards]
    assert np.array_equal(grown.first_scans(CONTRACT), whole.first_scans(CONTRACT))


@pytest.mark.parametrize("rows", [2, 100])
def test_extended_pack_is_the_set_that_one_folder_would_be(
    old_folder: Path, new_folder: Path, tmp_path: Path, rows: int
) -> None:
    old, new = read(old_folder), read(new_folder)
    write_pack(old, tmp_path / "pack", SIZE, shard_bytes=rows * ROW)
    packed = open_pack(tmp_path / "pack")
    added = compare(packed, new)
    extend_pack(packed, new.only(added.new), tmp_path / "grown", shard_bytes=rows * ROW)
    grown = open_pack(tmp_path / "grown")
    whole = union(old_folder, new_folder, tmp_path / "both")
    assert not verify_pack(grown)
    assert (grown.digest, grown.card_ids) == (whole.digest, whole.card_ids)
    for scale in (1, 2):
        ours, ids = grown.all_scans(CONTRACT, scale)
        theirs, their_ids = whole.all_scans(CONTRACT, scale)
        assert ids == their_ids
        if scale == 2:  # smaller ones are made from the packed pixels
            assert np.array_equal(np.asarray(ours), theirs)
    assert open_pack(tmp_path / "pack").digest == old.digest, "the first pack stays as it is"
    again = extend_pack(packed, new.only(added.new), tmp_path / "grown", shard_bytes=rows * ROW)
    assert open_pack(again.parent).digest == grown.digest


def test_pack_with_a_card_in_two_places_is_refused(old_folder: Path, tmp_path: Path) -> None:
    old = read(old_folder)
    write_pack(old, tmp_path / "pack", SIZE)
    with pytest.raises(CardSetError, match="is in the pack already"):
        extend_pack(open_pack(tmp_path / "pack"), old, tmp_path / "grown")
    assert not (tmp_path / "grown").exists()


def change_scan(folder: Path, card: str) -> None:
    (scan,) = (folder / card).iterdir()
    other = next(each for each in sorted(folder.iterdir()) if each.name != card)
    shutil.copy(next(other.iterdir()), scan)


def add_scan(folder: Path, card: str) -> None:
    other = next(each for each in sorted(folder.iterdir()) if each.name != card)
    shutil.copy(next(other.iterdir()), folder / card / "second.png")


@pytest.mark.parametrize("spoil", [change_scan, add_scan])
def test_card_with_other_scans_is_refused_by_name(
    old_folder: Path, new_folder: Path, spoil: object
) -> None:
    old = read(old_folder)
    assert callable(spoil)
    spoil(new_folder, old.card_ids[0])
    with pytest.raises(CardSetError, match=f"^{old.card_ids[0]}: is in the card set already, with"):
        compare(old, read(new_folder))


def test_card_that_lacks_one_of_its_scans_is_refused_by_name(
    old_folder: Path, new_folder: Path
) -> None:
    card = read(old_folder).card_ids[0]
    add_scan(old_folder, card)
    with pytest.raises(CardSetError, match=f"^{card}: is in the card set already, with"):
        compare(read(old_folder), read(new_folder))


def test_ids_that_differ_in_case_alone_are_refused(old_folder: Path, new_folder: Path) -> None:
    old = read(old_folder)
    new = sorted(set(read(new_folder).card_ids) - set(old.card_ids))[0]
    (new_folder / new).rename(new_folder / old.card_ids[1].upper())
    with pytest.raises(CardSetError, match="in upper and lower case alone"):
        compare(old, read(new_folder))


def test_new_card_of_an_old_print_is_a_twin(old_folder: Path, new_folder: Path) -> None:
    old = read(old_folder)
    shutil.copytree(old_folder / old.card_ids[2], new_folder / "reprint-1")
    new = read(new_folder)
    added = compare(old, new)
    found = same_print_pairs(merged(old, new, added), added.new, Contract(size=96))
    assert [(pair.one, pair.other) for pair in found] == [
        tuple(sorted((old.card_ids[2], "reprint-1")))
    ]


def test_twins_among_old_cards_are_not_looked_for(old_folder: Path, new_folder: Path) -> None:
    card = read(old_folder).card_ids[2]
    shutil.copytree(old_folder / card, old_folder / "reprint-1")
    old, new = read(old_folder), read(new_folder)
    added = compare(old, new)
    assert same_print_pairs(merged(old, new, added), added.new, Contract(size=96)) == ()


def test_nothing_is_new_where_every_card_is_there(old_folder: Path) -> None:
    old = read(old_folder)
    assert compare(old, old) == AddedCards((), old.card_ids)
