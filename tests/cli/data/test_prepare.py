"""cards data prepare, as it is typed."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from cli.data.expected_cards import expected_ids
from cli.errors import CliError
from recognition import atomic_files
from recognition.sample_cards.drawing import draw_card_set
from tests.cli.command import cards, refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "cards"
    draw_card_set(root, 9, seed=2, height=96)
    return root


def prepared(folder: Path, *arguments: str):
    return cards("data", "prepare", str(folder), "--out", str(folder.parent / "pack"),
                 "--size", "32", *arguments)  # fmt: skip


def test_good_scans_are_packed_and_all_others_reported(folder: Path) -> None:
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


def test_target_with_other_files_is_not_changed(folder: Path) -> None:
    target = folder.parent / "pack"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    refused(prepared(folder), "holds something else (thesis.txt)")
    assert (target / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "name", ["report.json", "report.png", "pack.json", "scans-2020.zip", ".notes-1.partial.txt"]
)
def test_target_with_a_file_of_a_common_name_is_not_changed(folder: Path, name: str) -> None:
    target = folder.parent / "pack"
    target.mkdir()
    (target / name).write_text("[1]")
    refused(prepared(folder), f"holds something else ({name})")
    assert (target / name).read_text() == "[1]"


def test_preparation_after_an_interruption_succeeds(folder: Path) -> None:
    target = folder.parent / "pack"
    target.mkdir()
    for name in (
        ".pack.json-7.partial.json",
        ".report.json-7.partial.json",
        ".scans-00000-0123456789ab.npy-7.partial.npy",
    ):
        (target / name).write_text("half")
    assert prepared(folder).code == 0
    assert not list(target.glob(".*"))


def test_pack_is_not_packed_again(folder: Path) -> None:
    prepared(folder)
    again = cards("data", "prepare", str(folder.parent / "pack"), "--out", str(folder.parent / "x"))
    refused(again, "is prepared already")


def test_pack_does_not_lie_among_the_cards(folder: Path) -> None:
    refused(
        cards("data", "prepare", str(folder), "--out", str(folder / "pack")), "lies in the card"
    )
    assert not (folder / "pack").exists()


def test_full_disk_while_reporting_keeps_the_pack(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = atomic_files.os.replace

    def full(source: Path, target: Path) -> None:
        if target.name == "report.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(source, target)

    monkeypatch.setattr(atomic_files.os, "replace", full)
    refused(prepared(folder), "report cannot be written", "No space left", "the pack is whole")
    names = sorted(path.name for path in (folder.parent / "pack").iterdir())
    assert names[0] == "pack.json" and len(names) == 2 and names[1].endswith(".npy")


def test_names_of_files_cannot_command_a_terminal(folder: Path) -> None:
    ids = [path.name for path in sorted(folder.iterdir())]
    scan = next((folder / ids[0]).iterdir())
    scan.rename(folder / ids[0] / f"{ids[1]}_\x1b[31mred\udcff.png")
    done = prepared(folder)
    assert f"{ids[0]}/{ids[1]}_?[31mred?.png: {ids[1]}" in done.out
    assert "\x1b" not in done.out + (folder.parent / "pack" / "report.json").read_text()


def test_json_output_has_no_progress_lines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli.console import Activity

    say_always = Activity.__init__
    monkeypatch.setattr(Activity, "__init__", lambda self, title, _, status: say_always(
        self, title, 0.0, status))  # fmt: skip
    assert "scans packed" in prepared(folder).out
    assert prepared(folder, "--json").json["cards"] == 9


def test_changed_pack_is_found_by_checking(folder: Path) -> None:
    prepared(folder)
    pack = folder.parent / "pack"
    assert cards("data", "check", str(pack)).code == 0
    shard = next(pack.glob("scans-*"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x07")
    refused(cards("data", "check", str(pack)), shard.name, "is not what was packed", "remove it")


@pytest.mark.parametrize(
    "text",
    [
        "a-1\nb-2\n",
        "id,name\na-1,x\nb-2,y\n",
        "name,Card_ID\nx,a-1\ny,b-2\nz\n",
        '["a-1", "b-2"]',
        '[{"id": "a-1", "name": "x"}, {"id": "b-2"}]',
        "\ufeffa-1\r\n\r\nb-2",
    ],
)
def test_list_of_cards_in_many_forms(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list"
    path.write_bytes(text.encode())
    assert expected_ids(path) == ["a-1", "b-2"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no card id"),
        (b'{"data": ["a-1"]}', "is no array"),
        (b'["a-1", 3]', "entry 3 is no id"),
        (b'[{"name": "x"}]', "is no id and has none"),
        (b'["a-1"', "is no list of card ids"),
        (b"[" * 200_000, "recursion"),
        (b"a-1\n" + b"x" * 200_000, "field larger"),
        (b"\xff\xfe\x00", "can't decode"),
    ],
)
def test_list_of_something_else_is_one_clear_line(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "list"
    path.write_bytes(content)
    with pytest.raises(CliError, match="--expect") as refusal:
        expected_ids(path)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cards" / "a-1").mkdir(parents=True)
    refused(prepared(tmp_path / "cards"), "holds no usable card")


def test_list_that_cannot_be_read_is_an_error(folder: Path) -> None:
    refused(prepared(folder, "--expect", "nowhere.csv"), "--expect nowhere.csv: cannot be read")
