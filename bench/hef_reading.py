"""Reading a HEF of 15 MB, apart from hashing it, against hashing alone.

    python -m bench.hef_reading
    make bench-hef

A file of each header version is made of a short description and of random bytes where a real file
has the network's instructions (in version 0 inside of the description); --file takes a real one.
Reading and hashing alternate; the difference is what the reader itself takes. Median and interval
of the rounds.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import xxhash

from bench.order_statistics import median_interval
from recognition.hef import parse_hef

SIZE = 15 * 2**20
HASHES: dict[int, tuple[str, Callable[[bytes], object]]] = {
    0: ("MD5", lambda body: hashlib.md5(body, usedforsecurity=False).digest()),
    1: ("CRC-32", zlib.crc32),
    2: ("XXH3", xxhash.xxh3_64_intdigest),
    3: ("XXH3", xxhash.xxh3_64_intdigest),
}


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def large(version: int) -> bytes:
    """A whole HEF of about 15 MB, made for hailo8l."""
    description, instructions = b"\x0a\x02\x08\x03", os.urandom(SIZE)
    if version == 0:
        # An unknown field of the description, longer than 2**21 bytes: a reader steps over it.
        length = bytes([SIZE & 0x7F | 0x80, SIZE >> 7 & 0x7F | 0x80, SIZE >> 14 & 0x7F | 0x80,
                        SIZE >> 21])  # fmt: skip
        description += b"\xfa\x01" + length + instructions
        body = description
    else:
        body = description + instructions
    start = b"\x01HEF" + struct.pack(">II", version, len(description))
    if version == 0:
        rest = struct.pack(">I", 0) + hashlib.md5(body, usedforsecurity=False).digest()
    elif version == 1:
        rest = struct.pack(">IQI", zlib.crc32(body), SIZE, 0)
    elif version == 2:
        rest = struct.pack(">QQQQ", xxhash.xxh3_64_intdigest(body), SIZE, 0, 0)
    else:
        rest = struct.pack(">QQIQQQ", xxhash.xxh3_64_intdigest(body), SIZE, 0, 0, 0, 0)
    return start + rest + body


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures each header version and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.hef_reading", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--file", type=Path, help="a real HEF instead")
    options = parser.parse_args(arguments)
    rounds = options.rounds
    contents = {version: large(version) for version in HASHES}
    if options.file is not None:
        real = options.file.read_bytes()
        contents = {parse_hef(real, options.file.name).version: real}
    print("version  checksum  reading            hashing            reading apart from hashing")
    for version, content in contents.items():
        name, digest = HASHES[version]
        whole, hashed = [], []
        for _ in range(rounds):
            whole.append(timed(partial(parse_hef, content, "bench.hef")))
            hashed.append(timed(partial(digest, content)))
        apart = [max(0.0, one - other) for one, other in zip(whole, hashed, strict=True)]
        cells = []
        for values in (whole, hashed, apart):
            middle, low, high = median_interval(values)
            cells.append(f"{middle:5.1f} [{low:.1f}, {high:.1f}] ms".ljust(19))
        print(f"{version:<8} {name:<9} {''.join(cells)}".rstrip())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
