"""Saves the local cloud's state while it runs.

MiniStack saves its state when it stops, and the objects of buckets at once. A server that was
killed would come back with its buckets, and without the stacks, roles and model packages that
belong to them; with this it comes back as it was some seconds before.

    app = StateSaver(ministack_app)     # saves from the end of its start to the begin of its end
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.access_guard import App, Message, Receive, Scope, Send

#: Seconds between two looks at what has changed.
SAVE_SECONDS = 5.0
#: The largest share of the time that saving takes.
_LARGEST_SHARE = 0.05
_log = logging.getLogger(__name__)


class StateSaver:
    """MiniStack's application, and a thread that writes each service's state when it has changed.

    The thread begins when the application has started: before it has loaded what was saved, each
    service is empty, and the saved state would be replaced by that. It ends before the application
    hears that it is to stop, and saves for the last time.

    Args:
        app: MiniStack's.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="state-saver", daemon=True)
        self._written: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on; begins and ends the saving where the lifespan does."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def received() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._stopped.set()
                if self._thread.is_alive():
                    self._thread.join()
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._thread.start()
            await send(message)

        await self._app(scope, received, sent)

    def _run(self) -> None:
        wait = SAVE_SECONDS
        while not self._stopped.wait(wait):
            began = time.monotonic()
            self._save_changes()
            wait = max(SAVE_SECONDS, (time.monotonic() - began) / _LARGEST_SHARE)

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
