"""Ten thousand damaged HEF files: each is read or refused in one line, soon, and in little memory.

A quick run damages 500 of them.
``CARDS_FUZZ_SEED`` and ``CARDS_FUZZ_FILES`` ask for other files, and for more of them.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from recognition.hef import HefError, parse_hef
from tests.export.hailo.hef_writer import Description, Layer, hef, resealed
from tests.properties import examples
from tests.recognition.test_hef import REAL

FILES = int(os.environ.get("CARDS_FUZZ_FILES", examples(10_000, quick=500)))
SEED = int(os.environ.get("CARDS_FUZZ_SEED", "20240601"))
#: Lengths and numbers of which a reader that believes them would die.
_HUGE = (
    b"\xff" * 8,
    b"\xff\xff\xff\xff\x0f",
    b"\x7f\xff\xff\xff",
    b"\x80" * 12,
    b"\xff" * 9 + b"\x01",
)
_SECONDS, _MEMORY = 1.0, 16 * 2**20

Mutation = Callable[[bytearray, np.random.Generator], None]


def flip(content: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 9))):
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))


def cut(content: bytearray, rng: np.random.Generator) -> None:
    del content[int(rng.integers(len(content))) :]


def huge(content: bytearray, rng: np.random.Generator) -> None:
    at, value = int(rng.integers(len(content))), _HUGE[int(rng.integers(len(_HUGE)))]
    content[at : at + len(value)] = value


def huge_header(content: bytearray, rng: np.random.Generator) -> None:
    at, value = int(rng.integers(8, 56)), _HUGE[int(rng.integers(3))]
    content[at : at + len(value)] = value


def repeat(content: bytearray, rng: np.random.Generator) -> None:
    at, length = int(rng.integers(len(content))), int(rng.integers(1, 200))
    content[at:at] = content[at : at + length] * int(rng.integers(1, 60))


def move(content: bytearray, rng: np.random.Generator) -> None:
    one, other, length = (int(value) for value in rng.integers(len(content), size=3))
    content[one : one + length % 64] = content[other : other + length % 64]


def noise(content: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(12, len(content)))
    content[at:] = rng.integers(0, 256, int(rng.integers(0, 2000)), dtype=np.uint8).tobytes()


MUTATIONS: tuple[Mutation, ...] = (flip, flip, cut, huge, huge_header, repeat, move, noise)


def originals() -> list[bytes]:
    inner = Layer("inner", True, (7, 7, 320), connection=1)
    large = Description(layers=(*Description().layers, *[inner] * 30), groups=3, host_operations=2)
    made = [hef(version) for version in range(4)]
    return made + [hef(version, large.content()) for version in range(4)]


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    content = bytearray(whole)
    for _ in range(int(rng.integers(1, 4))):
        if content and len(content) > 60:
            MUTATIONS[int(rng.integers(len(MUTATIONS)))](content, rng)
    # Right checksums, so that damage gets behind them: they keep out accidents, not people.
    if rng.random() < 0.6 and len(content) >= 56 and content[:8] == whole[:8]:
        return resealed(bytes(content))
    return bytes(content)


def test_none_of_many_damaged_files_does_any_harm() -> None:
    rng, wholes = np.random.default_rng(SEED), originals()
    outcomes = {"read": 0, "refused": 0}
    slowest = 0.0
    tracemalloc.start()
    try:
        for number in range(FILES):
            content = damaged(wholes[number % len(wholes)], rng)
            tracemalloc.reset_peak()
            before, begun = tracemalloc.get_traced_memory()[0], time.monotonic()
            try:
                parse_hef(content, "model.hef")
                outcomes["read"] += 1
            except HefError as error:
                outcomes["refused"] += 1
                assert "\n" not in str(error) and len(str(error)) < 500, number
            slowest = max(slowest, time.monotonic() - begun)
            peak = tracemalloc.get_traced_memory()[1] - before
            assert peak < _MEMORY, f"file {number} took {peak} bytes"
    finally:
        tracemalloc.stop()
    assert slowest < _SECONDS
    # Both are many, or the files were too broken, or not broken at all.
    assert min(outcomes.values()) > FILES / 50, outcomes


@pytest.mark.parametrize(
    "name", ["arcface_mobilefacenet.v1.hailo8.hef", "hand_landmark_lite.v0.hailo8.hef"]
)
def test_nor_do_real_files_that_were_damaged(name: str) -> None:
    path = REAL / name
    if not path.is_file():
        pytest.skip(f"{name} is not at hand; CARDS_HEF_FOLDER names the folder that holds it")
    whole, rng = path.read_bytes(), np.random.default_rng(SEED)
    for _ in range(60):
        content = bytearray(whole)
        # The description is at the beginning; what the network does, behind it, is not read.
        head = bytearray(content[:4000])
        for _ in range(2):
            MUTATIONS[int(rng.integers(len(MUTATIONS)))](head, rng)
            if len(head) <= 60:
                break
        mended = bytes(head) + bytes(content[4000:])
        if len(mended) >= 56 and mended[:8] == whole[:8]:
            mended = resealed(mended)
        begun = time.monotonic()
        try:
            parse_hef(mended, "model.hef")
        except HefError as error:
            assert "\n" not in str(error)
        assert time.monotonic() - begun < _SECONDS
