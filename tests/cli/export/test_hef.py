"""``cards hef``: what a person learns of a HEF file, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.contract import Contract
from tests.cli.command import cards, refused
from tests.export.hailo.hef_writer import HAILO8, Description, Layer, hef


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.hef"
    path.write_bytes(hef(3))
    return path


def test_hef_content_is_shown(file: Path) -> None:
    done = cards("hef", "inspect", str(file))
    assert done.code == 0
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert "version 3, XXH3 of its contents is right" in lines["header"]
    assert lines["architecture"].endswith("hailo8l")
    assert "224x224x3, 1 byte a value, zero point 0, scale 1: 0 to 255" in lines["input"]
    assert "1x1x768" in lines["output"] and "zero point 131" in lines["output"]
    assert lines["host"].endswith("0 operations are left to it")


def test_json_output_has_the_same_values(file: Path) -> None:
    document = cards("hef", "inspect", str(file), "--json").json
    assert (document["version"], document["architecture"]) == (3, "hailo8l")
    assert document["streams"][1]["shape"] == [1, 1, 768]
    assert len(document["sha256"]) == 64 and document["bytes"] == file.stat().st_size


def test_hef_for_the_device_is_accepted(file: Path, tmp_path: Path) -> None:
    assert cards("hef", "verify", str(file), "--arch", "hailo8l").out.endswith(
        "intact, for hailo8l\n"
    )
    contract = tmp_path / "contract.json"
    contract.write_text(json.dumps(Contract().to_dict()))
    done = cards("hef", "verify", str(file), "--contract", str(contract))
    assert (done.code, done.out) == (0, f"{file}: intact, a card model, for hailo8l\n")
    contract.write_text(json.dumps(Contract(size=64).to_dict()))
    refused(
        cards("hef", "verify", str(file), "--contract", str(contract)),
        "not a card model for this device: input of shape",
    )
    contract.write_text("{}")
    refused(cards("hef", "verify", str(file), "--contract", str(contract)), "is no contract")


def test_hef_for_another_chip_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "eight.hef"
    path.write_bytes(hef(1, Description(architecture=HAILO8).content()))
    refused(cards("hef", "verify", str(path)), "made for hailo8, not for hailo8l; compile it")
    assert cards("hef", "verify", str(path), "--arch", "hailo8").code == 0
    refused(cards("hef", "verify", str(path), "--arch", "hailo9"), "is none of hailo8, hailo8r")


def test_damaged_hef_is_refused(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    for word in ("inspect", "verify"):
        refused(cards("hef", word, str(file)), "model.hef: its checksum is wrong")
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    refused(cards("hef", "inspect", str(file)), "is a git-lfs pointer")
    refused(cards("hef", "inspect", str(file.parent / "none.hef")), "cannot be read (No such file")


def test_extreme_numbers_are_shown(tmp_path: Path) -> None:
    """Two to the power of a stranger's number would fill the memory."""
    layers = (Layer("a\x1b[31m", False, (2**40, 3, 3), item_bytes=2**60),)
    path = tmp_path / "odd.hef"
    path.write_bytes(hef(3, Description(layers=layers).content()))
    done = cards("hef", "inspect", str(path))
    assert done.code == 0 and "1099511627776x3x3" in done.out and "\x1b" not in done.out
