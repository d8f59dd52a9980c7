"""``cards recognise``: what it says, and pictures that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from recognition.recogniser import Recogniser, Recognition
from tests.cli.command import cards, refused


class Oracle:
    """Knows one card: whatever is brighter than the middle."""

    def recognise(self, image: Any) -> Recognition:
        similarity = float(image.mean()) / 255
        return Recognition(
            "bright" if similarity >= 0.5 else None, similarity, 0.5, (("bright", similarity),)
        )

    def recognise_frames(self, images: list[Any]) -> Recognition:
        return replace(self.recognise(images[0]), frames=len(images))


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    import cv2
    import numpy as np

    monkeypatch.setattr(Recogniser, "load", lambda release: Oracle())
    paths = {}
    for name, value in (("bright", 250), ("dark", 5)):
        paths[name] = str(tmp_path / f"{name}.png")
        cv2.imwrite(paths[name], np.full((64, 48, 3), value, np.uint8))
    paths["broken"] = str(tmp_path / "broken.png")
    Path(paths["broken"]).write_bytes(b"\x89PNG\r\n\x1a\n")
    return paths


def test_known_card_is_named_and_unknown_card_is_rejected(pictures: dict[str, str]) -> None:
    answers = cards("recognise", "release", pictures["bright"], pictures["dark"], "--json").json
    assert [answer["card_id"] for answer in answers] == ["bright", None]
    assert [answer["image"] for answer in answers] == [pictures["bright"], pictures["dark"]]
    assert answers[1]["candidates"][0]["card_id"] == "bright"
    lines = cards("recognise", "release", pictures["bright"], pictures["dark"]).out.splitlines()
    assert lines[0].split()[:2] == ["IMAGE", "CARD"]
    assert "bright" in lines[1]
    assert "none that is known" in lines[2]


def test_frames_of_one_card_get_one_answer(pictures: dict[str, str]) -> None:
    paths = [pictures["bright"], pictures["broken"], pictures["bright"]]
    done = cards("recognise", "release", *paths, "--one-card", "--json")
    assert done.code == 1 and pictures["broken"] in done.err
    (answer,) = done.json
    assert answer["card_id"] == "bright" and answer["images"] == [pictures["bright"]] * 2
    assert answer["frames"] == 2
    lines = cards("recognise", "release", *[pictures["bright"]] * 3, "--one-card").out.splitlines()
    assert lines[0].split()[0] == "FRAMES" and lines[1].split()[:2] == ["3", "bright"]


def test_level_of_an_answer_is_shown(
    pictures: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One picture, two printings of one artwork that cannot be told apart in it."""
    found = Recognition("a-1", 0.9, 0.5, (("a-1", 0.9),), level="artwork", printings=("a-1", "b-7"))
    monkeypatch.setattr(Oracle, "recognise", lambda self, image: found)
    (answer,) = cards("recognise", "release", pictures["bright"], "--json").json
    assert (answer["level"], answer["printings"]) == ("artwork", ["a-1", "b-7"])
    line = cards("recognise", "release", pictures["bright"]).out.splitlines()[1]
    assert "one of a-1, b-7" in line and "artwork" in line.split()


def test_broken_picture_is_named_and_the_others_are_recognised(
    pictures: dict[str, str],
) -> None:
    done = cards("recognise", "release", pictures["broken"], pictures["bright"], "--json")
    assert done.code == 1
    assert [answer["card_id"] for answer in done.json] == ["bright"]
    assert pictures["broken"] in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "form"),
    [("photo.jfif", "JPEG"), ("photo", "JPEG"), ("photo.gif", "GIF"), ("photo.heic", "AVIF")],
)
def test_picture_is_read_whatever_its_name(
    pictures: dict[str, str], tmp_path: Path, name: str, form: str
) -> None:
    Image.new("RGB", (48, 64), (250, 250, 250)).save(tmp_path / name, form)
    (answer,) = cards("recognise", "release", str(tmp_path / name), "--json").json
    assert answer["card_id"] == "bright"


def test_heic_is_named_with_its_remedy(pictures: dict[str, str], tmp_path: Path) -> None:
    photo = tmp_path / "IMG_1.jpg"
    photo.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(80))
    refused(cards("recognise", "release", str(photo)), "HEIC", "save it as PNG or JPEG")


def test_folder_that_is_no_release_is_refused(tmp_path: Path) -> None:
    refused(cards("recognise", str(tmp_path), str(tmp_path / "x.png")), str(tmp_path))
