"""Saves the local cloud's state while it runs.

MiniStack saves its state when it stops, and the objects of buckets at once. A server that was
killed would come back with its buckets, and without the stacks, roles and model packages that
belong to them; with this it comes back as it was some seconds before.

    saver = StateSaver()
    saver.start()
    ...
    saver.stop()            # before MiniStack saves for the last time
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path

#: Seconds between two looks at what has changed.
SAVE_SECONDS = 5.0
#: Saving takes no more than this share of the time.
_MOST_OF_THE_TIME = 0.05
_log = logging.getLogger(__name__)


class StateSaver:
    """A thread that writes each service's state whenever it has changed."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="state-saver", daemon=True)
        self._written: dict[str, int] = {}

    def start(self) -> None:
        """Begins to look for changes."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; after this it writes nothing."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        wait = SAVE_SECONDS
        while not self._stopped.wait(wait):
            began = time.monotonic()
            self._save_changes()
            wait = max(SAVE_SECONDS, (time.monotonic() - began) / _MOST_OF_THE_TIME)

    def _save_changes(self) -> None:
        from ministack import app
        from ministack.core import persistence

        for service, get_state in app._build_persistence_save_dict().items():
            if self._stopped.is_set():
                return
            try:
                state = get_state()
                if state is None:
                    continue
                text = json.dumps(
                    {
                        "__ministack_format__": persistence._state_format_version(service),
                        "payload": state,
                    },
                    default=persistence._json_default,
                )
            except RuntimeError:
                continue  # It was changed while it was read; the next look finds it at rest.
            except Exception:
                _log.exception("the state of %s cannot be saved", service)
                continue
            if self._written.get(service) != hash(text):
                _write(Path(persistence.STATE_DIR) / f"{service}.json", text)
                self._written[service] = hash(text)


def _write(path: Path, text: str) -> None:
    """Replaces a file as a whole, so that a power cut leaves the old or the new one."""
    aside = path.with_suffix(".saving")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
