"""Goes back to the release before when the new one does not recognise anything.

A release counts as good once something was recognised with it; until then every start counts, and
afterwards failures in a row. The numbers are written only when they change something, because a
card's memory wears out; a disk that cannot be written keeps nobody from recognising.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from edge.rollback import roll_back
from edge.state.folder import CURRENT, StateError, StateFolder
from edge.state.record import Health, changed_record, read_record
from edge.stored_release import pinned
from registry.clock import utc_now
from registry.releases.manifest import ManifestError
from registry.releases.pull.pulled_folder import DownloadError
from registry.releases.signatures.trust import TrustError

#: Starts without an answer, and failures in a row, after which a device goes back.
STARTS, FAILURES = 3, 5


@dataclass
class Watchdog:
    """Watches the current release of one device.

    Attributes:
        folder: The device's.
        starts: Starts without an answer after which it goes back.
        failures: Failures in a row after which it goes back.
        now: The clock.
    """

    folder: StateFolder
    starts: int = STARTS
    failures: int = FAILURES
    now: Callable[[], datetime] = utc_now

    def started(self) -> str | None:
        """Counts a start; returns why the device went back, or None."""
        health = self._health()
        if health is None or health.confirmed:
            return None
        if health.starts >= self.starts:
            return self._go_back(f"{health.starts} starts without an answer")
        self._write(lambda health: setattr(health, "starts", health.starts + 1))
        return None

    def answered(self) -> None:
        """The model has run: the release is good."""
        health = self._health()
        if health is not None and (not health.confirmed or health.failures):

            def confirm(health: Health) -> None:
                health.confirmed, health.starts, health.failures = True, 0, 0

            self._write(confirm)

    def damaged(self, reason: str) -> str | None:
        """The release on the disk is not what was signed; returns why the device went back.

        The release itself may be good: the next update brings it again.
        """
        return self._go_back(reason, refused=False)

    def failed(self, reason: str) -> str | None:
        """The model or its runtime has failed; returns why the device went back, or None."""
        health = self._health()
        if health is None:
            return None
        if health.failures + 1 >= self.failures:
            return self._go_back(f"{health.failures + 1} failures in a row, the last: {reason}")
        self._write(lambda health: setattr(health, "failures", health.failures + 1))
        return None

    def _health(self) -> Health | None:
        current = self.folder.linked(CURRENT)
        if current is None:
            return None
        health = read_record(self.folder).health
        return health if health.release == current.name else Health(current.name)

    def _write(self, change: Callable[[Health], None]) -> None:
        with contextlib.suppress(OSError, StateError), changed_record(self.folder) as record:
            current = self.folder.linked(CURRENT)
            if current is not None:
                if record.health.release != current.name:
                    record.health = Health(current.name)
                change(record.health)

    def _go_back(self, reason: str, *, refused: bool = True) -> str | None:
        with contextlib.suppress(OSError, StateError, DownloadError, ManifestError, TrustError):
            trusted = pinned(self.folder)
            release = roll_back(self.folder, trusted, reason, self.now(), refused=refused)
            return f"went back to {release}: {reason}"
        return None
