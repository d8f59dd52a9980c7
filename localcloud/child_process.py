"""Child processes that cannot outlive this process.

    server = ChildProcess(["mlflow", "server"], cwd=folder, env=variables, stdout=log)
    server.end(grace=5.0)

See :mod:`localcloud.end_with_parent` for how the end of this process is noticed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_LAUNCHER = Path(__file__).with_name("end_with_parent.py")


class ChildProcess:
    """A command in a process group of its own, which ends at the latest when this process does."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: int | IO[bytes],
    ) -> None:
        """Starts the command; its standard error is written to its output.

        Args:
            command: Program and arguments.
            cwd: Where it starts.
            env: All of its environment.
            stdout: ``subprocess.PIPE``, or a file.
        """
        self._ended = False
        reading_end, self._parent_pipe = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER), str(reading_end), *command],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                pass_fds=(reading_end,),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._parent_pipe)
            raise
        finally:
            os.close(reading_end)

    @property
    def output(self) -> IO[bytes]:
        """What it writes, where ``stdout`` was ``subprocess.PIPE``."""
        assert self._process.stdout is not None
        return self._process.stdout

    def running(self) -> bool:
        """Whether the command itself has not ended."""
        return self._process.poll() is None

    def signal(self, which: signal.Signals) -> None:
        """Sends a signal to the command, SIGKILL to all that it started too; none after its end."""
        if self._ended:
            return
        send = os.killpg if which == signal.SIGKILL else os.kill
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(self._process.pid, which)

    def wait(self, seconds: float | None = None) -> int:
        """Waits for the command's end, then ends what it left behind, as a container would.

        Returns:
            Its exit status; 128 and the signal's number where a signal ended it.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        status = self._process.wait(seconds)
        if not self._ended:
            self.signal(signal.SIGKILL)
            self._ended = True
            os.close(self._parent_pipe)
        return status if status >= 0 else 128 - status

    def end(self, grace: float) -> None:
        """Asks the command to end, and ends it and its group after the grace, in seconds."""
        self.signal(signal.SIGTERM)
        try:
            self.wait(grace)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.wait()
