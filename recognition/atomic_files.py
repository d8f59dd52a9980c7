"""Files that are whole or absent: written under another name, then renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

#: Finds what an interrupted write has left in a folder.
LEFTOVERS = ".*.partial*"


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Gives a name to write to, in the same folder; where the block ends well it becomes ``path``.

    Args:
        path: The file, replaced as a whole; its folder is made where it is missing.

    Raises:
        OSError: The disk is full or refuses; what was at ``path`` is there still.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays, since some writers go by it; the process's number keeps two of them apart.
    partial = path.with_name(f".{path.name}-{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        with partial.open("rb+") as file:
            # The name must not reach the disk before what it promises.
            os.fsync(file.fileno())
        # Some writers make files for their owner alone; SageMaker's packer may be another user.
        partial.chmod(0o644)
        os.replace(partial, path)
    finally:
        # A full or failing disk is the error to report, not a failed clean-up after it.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes | str) -> Path:
    """Writes a file, whole or not at all (text as UTF-8)."""
    with atomic_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
