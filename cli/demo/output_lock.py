"""One demo at a time writes into a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.errors import CliError


@contextmanager
def only_demo(out: Path) -> Iterator[None]:
    """Holds the folder's lock; a killed demo's is free at once.

    Raises:
        CliError: Another demo holds it.
    """
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CliError(
                f"--out {out}: another demo writes into it now; wait for its end, or name another "
                "folder, with a --state-dir and a --port of its own"
            ) from None
        yield
