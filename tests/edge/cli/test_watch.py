"""``cards-edge watch`` and ``recognise`` over rendered frames, and ``serve``'s refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge import guarded_recogniser
from edge.cli.main import main
from tests.edge.frames.scenes import PixelRecogniser, scene


class Guarded:
    """Recognises with a few drawn cards, instead of a release."""

    release = "student-v1.onnx-int8-01234567"

    def __init__(self, folder: object) -> None:
        self.recogniser, self.notes = PixelRecogniser(range(8)), ["went back to the release before"]

    def refresh(self) -> bool:
        return False

    def guarded(self, work: Callable[[Any], Any]) -> Any:
        return work(self.recogniser)


@pytest.fixture(autouse=True)
def recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_recogniser, "GuardedRecogniser", Guarded)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A card on a table, in four frames, then the empty table."""
    for number in range(4):
        frame = scene("plain", 50, (2,), (480, 360), number).frame
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    for number in range(4, 10):
        empty = scene("bare table", 50, (), (480, 360), number).frame
        Image.fromarray(empty).save(tmp_path / f"{number}.png")
    return tmp_path


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_watch_prints_one_line_a_card_and_one_for_the_empty_table(
    frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["watch", "--folder", str(frames), "--once", "--frames", "3", "--json"]
    assert main(given) == 0
    card, empty = lines(capsys)
    assert card["card_id"] == "card-2" and card["seen"] and len(card["corners"]) == 4
    assert card["release"] == Guarded.release
    assert empty == {"release": Guarded.release, "seen": False, "card_id": None}


def test_watch_tells_people_the_same_and_notes_once(
    frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (frames / "3a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["watch", "--folder", str(frames), "--once", "--frames", "3"]) == 0
    out, told = capsys.readouterr()
    assert out.splitlines()[0].startswith("card: card-2 (0.9") and out.splitlines()[1] == "no card"
    assert told.count("went back to the release before") == 1 and "3a.png" in told


@pytest.mark.parametrize(
    ("given", "text"),
    [(["--frames", "0"], "must be at least 1"), (["--size", "9x9"], "must be WIDTHxHEIGHT"),
     (["--camera", "97"], "/dev/video97: is not there"), (["--folder", "/none"], "no such folder")],
)  # fmt: skip
def test_watch_names_what_cannot_be_used(
    given: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", *given]) in (1, 2)
    assert text in capsys.readouterr().err


def test_recognise_says_where_each_card_lies_and_that_there_is_none(
    frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(scene("two cards", 51, (0, 1)).frame).save(frames / "two.png")
    images = [str(frames / name) for name in ("1.png", "5.png", "two.png")]
    assert main(["recognise", "--json", *images]) == 0
    one, none, *two = lines(capsys)
    assert one["card_id"] == "card-2" and np.array(one["corners"]).shape == (4, 2)
    assert none["seen"] is False and none["image"] == images[1]
    assert {"card-0", "card-1"} <= {each["card_id"] for each in two}
    assert main(["recognise", images[1]]) == 0
    assert capsys.readouterr().out == f"{images[1]}: no card\n"


@pytest.mark.parametrize(
    ("given", "text"),
    [(["--address", "shop"], "not a numeric address"), (["--key", "k.pem"], "needs --certificate"),
     (["--port", "99999"], "port"), (["--certificate", "/none"], "no certificate")],
)  # fmt: skip
def test_serve_names_what_cannot_be_used(
    given: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *given]) == 1
    assert text in capsys.readouterr().err


def test_serve_prints_an_address_with_a_token_beyond_this_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge.serve import server

    monkeypatch.setattr(server.PageServer, "serve_forever", lambda _: None)
    assert main(["serve", "--address", "0.0.0.0", "--port", "0", "--name", "shop-pi.local"]) == 0
    address = capsys.readouterr().out.strip()
    assert address.startswith("http://shop-pi.local:") and "/#token=" in address
    assert main(["serve", "--port", "0"]) == 0
    assert "token" not in capsys.readouterr().out
