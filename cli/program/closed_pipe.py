"""A reader of our output that has gone: ``cards registry list | head -1``.

Tools that write to a pipe are ended by SIGPIPE, which a shell shows as 141. Python ignores that
signal, because a network connection that its peer has closed would send it, too; so the end is
made where stdout and stderr are written.
"""

from __future__ import annotations

import os
from typing import Any, TextIO

#: Exit code when the reader has gone: 128 and the number of SIGPIPE.
CLOSED_PIPE = 141


class PipeWriter:
    """A text stream that ends the command, quietly, when its reader has gone.

    Args:
        stream: ``sys.stdout`` or ``sys.stderr``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes text.

        Raises:
            SystemExit: With 141: the reader has gone.
        """
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            raise self._end() from None

    def writelines(self, lines: Any) -> None:
        """Writes lines, as :meth:`write` does."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flushes what was written, as :meth:`write` does."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            raise self._end() from None

    def _end(self) -> SystemExit:
        # What is still buffered, and what cleaning up prints, goes nowhere from now on.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        return SystemExit(CLOSED_PIPE)
