"""File names and keys as people and S3 have them: not UTF-8, escape codes, long, in conflict."""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from cli.data import download
from cli.errors import CliError
from tests.cli.command import cards, refused
from tests.cli.conftest import TRAINING_BUCKET, Stack

CASES = Path(__file__).resolve().parents[3].parent / "shared/cases/names-not-utf8.tar"
BAD = {
    "not UTF-8": os.fsdecode(b"Pok\xe9mon.png"),
    "an escape code": "red\x1b[31m.png",
    "a line end": "two\nlines.png",
}


@pytest.fixture
def folder(card_folder: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "cards"
    shutil.copytree(card_folder, copy)
    return copy


def renamed(folder: Path, name: str) -> Path:
    scan = sorted(folder.glob("*/*"))[0]
    # Other bytes after the picture make a set of its own, which nobody has pushed before.
    scan.write_bytes(scan.read_bytes() + os.fsencode(name))
    return scan.rename(scan.with_name(name))


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_name_that_s3_cannot_hold_is_said_early_and_stored_under_another(
    aws: Stack, folder: Path, tmp_path: Path, name: str
) -> None:
    scan = renamed(folder, name)
    # A second scan of the same bytes keeps a key of its own.
    shutil.copy(scan, scan.with_name(f"x{name}"))
    checked = cards("data", "check", str(folder))
    assert checked.code == 0 and "stores it under another" in checked.out
    assert "\x1b" not in checked.out
    prepared = cards("data", "prepare", str(folder), "--out", str(tmp_path / "p"), "--size", "32")
    assert prepared.code == 0 and "stores it under another" in prepared.out
    pushed = cards("data", "push", str(folder), "--json")
    assert pushed.code == 0, pushed.err
    assert pushed.json["images"] == 13
    again = tmp_path / "again"
    done = cards("data", "prepare", pushed.json["uri"], "--out", str(again), "--size", "32",
                 "--json")  # fmt: skip
    assert done.json["digest"] == pushed.json["digest"], done.err
    assert cards("data", "push", str(folder), "--json").json["sent"] == 0


def test_cases_with_names_that_are_not_utf8(aws: Stack, tmp_path: Path) -> None:
    if not CASES.is_file():
        pytest.skip("no cases here")
    with tarfile.open(CASES) as tar:
        tar.extractall(tmp_path)
    folder = tmp_path / "names"
    for words in (
        ("data", "check", folder),
        ("data", "check", folder, "--json"),
        ("data", "prepare", folder, "--out", tmp_path / "p", "--size", "32"),
        ("data", "push", folder, "--json"),
    ):
        done = cards(*map(str, words))
        assert done.code == 0, done.err
        (done.out + done.err).encode()
    scan = next(folder.glob("*/*"))
    refused(cards("recognise", str(tmp_path), str(scan)), str(tmp_path))


@pytest.mark.parametrize("name", ["x" * 240, "x" * 251, "é" * 125])
def test_long_name_is_fetched_as_it_was_pushed(
    aws: Stack, folder: Path, tmp_path: Path, name: str
) -> None:
    renamed(folder, f"{name}.png")
    uri = cards("data", "push", str(folder), "--quiet").out.strip()
    fetched = tmp_path / "fetched"
    assert download.fetch(aws.client("s3"), uri, fetched, lambda line: None) == ()
    assert {path.relative_to(fetched) for path in fetched.glob("*/*")} == {
        path.relative_to(folder) for path in folder.glob("*/*")
    }


def test_one_bad_key_never_refuses_the_set(aws: Stack, card_folder: Path, tmp_path: Path) -> None:
    s3 = aws.client("s3")
    scans = sorted(card_folder.glob("*/*"))
    for scan in scans:
        s3.upload_file(str(scan), TRAINING_BUCKET, f"odd/{scan.relative_to(card_folder)}")
    card = scans[0].parent.name
    for key in (
        card,
        f"{card}/{scans[0].name}/below.png",
        f"{card}//double.png",
        f"{card}/{'x' * 256}.png",
    ):
        s3.put_object(Bucket=TRAINING_BUCKET, Key=f"odd/{key}", Body=b"x")
    out = tmp_path / "p"
    done = cards("data", "prepare", f"s3://{TRAINING_BUCKET}/odd", "--out", str(out), "--size",
                 "32", "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["cards"] == len(scans)
    said = {each["subject"]: each["reason"] for each in done.json["problems"]}
    assert said[card] == "not a card's folder"
    assert said[f"{card}/{scans[0].name}/below.png"] == "a folder inside a card's folder"
    assert said[f"{card}//double.png"].startswith("a part that is empty")
    assert "260 bytes" in said[f"{card}/{'x' * 256}.png"]


def test_error_of_the_disk_keeps_its_own_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def get_paginator(self, _: str) -> Refusing:
            return self

        def paginate(self, **_: str) -> list[dict[str, list[dict[str, object]]]]:
            return [{"Contents": [{"Key": "cards/a/b.png", "Size": 1}]}]

        def download_file(self, *_: str) -> None:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), "a/b.png")

    s3: object = Refusing()
    with pytest.raises(CliError, match=r"a/b\.png: .*Permission denied") as caught:
        download.fetch(s3, "s3://b/cards", tmp_path / "to", print)  # type: ignore[arg-type]
    assert "MiB" not in str(caught.value)
