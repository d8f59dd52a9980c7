"""The lock of a state folder's server: it decides whether the server runs.

acquire(folder, port=4566)           # in the server; held until its process ends, however it ends
running_server(folder).pid           # in any other process
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOCK = "server.lock"
_FACTS = "server.json"
_FACTS_SECONDS = 2.0
_held: list[int] = []


class ServerUnknownError(OSError):
    """A process holds the lock and does not say which it is."""


@dataclass(frozen=True)
class RunningServer:
    """The process that holds the lock.

    Attributes:
        pid: Its process id.
        port: The port that it listens on.
        after_kill: Whether the one before it ended without saving its state.
    """

    pid: int
    port: int
    after_kill: bool = False


def acquire(state_dir: Path, port: int) -> bool:
    """Makes this process the folder's server until it ends.

    Returns:
        Whether it is; False where another process is the folder's server.
    """
    lock = os.open(state_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    # A process that only checks holds the lock for a moment.
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
    # An earlier version's file does not say whether the state was saved.
    after_kill = _facts(state_dir).get("saved") is False
    _write_facts(state_dir, port, saved=False, after_kill=after_kill)
    return True


def note_saved(state_dir: Path, port: int) -> None:
    """Notes that this server, the folder's, has saved its state and is about to end."""
    _write_facts(state_dir, port, saved=True, after_kill=False)


def _write_facts(state_dir: Path, port: int, *, saved: bool, after_kill: bool) -> None:
    facts = {"pid": os.getpid(), "port": port, "saved": saved, "after_kill": after_kill}
    aside = state_dir / (_FACTS + ".new")
    aside.write_text(json.dumps(facts))
    aside.replace(state_dir / _FACTS)


def _facts(state_dir: Path) -> dict[str, Any]:
    """What the last server wrote; nothing where it is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((state_dir / _FACTS).read_text())
        if isinstance(facts, dict):
            return facts
    return {}


def running_server(state_dir: Path) -> RunningServer | None:
    """The folder's running server; what a dead one wrote is ignored.

    Raises:
        ServerUnknownError: The lock is held, and no file names the living process that holds it.
    """
    end = time.monotonic() + _FACTS_SECONDS
    while _locked(state_dir):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            facts = _facts(state_dir)
            after_kill = facts.get("after_kill") is True
            found = RunningServer(int(facts["pid"]), int(facts["port"]), after_kill)
            os.kill(found.pid, 0)
            return found
        # A server that has just taken the lock writes its facts next.
        if time.monotonic() > end:
            raise ServerUnknownError(
                f"{state_dir}: a local cloud runs on it, but {_FACTS} does not name its process; "
                "find it with `ps` and end it"
            )
        time.sleep(0.05)
    return None


def _locked(state_dir: Path) -> bool:
    try:
        lock = os.open(state_dir / _LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
