"""Writes small HEF files: the container's four header versions around a real protobuf message."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass, field

import xxhash

HAILO8, HAILO8L = 1, 3


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def number(tag: int, value: int) -> bytes:
    return varint(tag << 3) + varint(value)


def blob(tag: int, value: bytes | str) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return varint(tag << 3 | 2) + varint(len(content)) + content


def real(tag: int, value: float) -> bytes:
    return varint(tag << 3 | 5) + struct.pack("<f", value)


def doubles(tag: int, values: tuple[float, ...]) -> bytes:
    return blob(tag, struct.pack(f"<{len(values)}d", *values)) if values else b""


@dataclass(frozen=True)
class Layer:
    """One boundary stream, or (``connection`` not 0) one between contexts."""

    name: str
    output: bool
    shape: tuple[int, int, int]
    zero_point: float = 0.0
    scale: float = 1.0
    item_bytes: int = 1
    connection: int = 0
    kind: int = 0
    feature_zero_points: tuple[float, ...] = ()
    feature_scales: tuple[float, ...] = ()

    def content(self) -> bytes:
        height, width, features = self.shape
        base = number(1, height) + number(3, width) + number(5, features)
        base += number(7, 1) + number(12, self.item_bytes)
        numeric = real(1, self.zero_point) + real(2, self.scale)
        numeric += doubles(5, self.feature_zero_points) + doubles(6, self.feature_scales)
        info = blob(1, self.name) + blob(2, base) + blob(3, numeric)
        switch = number(3, self.connection)
        return number(1, int(self.output)) + number(2, self.kind) + blob(3, info) + blob(5, switch)


def _context(layers: tuple[Layer, ...]) -> bytes:
    return blob(3, b"".join(blob(2, layer.content()) for layer in layers))


@dataclass(frozen=True)
class Description:
    """What a HEF says about itself; the default is a card model for a Hailo-8L."""

    architecture: int = HAILO8L
    layers: tuple[Layer, ...] = (
        Layer("net/input_layer1", False, (224, 224, 3)),
        Layer("net/fc1", True, (1, 1, 768), zero_point=131.0, scale=0.02),
    )
    second_layout: tuple[Layer, ...] | None = None
    groups: int = 1
    host_operations: int = 0
    host_kind: int = 5
    as_operation: bool = False
    sdk: str = "3.33.0"
    name: str = "card_embedder"
    extra: bytes = field(default=b"")

    def content(self) -> bytes:
        context = _context(self.layers)
        if self.architecture in (3, 4):  # contexts lie in a partial for each layout
            second = _context(self.second_layout or self.layers)
            core = b"".join(
                blob(7, blob(1, blob(3, layout)) + blob(2, number(1, bitmap)))
                for layout, bitmap in ((context, 1), (second, 3))
            )
        else:
            core = blob(3, context)
        if self.as_operation:  # newer compilers' way
            core = blob(8, blob(1, "core") + blob(4, core))
        kind = self.host_kind
        operations = b"".join(blob(8, blob(kind, b"")) for _ in range(self.host_operations))
        group = core + operations + blob(10, self.name)
        header = number(1, self.architecture) + number(2, 1_700_000_000) + blob(3, self.sdk)
        return blob(1, header) + b"".join(blob(2, group) for _ in range(self.groups)) + self.extra


def hef(version: int = 3, description: bytes | None = None, ccws: bytes = b"ccw" * 50) -> bytes:
    """A whole, sound HEF of a header version."""
    proto = Description().content() if description is None else description
    start = b"\x01HEF" + struct.pack(">II", version, len(proto))
    if version == 0:  # ccws lie inside the message
        return start + struct.pack(">I", 0) + hashlib.md5(proto).digest() + proto
    body = proto + ccws
    if version == 1:
        return start + struct.pack(">IQI", zlib.crc32(body), len(ccws), 0) + body
    if version == 2:
        sums = xxhash.xxh3_64_intdigest(body)
        return start + struct.pack(">QQQQ", sums, len(ccws), 0, 0) + body
    body += b"info"
    header = struct.pack(
        ">QQIQQQ",
        xxhash.xxh3_64_intdigest(body),
        len(ccws),
        0,
        len(b"info"),
        xxhash.xxh3_64_intdigest(proto),
        0,
    )
    return start + header + body


def resealed(content: bytes) -> bytes:
    """The same file with its checksums made right: what somebody with intent would send."""
    (version,) = struct.unpack_from(">I", content, 4)
    size = {0: 32, 1: 28, 2: 44, 3: 56}[version]
    head, body = bytearray(content[:size]), content[size:]
    if version == 0:
        head[16:32] = hashlib.md5(body).digest()
    elif version == 1:
        struct.pack_into(">I", head, 12, zlib.crc32(body))
    else:
        struct.pack_into(">Q", head, 12, xxhash.xxh3_64_intdigest(body))
        if version == 3:
            struct.pack_into(">Q", head, 40, 0)
    return bytes(head) + body
