"""Runs a command that ends with the process that holds its leash, however that process ends.

``python -I -S leash.py FD COMMAND …``: FD is the reading end of a pipe whose writing end only the
holder has. When the holder is gone, even killed, the pipe closes and the whole process group goes.
A signal to this process goes on to the command alone, as one to a container goes to its first
process alone.
Only the standard library, and run as a file: it starts in about 20 ms with any interpreter.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(arguments: list[str]) -> int:
    """Runs the command and returns its exit status, as a shell would (128 + signal)."""
    leash, *command = arguments
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    # Until there is somebody to pass them on to. The command itself starts with none blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        process = subprocess.Popen(
            command, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        )
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", flush=True)
        return 127
    threading.Thread(target=_end_with, args=(int(leash),), daemon=True).start()
    for which in signals:
        signal.signal(which, lambda number, frame: process.send_signal(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    status = process.wait()
    return status if status >= 0 else 128 - status


def _end_with(leash: int) -> None:
    while os.read(leash, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
