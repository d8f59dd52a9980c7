"""Whether a state folder's server lives: it holds a lock, which ends with it however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

_LOCK = "server.lock"
_FACTS = "server.json"
_held: list[int] = []


@dataclass(frozen=True)
class Server:
    """A running server."""

    pid: int
    port: int


def claim(state_dir: Path, port: int) -> bool:
    """Makes this process the folder's server until it ends.

    Returns:
        Whether it is; False where another process is the folder's server.
    """
    lock = os.open(state_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    # Somebody who only looks holds the lock for a moment.
    for _ in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(0.05)
    else:
        os.close(lock)
        return False
    _held.append(lock)
    aside = state_dir / (_FACTS + ".new")
    aside.write_text(json.dumps({"pid": os.getpid(), "port": port}))
    aside.replace(state_dir / _FACTS)
    return True


def server(state_dir: Path) -> Server | None:
    """The folder's running server; what a dead one left behind is not believed."""
    try:
        lock = os.open(state_dir / _LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        return None
    finally:
        os.close(lock)
    try:
        facts = json.loads((state_dir / _FACTS).read_text())
        return Server(int(facts["pid"]), int(facts["port"]))
    except (OSError, ValueError, KeyError, TypeError):
        # It has the lock and is about to write.
        return None
