"""Runs a command that ends when its parent process ends, however the parent ends.

``python -I -S end_with_parent.py FD COMMAND …``: FD is the reading end of a pipe. Only the parent
has the writing end; when the parent ends, even by SIGKILL, the pipe closes and the whole process
group is killed. A signal to this process is passed on to the command alone, as a container's
runtime signals its first process alone.

It uses only the standard library and is run as a file, so it starts in about 20 ms with any
interpreter.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(arguments: list[str]) -> int:
    """Runs the command and returns its exit status, as a shell would (128 + signal)."""
    pipe, *command = arguments
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    # Blocked until the command exists to receive them; the command starts with none blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        process = subprocess.Popen(
            command, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        )
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", flush=True)
        return 127
    threading.Thread(target=_kill_group_at_end_of, args=(int(pipe),), daemon=True).start()
    for which in signals:
        signal.signal(which, lambda number, frame: process.send_signal(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    status = process.wait()
    return status if status >= 0 else 128 - status


def _kill_group_at_end_of(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
