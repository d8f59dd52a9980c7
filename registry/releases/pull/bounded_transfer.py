"""Reading from a network that may stall: a total deadline and a minimum rate.

A read that waits for a socket cannot be interrupted, so a second thread reads and this one waits
with a limit. A thread that still waits when the limit is over ends with the process.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

#: Bytes that are asked for at once: few, so that a slow connection is seen to move.
CHUNK = 16 * 1024
_QUEUED_CHUNKS = 64


class TransferError(RuntimeError):
    """A transfer that took too long; names it and the limit."""


@dataclass(frozen=True)
class TransferLimits:
    """How long a pull may take.

    Attributes:
        total_seconds: For everything together.
        bytes_per_second: The rate below which a transfer is given up.
        window_seconds: The time over which the rate is measured.
    """

    total_seconds: float = 3600.0
    bytes_per_second: float = 1024.0
    window_seconds: float = 60.0


@dataclass
class Transfers:
    """The transfers of one pull; the deadline counts from its making.

    Attributes:
        limits: How long they may take.
        clock: Monotonic seconds.
    """

    limits: TransferLimits = TransferLimits()
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def chunks(self, read: Callable[[], Iterable[bytes]], label: str) -> Iterator[bytes]:
        """The chunks of one transfer.

        Args:
            read: Opens it and gives its chunks; called in a thread of its own. What it raises is
                raised here.
            label: Names it in errors.

        Raises:
            TransferError: The deadline is over, or the rate is too low.
        """
        arrived: queue.Queue[bytes | BaseException | None] = queue.Queue(_QUEUED_CHUNKS)
        stopped = threading.Event()
        threading.Thread(target=_read, args=(read, arrived, stopped), daemon=True).start()
        try:
            yield from self._arriving(arrived, label)
        finally:
            stopped.set()

    def _arriving(
        self, arrived: queue.Queue[bytes | BaseException | None], label: str
    ) -> Iterator[bytes]:
        deadline = self._began + self.limits.total_seconds
        window_end, window_bytes = self.clock() + self.limits.window_seconds, 0
        while True:
            now = self.clock()
            if now >= deadline:
                raise TransferError(
                    f"{label}: not fetched within {self.limits.total_seconds:.0f} s; try again on "
                    "a faster connection, or with a longer --timeout"
                )
            if now >= window_end:
                rate = window_bytes / self.limits.window_seconds
                if rate < self.limits.bytes_per_second:
                    raise TransferError(
                        f"{label}: {rate:.0f} bytes/s arrive, less than "
                        f"{self.limits.bytes_per_second:.0f}; the connection stalls, try again"
                    )
                window_end, window_bytes = now + self.limits.window_seconds, 0
            try:
                item = arrived.get(timeout=max(0.0, min(deadline, window_end) - now))
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            window_bytes += len(item)
            yield item


def _read(
    read: Callable[[], Iterable[bytes]],
    arrived: queue.Queue[bytes | BaseException | None],
    stopped: threading.Event,
) -> None:
    def hand_over(item: bytes | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                arrived.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    try:
        for chunk in read():
            if stopped.is_set():
                return
            hand_over(chunk)
        hand_over(None)
    except BaseException as error:  # Raised again where the chunks are waited for.
        hand_over(error)
