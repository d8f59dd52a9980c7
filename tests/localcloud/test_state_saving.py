"""When the state is saved: never before it was loaded, never after the last save has begun."""

from __future__ import annotations

import asyncio
import threading

import pytest

from localcloud import state_saving
from localcloud.access_guard import Message, Receive, Scope, Send
from localcloud.state_saving import StateSaver


def saves(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Is set once a save has happened; saves follow each other at once."""
    saved = threading.Event()
    monkeypatch.setattr(state_saving, "SAVE_SECONDS", 0.001)
    monkeypatch.setattr(StateSaver, "_save_changes", lambda self: saved.set())
    return saved


def test_state_is_saved_between_start_and_stop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = saves(monkeypatch)
    seen: dict[str, bool] = {}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        seen["while it loads"] = saved.wait(0.1)
        await send({"type": "lifespan.startup.complete"})
        seen["while it runs"] = saved.wait(30)
        await receive()
        saved.clear()
        seen["while it stops"] = saved.wait(0.1)
        await send({"type": "lifespan.shutdown.complete"})

    messages = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Message:
        return {"type": next(messages)}

    async def send(message: Message) -> None:
        pass

    asyncio.run(StateSaver(application)({"type": "lifespan"}, receive, send))
    assert seen == {"while it loads": False, "while it runs": True, "while it stops": False}


def test_server_that_never_started_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = saves(monkeypatch)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async def receive() -> Message:
        return {"type": "lifespan.shutdown"}

    async def send(message: Message) -> None:
        pass

    asyncio.run(StateSaver(application)({"type": "lifespan"}, receive, send))
    assert not saved.is_set()
