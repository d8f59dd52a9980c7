"""Arrays in ``.npy`` files that another process, or an earlier run, has left.

NumPy makes room for what a file's header promises before it reads anything, unpickles objects where
it may, and opens archives by the same call. Here a file is one plain array, of a known type and
shape, and no longer than that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER_LIMIT = 4096


class ArrayFileError(ValueError):
    """A file that is not the array that was expected; names it."""


def read_array(path: Path, dtype: Any, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Reads an array of a known type and shape.

    Args:
        path: The file.
        dtype: Its type.
        shape: Its length along each axis; None where any is right, as far as the file goes.

    Raises:
        ArrayFileError: It is missing, damaged, longer than its array, or another array.
    """
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
        size = path.stat().st_size
    except (OSError, ValueError, EOFError, OverflowError, MemoryError) as error:
        raise ArrayFileError(f"{path.name}: is no array that can be read ({error})") from None
    wanted = len(mapped.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, mapped.shape, strict=True)
    )
    if mapped.dtype != np.dtype(dtype) or not wanted or size > mapped.nbytes + _HEADER_LIMIT:
        expected = ", ".join("any" if want is None else str(want) for want in shape)
        raise ArrayFileError(
            f"{path.name}: holds {mapped.dtype} {mapped.shape} in {size} bytes, "
            f"not {np.dtype(dtype)} ({expected})"
        )
    return np.array(mapped)
