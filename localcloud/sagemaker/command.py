"""A job's command: its output as it comes, its time limit, its stop."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud.child_process import ChildProcess

#: Set when the server stops: every command is ended at once; the next start fails its job.
server_stopping = threading.Event()

_POLL_SECONDS = 0.1
#: CloudWatch Logs takes 256 KB an event; a progress bar never ends its line.
_LINE_LIMIT = 64 * 1024


class ServerStopping(Exception):
    """The server stops, so the command was ended; it has neither finished nor failed."""


@dataclass(frozen=True)
class CommandResult:
    """How a command ended.

    Attributes:
        status: Its exit status; 128 and the signal's number where a signal ended it.
        timed_out: Whether it ran into its limit.
    """

    status: int
    timed_out: bool


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stop: threading.Event,
    on_line: Callable[[str], None],
    on_poll: Callable[[], None] = lambda: None,
    limit: float = float("inf"),
    grace: float = 120.0,
) -> CommandResult:
    """Runs a command until it ends, is stopped or runs out of time.

    A stop and the limit send SIGTERM to the command itself, as to a container's first process, and
    SIGKILL to all that it started after the grace.

    Args:
        command: The command's words.
        cwd: Where it starts.
        env: All of its environment.
        stop: Set to stop the command.
        on_line: Called with each line of output, without the line's end.
        on_poll: Called several times a second.
        limit: Seconds that it may run.
        grace: Seconds between SIGTERM and SIGKILL.

    Raises:
        ServerStopping: The server ends, and so did the command.
    """
    process = ChildProcess(command, cwd=cwd, env=env, stdout=subprocess.PIPE)
    lines = _Lines(process.output.fileno())
    end = time.monotonic() + limit
    kill = float("inf")
    timed_out = False
    try:
        while lines.open or process.running():
            for line in lines.read(_POLL_SECONDS):
                on_line(line)
            on_poll()
            now = time.monotonic()
            if server_stopping.is_set():
                raise ServerStopping
            if kill == float("inf") and (stop.is_set() or now >= end):
                timed_out = not stop.is_set()
                process.signal(signal.SIGTERM)
                kill = now + grace
            elif now >= kill:
                process.signal(signal.SIGKILL)
            if not process.running():
                # A child in a session of its own may hold the pipe open for ever.
                process.wait()
                for line in lines.rest():
                    on_line(line)
                break
    finally:
        process.signal(signal.SIGKILL)
        status = process.wait()
        process.output.close()
    return CommandResult(status, timed_out)


class _Lines:
    """The lines that come out of a pipe, without ever waiting long for them."""

    def __init__(self, pipe: int) -> None:
        self.open = True
        self._pipe = pipe
        self._begun = b""
        os.set_blocking(pipe, False)

    def read(self, seconds: float) -> list[str]:
        """Waits at most so long; returns the lines that came to their end."""
        if not self.open:
            time.sleep(seconds)
            return []
        with selectors.DefaultSelector() as ready:
            ready.register(self._pipe, selectors.EVENT_READ)
            if not ready.select(seconds):
                return []
        chunk = os.read(self._pipe, _LINE_LIMIT)
        self.open = bool(chunk)
        *whole, self._begun = (self._begun + chunk).split(b"\n")
        if self._begun and (not chunk or len(self._begun) > _LINE_LIMIT):
            whole.append(self._begun)
            self._begun = b""
        return [line.decode(errors="replace").rstrip("\r") for line in whole]

    def rest(self) -> list[str]:
        """What is in the pipe now, the last line whole or not."""
        lines = []
        while self.open:
            before = self._begun
            lines += self.read(0)
            if self._begun == before:
                break
        if self._begun:
            lines.append(self._begun.decode(errors="replace"))
            self._begun = b""
        return lines
