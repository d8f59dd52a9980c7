"""The rows of a reference index, and the cosines of a query with all of them.

Rows are 8-bit integers, each scaled so that its largest value is 127: only a row's direction
counts, and a cosine changes by some 1e-4. Earlier releases have float32 rows of length 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

import numkong
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Int8 = NDArray[np.int8]
Numbers = NDArray[np.int64]
Value = TypeVar("Value", bound=np.generic)

#: The largest value of a row.
PEAK = 127
UNIT_TOLERANCE = 1e-3
#: Numbers of a block of rows: 1 MiB of float32.
BLOCK = 2**18


class RowsError(ValueError):
    """Rows that no index has; names the first."""


class Rows(Protocol):
    """What an index asks of its rows."""

    shape: tuple[int, int]

    def scan(self, vector: Floats) -> tuple[Floats, float]:
        """Cosines (N,) of a vector of length 1 with every row, and the most that one is wrong."""
        ...

    def cosines(self, numbers: Numbers, vector: Floats) -> Floats:
        """Exact cosines of a vector of length 1 with some rows, by their numbers."""
        ...

    def unit(self) -> Floats:
        """All rows, float32 (N, D), of length 1."""
        ...


class Int8Rows:
    """Rows of 8-bit integers.

    Args:
        values: int8 (N, D), possibly mapped from a file.

    Raises:
        RowsError: A row's largest value is not 127.
    """

    def __init__(self, values: Int8) -> None:
        self.shape: tuple[int, int] = (values.shape[0], values.shape[1])
        self._values = values
        self._lengths = np.empty(len(values), np.float32)
        for start, block in blocks(values):
            lowest = block.min(axis=1)
            wrong = np.flatnonzero(np.maximum(block.max(axis=1), -lowest.astype(int)) != PEAK)
            if wrong.size:
                row = int(wrong[0])
                raise RowsError(
                    f"row {start + row} has a largest value of "
                    f"{np.abs(block[row].astype(int)).max()}, not {PEAK}"
                )
            wide = block.astype(np.float32)
            # Sums of squares of integers below 2**24 are exact in float32 up to 1040 dimensions.
            self._lengths[start : start + len(wide)] = np.sqrt(
                np.einsum("ij,ij->i", wide, wide, dtype=np.float64)
            )

    def scan(self, vector: Floats) -> tuple[Floats, float]:
        """Cosines by integer products; the error is how far the vector lies from its integers."""
        scale = PEAK / float(np.abs(vector).max())
        asked = np.rint(vector * scale).astype(np.int8)
        error = float(np.linalg.norm(vector - asked / scale))
        products = np.asarray(numkong.cdist(asked[None], self._values, "dot"))[0]
        return np.asarray(products / (self._lengths * scale), dtype=np.float32), error

    def cosines(self, numbers: Numbers, vector: Floats) -> Floats:
        """Exact cosines with some rows."""
        found = np.empty(len(numbers), np.float32)
        for start, some in blocks(numbers, self.shape[1]):
            found[start : start + len(some)] = self._values[some].astype(np.float32) @ vector
        return np.asarray(found / self._lengths[numbers])

    def unit(self) -> Floats:
        """All rows, float32, of length 1."""
        return np.asarray(self._values / self._lengths[:, None], dtype=np.float32)


class FloatRows:
    """Rows of an earlier release: float32, of length 1.

    Args:
        values: float32 (N, D), possibly mapped from a file.

    Raises:
        RowsError: A value is not finite, or a row has another length than 1.
    """

    def __init__(self, values: Floats) -> None:
        self.shape: tuple[int, int] = (values.shape[0], values.shape[1])
        self._values = values
        for start, block in blocks(values):
            if not np.isfinite(block).all():
                raise RowsError("a value is not finite")
            lengths = np.linalg.norm(block, axis=1)
            worst = int(np.abs(lengths - 1).argmax())
            if abs(lengths[worst] - 1) > UNIT_TOLERANCE:
                raise RowsError(f"row {start + worst} has length {lengths[worst]:.4g}, not 1")

    def scan(self, vector: Floats) -> tuple[Floats, float]:
        """Cosines by one matrix product."""
        return self._values @ vector, 0.0

    def cosines(self, numbers: Numbers, vector: Floats) -> Floats:
        """Exact cosines with some rows."""
        return np.asarray(self._values[numbers] @ vector)

    def unit(self) -> Floats:
        """All rows, float32, of length 1; read-only."""
        return self._values


def to_int8(rows: Floats) -> Int8:
    """Rows (N, D) without a row of zeros as 8-bit integers, the largest of each row 127."""
    peaks = np.abs(rows).max(axis=1, keepdims=True)
    rounded: Int8 = np.rint(rows * (PEAK / peaks)).astype(np.int8)
    return rounded


def blocks(rows: NDArray[Value], width: int | None = None) -> Iterator[tuple[int, NDArray[Value]]]:
    """Some rows at a time, with the number of the first.

    Args:
        rows: The rows (N, D), or their numbers (N,).
        width: D, where ``rows`` are numbers.
    """
    step = max(1, BLOCK // (width or rows.shape[1]))
    for start in range(0, len(rows), step):
        yield start, rows[start : start + step]
