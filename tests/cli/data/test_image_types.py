"""Types of images from a card folder to S3 and back, whatever the files are called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from cli.data import download
from tests.cli.command import cards
from tests.cli.conftest import Stack

#: The name of a scan, and the format of its bytes.
READ = {
    "front.jfif": "JPEG", "front.jpe": "JPEG", "front.JPE": "JPEG", "front.gif": "GIF",
    "front.avif": "AVIF", "front.webp": "WEBP", "front": "PNG", "front.heic": "JPEG",
    "front.dat": "TIFF",
}  # fmt: skip


@pytest.fixture
def folder(card_folder: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "cards"
    shutil.copytree(card_folder, copy)
    return copy


def test_every_type_makes_the_round_trip(aws: Stack, folder: Path, tmp_path: Path) -> None:
    with Image.open(next(folder.glob("*/*"))) as opened:
        picture = opened.convert("RGB")
    for number, (name, form) in enumerate(READ.items()):
        (folder / f"type-{number}").mkdir()
        # Each is another picture, so that none is reported as a copy.
        picture.rotate(15 * number + 5).save(folder / f"type-{number}" / name, form)
    checked = cards("data", "check", str(folder), "--json")
    assert checked.json["problems"] == [], checked.all
    pushed = cards("data", "push", str(folder), "--json")
    assert pushed.json["digest"] == checked.json["digest"], pushed.all
    fetched = tmp_path / "fetched"
    assert download.fetch(aws.client("s3"), pushed.json["uri"], fetched, lambda line: None) == ()
    for name in READ:
        assert len(list(fetched.glob(f"*/{name}"))) == 1
    prepared = cards("data", "prepare", pushed.json["uri"], "--out", str(tmp_path / "p"), "--size",
                     "32", "--json")  # fmt: skip
    assert prepared.json["digest"] == checked.json["digest"], prepared.all
    packed = cards("data", "push", str(tmp_path / "p"), "--json")
    assert packed.json["digest"] == checked.json["digest"], packed.all


def test_unread_file_type_is_named_with_its_remedy(folder: Path, tmp_path: Path) -> None:
    card = next(folder.iterdir())
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(80)
    (card / "photo.heic").write_bytes(heic)
    (card / "photo.jpg").write_bytes(heic)
    (card / "photo").write_bytes(heic)
    (card / "page.png").write_bytes(b"<!doctype html><title>Sign in</title>")
    (card / "list.pdf").write_bytes(b"%PDF-1.4 ")
    (card / "notes.txt").write_text("BMP is what I wanted")
    for words in (("data", "check"), ("data", "prepare", "--out", str(tmp_path / "p"))):
        done = cards(*words[:2], str(folder), *words[2:], "--json")
        assert done.code == 0, done.all
        said = {each["subject"]: each for each in done.json["problems"]}
        for name in ("photo.heic", "photo.jpg", "photo"):
            found = said[f"{card.name}/{name}"]
            assert found["kind"] == "broken" and "Most Compatible" in found["reason"]
        assert "download the image" in said[f"{card.name}/page.png"]["reason"]
        assert said[f"{card.name}/list.pdf"]["kind"] == "ignored"
        assert "export its pages" in said[f"{card.name}/list.pdf"]["reason"]
        assert said[f"{card.name}/notes.txt"]["reason"] == "not an image"
