"""One shard of a pack: a NumPy file of squares, read as untrusted input.

``numpy.load`` takes archives and pickles for arrays too, and fails in many ways at a header that
somebody wrote by hand. A shard is only ever one thing, so its header is read here and must say so.
"""

from __future__ import annotations

import ast
import os
import struct
from pathlib import Path

import numpy as np

from recognition.card_sets.scan import Scan

_MAGIC = b"\x93NUMPY\x01\x00"
_LARGEST_HEADER = 4096


def map_shard(path: Path, rows: int, side: int) -> Scan:
    """Maps a shard into memory, read-only.

    Args:
        path: The file.
        rows: How many squares it must hold.
        side: Their side in pixels.

    Returns:
        uint8 (rows, side, side, 3).

    Raises:
        ValueError: It is missing, or not exactly that.
    """
    shape = (rows, side, side, 3)
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC) + 2)
            (length,) = struct.unpack("<H", start[len(_MAGIC) :].ljust(2, b"\0")[:2])
            header = file.read(min(length, _LARGEST_HEADER))
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ValueError(f"shard {path.name} cannot be read: {error.strerror or error}") from None
    offset = len(_MAGIC) + 2 + length
    if not start.startswith(_MAGIC) or not _says(header, shape):
        raise ValueError(f"shard {path.name} is no NumPy file of uint8 {shape}")
    if size != offset + rows * side * side * 3:
        raise ValueError(f"shard {path.name} is cut short or too long: {size} bytes")
    return np.memmap(path, np.uint8, "r", offset, shape)


def is_whole(path: Path, rows: int, side: int) -> bool:
    """Whether a shard of that shape is there."""
    try:
        map_shard(path, rows, side)
    except ValueError:
        return False
    return True


def _says(header: bytes, shape: tuple[int, ...]) -> bool:
    try:
        said = ast.literal_eval(header.decode("latin-1"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return bool(said == {"descr": "|u1", "fortran_order": False, "shape": shape})
