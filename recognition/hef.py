"""Reading HEF files: what is in them, without trusting a length field.

Container: hailo-ai/hailort (MIT), ``hailort/libhailort/src/hef``; all four header versions. Packed,
big-endian; the first 12 bytes are magic, version and the protobuf's size.
"""

from __future__ import annotations

import hashlib
import math
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

from registry.contract import Contract
from registry.untrusted.text import printable

MAGIC = b"\x01HEF"
LARGEST_FILE = 1024**3
ARCHITECTURES = {
    0: "hailo8", 1: "hailo8", 2: "hailo8r", 3: "hailo8l", 4: "hailo15m", 6: "hailo15l",
    103: "hailo15h",
}  # fmt: skip
_HEADER_SIZES = {0: 32, 1: 28, 2: 44, 3: 56}
_DEPTH_LIMIT = 16
#: Fields read of one file, all messages together. Two real files needed 87 and 177: what the
#: network does is skipped as a whole.
_FIELD_LIMIT = 200_000
_TEXT_LIMIT = 200
_FEATURE_LIMIT = 65_536
_INPUT, _OUTPUT = 0, 1


class HefError(ValueError):
    """A file that is no sound HEF, or not one for this product; says why."""


@dataclass(frozen=True)
class Stream:
    """One input or output at the network's boundary.

    Attributes:
        shape: (height, width, features).
        item_bytes: Bytes of one value.
        zero_point: Quantisation: ``real = (stored - zero_point) * scale``.
        feature_zero_points: The same of each feature, which the runtime prefers; empty in files
            that know one for all.
        feature_scales: As above.
    """

    name: str
    direction: str
    shape: tuple[int, int, int]
    item_bytes: int
    zero_point: float
    scale: float
    feature_zero_points: tuple[float, ...]
    feature_scales: tuple[float, ...]

    @property
    def is_raw(self) -> bool:
        """Whether the values are bytes as they are, for every feature."""
        zero_points = {self.zero_point, *self.feature_zero_points}
        scales = {self.scale, *self.feature_scales}
        return self.item_bytes == 1 and zero_points == {0.0} and scales == {1.0}


@dataclass(frozen=True)
class Hef:
    """What a HEF says about itself.

    Attributes:
        version: Of the header, 0 to 3.
        architecture: For example ``hailo8l``.
        sdk_version: Of the compiler that made it.
        networks: Names of its network groups.
        host_operations: Number of operations that the host would have to do.
    """

    version: int
    architecture: str
    sdk_version: str
    networks: tuple[str, ...]
    streams: tuple[Stream, ...]
    host_operations: int


def read_hef(path: Path) -> Hef:
    """Reads a HEF, its checksum verified.

    Raises:
        HefError: Not a HEF, damaged, or of an unknown form.
        OSError: The file cannot be read.
    """
    # A device or a pipe may give bytes for ever, and says of itself that it has none.
    if not stat.S_ISREG(path.stat().st_mode):
        raise HefError(f"{path.name}: is no regular file")
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise HefError(f"{path.name}: over {LARGEST_FILE} bytes is more than any HEF")
    return parse_hef(content, path.name)


def parse_hef(content: bytes, label: str) -> Hef:
    """Reads a HEF's bytes; see :func:`read_hef`."""
    if content.startswith(b"version https://git-lfs"):
        raise HefError(f"{label}: is a git-lfs pointer; fetch the file itself with git lfs pull")
    if len(content) < 12 or content[:4] != MAGIC:
        raise HefError(f"{label}: does not begin as a HEF does")
    version, proto_size = struct.unpack_from(">II", content, 4)
    header = _HEADER_SIZES.get(version)
    if header is None:
        raise HefError(f"{label}: header version {version} is unknown (0 to 3 are known)")
    if len(content) < header or proto_size > len(content) - header:
        raise HefError(f"{label}: is cut short ({len(content)} bytes)")
    body = memoryview(content)[header:]
    _check_sizes(content, version, proto_size, len(body), label)
    _check_sums(content, version, body, label)
    try:
        return _describe(version, body[:proto_size], label)
    except (_Wire, struct.error, UnicodeDecodeError, RecursionError) as error:
        raise HefError(f"{label}: its description is damaged ({error})") from None


def require_card_model(hef: Hef, contract: Contract) -> Hef:
    """Raises HefError unless the HEF is what a Hailo-8L of this product runs."""
    faults = []
    if hef.architecture != "hailo8l":
        faults.append(f"made for {hef.architecture}, not for hailo8l")
    if len(hef.networks) != 1:
        faults.append(f"{len(hef.networks)} network groups instead of one")
    if hef.host_operations:
        faults.append(f"{hef.host_operations} operations are left to the host")
    wanted = {
        "input": (contract.size, contract.size, 3),
        "output": (1, 1, contract.embedding_dim),
    }
    for direction, shape in wanted.items():
        shapes = [stream.shape for stream in hef.streams if stream.direction == direction]
        if shapes != [shape]:
            faults.append(f"{direction} of shape {shapes} instead of {shape}")
    for stream in hef.streams:
        if stream.direction == "input" and not stream.is_raw:
            faults.append("input is not the camera's bytes (normalisation belongs on the chip)")
    if faults:
        raise HefError(f"not a card model for this device: {'; '.join(faults)}")
    return hef


def _check_sizes(content: bytes, version: int, proto: int, rest: int, label: str) -> None:
    extra = 0
    if version == 1:
        extra = struct.unpack_from(">Q", content, 16)[0]
    elif version == 2:
        extra = struct.unpack_from(">Q", content, 20)[0]
    elif version == 3:
        ccws, _, info = struct.unpack_from(">QIQ", content, 20)
        extra = ccws + info
    if proto + extra != rest:
        raise HefError(
            f"{label}: its parts ({proto} + {extra} bytes) are not the {rest} bytes that follow "
            "the header; it is cut short or has something appended"
        )


def _check_sums(content: bytes, version: int, body: memoryview, label: str) -> None:
    if version == 0:
        good = hashlib.md5(body, usedforsecurity=False).digest() == content[16:32]
    elif version == 1:
        good = zlib.crc32(body) == struct.unpack_from(">I", content, 12)[0]
    else:
        good = xxhash.xxh3_64_intdigest(body) == struct.unpack_from(">Q", content, 12)[0]
    if not good:
        raise HefError(f"{label}: its checksum is wrong; the file is damaged")
    if version == 3:
        own = struct.unpack_from(">Q", content, 40)[0]
        proto = struct.unpack_from(">I", content, 8)[0]
        if own and xxhash.xxh3_64_intdigest(body[:proto]) != own:
            raise HefError(f"{label}: the checksum of its description is wrong")


# --- protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), bounded


class _Wire(ValueError):
    """Bytes that are no protobuf message."""


_Value = int | memoryview


class _Budget:
    """How many fields of one file may still be read."""

    def __init__(self) -> None:
        self._left = _FIELD_LIMIT

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _Wire("too many fields")


class _Message:
    """The fields of one message; submessages are parsed when they are asked for."""

    def __init__(self, content: memoryview, budget: _Budget, depth: int = 0) -> None:
        if depth > _DEPTH_LIMIT:
            raise _Wire("nested too deep")
        self._depth = depth
        self._budget = budget
        self._fields: dict[int, list[_Value]] = {}
        for number, value in _fields(content):
            budget.spend()
            self._fields.setdefault(number, []).append(value)

    def messages(self, number: int) -> list[_Message]:
        """Submessages of a field."""
        return [
            _Message(value, self._budget, self._depth + 1)
            for value in self._fields.get(number, [])
            if isinstance(value, memoryview)
        ]

    def message(self, number: int) -> _Message:
        """The last submessage of a field, or an empty one."""
        found = [v for v in self._fields.get(number, []) if isinstance(v, memoryview)]
        return _Message(found[-1] if found else memoryview(b""), self._budget, self._depth + 1)

    def integer(self, number: int, default: int = 0) -> int:
        """The last integer of a field."""
        found = [v for v in self._fields.get(number, []) if isinstance(v, int)]
        return found[-1] if found else default

    def text(self, number: int) -> str:
        """The last text of a field, fit to be printed."""
        found = [v for v in self._fields.get(number, []) if isinstance(v, memoryview)]
        if not found:
            return ""
        if len(found[-1]) > _TEXT_LIMIT:
            raise _Wire(f"a name of {len(found[-1])} bytes")
        return printable(bytes(found[-1]).decode())

    def real(self, number: int) -> float:
        """The last 32-bit float of a field."""
        values = self._fields.get(number, [])
        found = [v for v in values if isinstance(v, memoryview) and len(v) == 4]
        return _finite(struct.unpack("<f", found[-1]))[0] if found else 0.0

    def doubles(self, number: int) -> tuple[float, ...]:
        """All 64-bit floats of a repeated field, packed or one by one."""
        packed = b"".join(v for v in self._fields.get(number, []) if isinstance(v, memoryview))
        if len(packed) > 8 * _FEATURE_LIMIT:
            raise _Wire(f"{len(packed)} bytes of numbers for features")
        return _finite(struct.unpack(f"<{len(packed) // 8}d", packed))

    def has(self, number: int) -> bool:
        """Whether a field is there."""
        return number in self._fields


def _finite(values: tuple[float, ...]) -> tuple[float, ...]:
    if not all(map(math.isfinite, values)):
        raise _Wire("a quantisation that is no number")
    return values


def _fields(content: memoryview) -> Iterator[tuple[int, _Value]]:
    offset = 0
    while offset < len(content):
        key, offset = _varint(content, offset)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise _Wire("field number 0")
        if kind == 0:
            value, offset = _varint(content, offset)
            yield number, value
            continue
        if kind == 2:
            length, offset = _varint(content, offset)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise _Wire(f"wire type {kind}")
        if length > len(content) - offset:
            raise _Wire("a field is longer than its message")
        yield number, content[offset : offset + length]
        offset += length


def _varint(content: memoryview, offset: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if offset >= len(content):
            raise _Wire("cut short")
        byte = content[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
    raise _Wire("a number that does not end")


# --- the description


def _describe(version: int, proto: memoryview, label: str) -> Hef:
    hef = _Message(proto, _Budget())
    header = hef.message(1)
    code = header.integer(1)
    if code not in ARCHITECTURES:
        raise HefError(f"{label}: architecture {code} is unknown")
    groups = hef.messages(2)
    streams: list[Stream] = []
    host = 0
    names = []
    for group in groups:
        names.append(group.text(10) or group.message(1).text(1))
        operations = group.messages(8)
        # What is none of the chip's is the host's, of a kind that is known here or not.
        host += sum(each.has(5) or each.has(6) or not each.has(4) for each in operations)
        for core in [group, *(operation.message(4) for operation in operations)]:
            streams += _streams(core)
            # hailo8l keeps its contexts in one partial a layout; which one runs is the device's
            # choice, so that all must be the same network.
            layouts = [tuple(_streams(partial.message(1))) for partial in core.messages(7)]
            if len(set(map(_boundary, layouts))) > 1:
                raise HefError(f"{label}: its layouts describe different networks")
            streams += layouts[0] if layouts else ()
    return Hef(
        version=version,
        architecture=ARCHITECTURES[code],
        sdk_version=header.text(3),
        networks=tuple(names),
        streams=tuple(dict.fromkeys(streams)),
        host_operations=host,
    )


def _boundary(streams: tuple[Stream, ...]) -> frozenset[tuple[object, ...]]:
    """What a program must know of a network; compilations may name and quantise it differently."""
    return frozenset(
        (each.direction, each.shape, each.item_bytes, each.direction == "input" and each.is_raw)
        for each in streams
    )


def _streams(core: _Message) -> Iterator[Stream]:
    for context in core.messages(3):
        for edge in context.message(3).messages(2):
            is_info = edge.integer(2) == 0
            is_boundary = edge.message(5).integer(3) == 0
            if not (is_info and is_boundary):
                continue
            layer = edge.message(3)
            base, numeric = layer.message(2), layer.message(3)
            yield Stream(
                name=layer.text(1),
                direction="output" if edge.integer(1) == _OUTPUT else "input",
                shape=(base.integer(1), base.integer(3), base.integer(5)),
                item_bytes=base.integer(12),
                zero_point=numeric.real(1),
                scale=numeric.real(2),
                feature_zero_points=numeric.doubles(5),
                feature_scales=numeric.doubles(6),
            )
