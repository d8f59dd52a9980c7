"""HEF files are read right, and nothing in them is believed."""

from __future__ import annotations

import dataclasses
import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recognition import hef as hef_module
from recognition.hef import HefError, parse_hef, read_hef, require_card_model
from registry.contract import Contract
from tests.export.hailo.hef_writer import HAILO8, Description, Layer, blob, hef, number, resealed
from tests.properties import examples

VERSIONS = [0, 1, 2, 3]
CARD = Contract()
#: Real files, kept outside of the repository: a folder, or the place beside it.
REAL = Path(os.environ.get("CARDS_HEF_FOLDER", Path(__file__).resolve().parents[3] / "shared/hef"))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_header_version_is_read(version: int) -> None:
    read = parse_hef(hef(version), "model.hef")
    assert (read.version, read.architecture, read.sdk_version) == (version, "hailo8l", "3.33.0")
    assert read.networks == ("card_embedder",) and read.host_operations == 0
    taken, given_ = read.streams
    assert (taken.name, taken.direction, taken.shape) == (
        "net/input_layer1",
        "input",
        (224, 224, 3),
    )
    assert (taken.item_bytes, taken.zero_point, taken.scale) == (1, 0.0, 1.0)
    assert (given_.direction, given_.shape, given_.zero_point) == ("output", (1, 1, 768), 131.0)
    assert given_.scale == pytest.approx(0.02)
    assert require_card_model(read, CARD) is read


def test_quantisation_by_feature_is_read() -> None:
    raw = Layer("in", False, (224, 224, 3), 0.0, 1.0, 1, 0, 0, (0.0, -0.0, 0.0), (1.0, 1.0, 1.0))
    scales = tuple(0.01 + index / 1e4 for index in range(768))
    out = Layer("out", True, (1, 1, 768), feature_zero_points=(3.0,) * 768, feature_scales=scales)
    read = parse_hef(hef(2, Description(layers=(raw, out)).content()), "model.hef")
    assert require_card_model(read, CARD).streams[1].feature_scales == scales
    assert read.streams[1].feature_zero_points == (3.0,) * 768


@pytest.mark.parametrize("scales", [(float("nan"),), (float("inf"),), (1.0,) * 65_537])
def test_quantisation_that_is_no_number_is_refused(scales: tuple[float, ...]) -> None:
    layer = Layer("in", False, (224, 224, 3), feature_scales=scales)
    with pytest.raises(HefError, match="its description is damaged"):
        parse_hef(hef(2, Description(layers=(layer,)).content()), "model.hef")


def test_streams_between_contexts_are_not_the_network_s() -> None:
    inner = Layer("inner", True, (7, 7, 320), connection=1)
    other = Layer("other", True, (7, 7, 320), kind=1)
    description = Description(layers=(*Description().layers, inner, other))
    read = parse_hef(hef(3, description.content()), "model.hef")
    assert [stream.name for stream in read.streams] == ["net/input_layer1", "net/fc1"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": HAILO8}, "made for hailo8, not for hailo8l"),
        ({"groups": 2}, "2 network groups instead of one"),
        ({"groups": 0}, "0 network groups instead of one"),
        ({"host_operations": 1}, "1 operations are left to the host"),
        ({"host_operations": 2, "host_kind": 6}, "2 operations are left to the host"),
        ({"host_operations": 1, "host_kind": 9}, "1 operations are left to the host"),
        ({"layers": Description().layers[:1]}, "output of shape [] instead of (1, 1, 768)"),
        (
            {"layers": (Layer("in", False, (112, 112, 3)), Description().layers[1])},
            "input of shape [(112, 112, 3)]",
        ),
        (
            {"layers": (*Description().layers, Layer("more", True, (1, 1, 10)))},
            "output of shape [(1, 1, 768), (1, 1, 10)]",
        ),
        (
            {"layers": (Layer("in", False, (224, 224, 3), scale=0.018), Description().layers[1])},
            "input is not the camera's bytes",
        ),
        (
            {
                "layers": (
                    Layer("in", False, (224, 224, 3), feature_scales=(1.0, 1.0, 0.018)),
                    Description().layers[1],
                )
            },
            "input is not the camera's bytes",
        ),
        (
            {"layers": (Layer("in", False, (224, 224, 3), item_bytes=2), Description().layers[1])},
            "input is not the camera's bytes",
        ),
    ],
)
def test_hef_of_another_model_is_refused_by_its_reason(
    change: dict[str, object], words: str
) -> None:
    description = dataclasses.replace(Description(), **change)
    read = parse_hef(hef(3, description.content()), "model.hef")
    with pytest.raises(HefError) as caught:
        require_card_model(read, CARD)
    assert words in str(caught.value)


@pytest.mark.parametrize("architecture", [HAILO8, 3])
def test_a_network_may_be_an_operation_of_the_chip_s(architecture: int) -> None:
    plain = parse_hef(hef(3, Description(architecture).content()), "model.hef")
    newer = parse_hef(hef(3, Description(architecture, as_operation=True).content()), "model.hef")
    assert newer == plain and len(plain.streams) == 2 and plain.host_operations == 0


@pytest.mark.parametrize(
    "other",
    [
        Layer("net/input_layer1", False, (112, 112, 3)),
        Layer("net/input_layer1", False, (224, 224, 3), scale=0.018),
        Layer("net/input_layer1", True, (224, 224, 3)),
    ],
)
def test_layouts_of_different_networks_are_refused(other: Layer) -> None:
    """Which of them runs is the device's choice."""
    second = (other, Description().layers[1])
    with pytest.raises(HefError, match="its layouts describe different networks"):
        parse_hef(hef(3, Description(second_layout=second).content()), "model.hef")


def test_layouts_may_name_and_quantise_the_same_network_differently() -> None:
    second = (Description().layers[0], Layer("net/fc1_b", True, (1, 1, 768), 130.0, 0.021))
    read = parse_hef(hef(3, Description(second_layout=second).content()), "model.hef")
    assert require_card_model(read, CARD) == parse_hef(hef(3), "model.hef")


def test_a_card_model_of_another_contract_is_refused() -> None:
    read = parse_hef(hef(), "model.hef")
    with pytest.raises(HefError, match=r"instead of \(96, 96, 3\)"):
        require_card_model(read, Contract(size=96))


def set_u32(at: int, value: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + struct.pack(">I", value) + content[at + 4 :]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: b"", "does not begin as a HEF does"),
        (lambda content: b"PK" + content[2:], "does not begin as a HEF does"),
        (lambda content: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (set_u32(4, 4), "header version 4 is unknown"),
        (set_u32(8, 2**32 - 1), "is cut short"),
        (lambda content: content[:40], "is cut short"),
        (lambda content: content[:-1], "cut short or has something appended"),
        (lambda content: content + b"\0", "cut short or has something appended"),
        (lambda content: content[:-9] + b"\x55" + content[-8:], "checksum is wrong"),
        (set_u32(20, 2**31), "are not the"),
    ],
)
def test_a_damaged_file_is_refused_by_its_reason(
    change: Callable[[bytes], bytes], words: str
) -> None:
    with pytest.raises(HefError) as caught:
        parse_hef(change(hef(3)), "model.hef")
    assert words in str(caught.value) and str(caught.value).startswith("model.hef: ")


def test_the_description_has_a_checksum_of_its_own_in_version_3() -> None:
    content = bytearray(hef(3))
    content[40] ^= 1
    with pytest.raises(HefError, match="checksum of its description"):
        parse_hef(bytes(content), "model.hef")


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(HefError, match="architecture 77 is unknown"):
        parse_hef(hef(3, Description(architecture=77).content()), "model.hef")


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (b"\x0a\xff\xff\xff\xff\x0f", "longer than its message"),
        (b"\x08" + b"\xff" * 11, "does not end"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x00", "field number 0"),
        (blob(1, blob(3, b"\xff\xfe")), "description is damaged"),
        (blob(1, blob(3, "3" * 5000)), "a name of 5000 bytes"),
    ],
)
def test_a_description_that_is_no_message(description: bytes, words: str) -> None:
    with pytest.raises(HefError, match=words):
        parse_hef(hef(3, description), "model.hef")


def test_names_cannot_move_the_terminal_s_cursor() -> None:
    description = Description(name="card\x1b[2J", sdk="3\n3").content()
    read = parse_hef(hef(3, description), "model.hef")
    assert read.networks == ("card?[2J",) and read.sdk_version == "3?3"


def test_fields_are_counted_over_the_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many messages of few fields are as bad as one of many."""
    monkeypatch.setattr(hef_module, "_FIELD_LIMIT", 500)
    parse_hef(hef(), "model.hef")
    for description in (number(4, 1) * 501, Description(groups=60).content()):
        with pytest.raises(HefError, match="too many fields"):
            parse_hef(hef(3, description), "model.hef")


def test_a_million_fields_take_neither_time_nor_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick run has a twentieth of the fields, and of the limit."""
    fields, limit = examples(1_000_000, quick=50_000), hef_module._FIELD_LIMIT
    monkeypatch.setattr(hef_module, "_FIELD_LIMIT", examples(limit, quick=limit // 20))
    content = hef(3, blob(2, blob(3, blob(3, blob(2, b"") * fields))))
    tracemalloc.start()
    begin = time.monotonic()
    try:
        with pytest.raises(HefError, match="too many fields"):
            parse_hef(content, "model.hef")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20
    assert time.monotonic() - begin < 60, "tracemalloc and a busy machine included"


def test_a_file_beyond_any_hef_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hef_module.LARGEST_FILE == 1024**3
    monkeypatch.setattr(hef_module, "LARGEST_FILE", 2**20)
    path = tmp_path / "huge.hef"
    with path.open("wb") as file:
        file.truncate(2**20 + 1)
    with pytest.raises(HefError, match="is more than any HEF"):
        read_hef(path)


def test_endless_file_is_not_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.hef"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(HefError, match="is no regular file"):
            read_hef(path)


MUTATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.integers(0, 2000), st.integers(0, 7)),
        st.tuples(st.just("cut"), st.integers(0, 2000), st.just(0)),
        st.tuples(st.just("huge"), st.integers(0, 2000), st.integers(0, 3)),
        st.tuples(st.just("double"), st.integers(0, 2000), st.integers(1, 64)),
    ),
    min_size=1,
    max_size=4,
)
_HUGE = [b"\xff" * 8, b"\xff\xff\xff\xff\x0f", b"\x7f\xff\xff\xff", b"\x80" * 12]


def mutated(content: bytes, mutations: list[tuple[str, int, int]]) -> bytes:
    out = bytearray(content)
    for kind, place, detail in mutations:
        at = place % max(1, len(out))
        if kind == "flip" and out:
            out[at] ^= 1 << detail
        elif kind == "cut":
            del out[at:]
        elif kind == "huge":
            out[at : at + len(_HUGE[detail])] = _HUGE[detail]
        elif kind == "double":
            out[at:at] = out[at : at + detail]
    return bytes(out)


@settings(max_examples=examples(500), deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(VERSIONS), MUTATIONS, st.booleans())
def test_mutations_are_read_or_refused(
    version: int, mutations: list[tuple[str, int, int]], reseal: bool
) -> None:
    """Also with right checksums: they keep out accidents, not people."""
    whole = hef(version)
    content = mutated(whole, mutations)
    intact = content == whole
    if reseal and len(content) >= 56 and content[:8] == whole[:8]:
        content = resealed(content)
    try:
        read = parse_hef(content, "model.hef")
    except HefError as error:
        assert "\n" not in str(error) and len(str(error)) < 500
        assert not intact
    else:
        assert read.version == version
        # No checksum covers the header's reserved fields, and nothing is read from them.
        assert reseal or read == parse_hef(whole, "model.hef"), "damage went unnoticed"


@settings(max_examples=examples(200), deadline=2000)
@given(st.binary(max_size=300))
def test_any_description_is_read_or_refused(description: bytes) -> None:
    try:
        read = parse_hef(hef(3, description), "model.hef")
    except HefError as error:
        assert str(error).startswith("model.hef")
    else:
        assert read.version == 3


@pytest.mark.parametrize(
    ("name", "version", "taken", "given_", "reasons"),
    [
        (
            "arcface_mobilefacenet.v1.hailo8.hef",
            1,
            (112, 112, 3),
            {(1, 1, 512)},
            ["made for hailo8", "input of shape", "output of shape"],
        ),
        (
            "hand_landmark_lite.v0.hailo8.hef",
            0,
            (224, 224, 3),
            {(1, 1, 1), (1, 1, 63)},
            ["made for hailo8", "output of shape"],
        ),
    ],
)
def test_real_files_are_read_and_are_no_card_models(
    name: str,
    version: int,
    taken: tuple[int, int, int],
    given_: set[tuple[int, int, int]],
    reasons: list[str],
) -> None:
    path = REAL / name
    if not path.is_file():
        pytest.skip(f"{name} is not at hand; CARDS_HEF_FOLDER names the folder that holds it")
    read = read_hef(path)
    assert (read.version, read.architecture, read.host_operations) == (version, "hailo8", 0)
    assert [s.shape for s in read.streams if s.direction == "input"] == [taken]
    assert {s.shape for s in read.streams if s.direction == "output"} == given_
    with pytest.raises(HefError) as caught:
        require_card_model(read, CARD)
    for reason in reasons:
        assert reason in str(caught.value)
    assert ("input of shape" in str(caught.value)) == ("input of shape" in reasons)
