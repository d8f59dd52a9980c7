"""Ctrl-C without a traceback: while modules are imported, and while a command runs.

An exception in the middle of an import is printed, swallowed or turned into another one by the
module that is being imported. So a process that only imports ends at once; one that works unwinds,
closes what it has open, and ends with 130.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Exit code after Ctrl-C, as shells have it: 128 and the signal's number.
INTERRUPTED = 130


class _EndOfProcess:
    """A signal handler that ends the process with one line."""

    def __init__(self, name: str) -> None:
        self._line = f"{name}: interrupted\n".encode()

    def __call__(self, *_: Any) -> None:
        os.write(2, self._line)
        os._exit(INTERRUPTED)


def exit_at_once(name: str) -> None:
    """Makes Ctrl-C end this process with one line from now on: nothing needs to be cleaned up.

    A process that was started with Ctrl-C ignored (``nohup``) or handled by others stays so.

    Args:
        name: What the command is called.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _EndOfProcess(name))


class Interrupts:
    """Whether Ctrl-C was pressed; a library may have swallowed the exception."""

    def __init__(self) -> None:
        self.seen = False

    def raise_interrupt(self, *_: Any) -> None:
        self.seen = True
        raise KeyboardInterrupt


@contextmanager
def raising() -> Iterator[Interrupts]:
    """Ctrl-C raises KeyboardInterrupt within the block, and the answer knows of it.

    After a block that was interrupted a second Ctrl-C ends the process without a word: threads
    that are still at work are waited for when it ends.
    """
    interrupts = Interrupts()
    before = signal.getsignal(signal.SIGINT)
    if not isinstance(before, _EndOfProcess) and before is not signal.default_int_handler:
        yield interrupts
        return
    signal.signal(signal.SIGINT, interrupts.raise_interrupt)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if interrupts.seen else before)


def main_name() -> str:
    """What this process was started as, for its messages."""
    return os.path.basename(sys.argv[0])
