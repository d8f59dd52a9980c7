"""A headless Chromium, driven over a pipe by its DevTools protocol: no driver, no open port.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
#: Where CI runs, a test without its browser fails; elsewhere it says that it was left out.
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="chromium is not installed"
)
#: What Chromium may do: nothing with the network, the first lookup of every name fails.
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


@dataclass
class Opened:
    """A page that was opened, and what happened on it.

    Attributes:
        requests: Addresses that it asked for, its own file among them.
        problems: Errors and warnings of its console and its policy.
    """

    browser: Browser
    session: str
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.call(method, parameters, self.session)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def show(self, width: int, scheme: str = "light", media: str = "screen") -> None:
        """Sets the window's width, the colour scheme, and screen or print."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.call(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def screenshot(self, path: Path) -> None:
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        self.call("Emulation.setEmulatedMedia", media="print", features=[])
        answer = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        return base64.b64decode(answer["data"])


class Browser:
    """A running Chromium."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._last = 0
        self._rest = b""
        self._pages: dict[str, Opened] = {}

    def call(self, method: str, parameters: Mapping[str, Any], session: str = "") -> dict[str, Any]:
        """One command and its answer; events that come meanwhile are kept."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def open(self, path: Path) -> Opened:
        """Opens a file and waits until it is loaded."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        page = Opened(self, attached["sessionId"])
        self._pages[page.session] = page
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.call("Page.navigate", url=path.resolve().as_uri())
        page.evaluate(
            "new Promise(done => document.readyState === 'complete' ? done() "
            ": addEventListener('load', done))"
        )
        page.evaluate("Promise.all([...document.images].map(each => each.decode()))")
        return page

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            block = os.read(self._receive, 1 << 20)
            assert block, "the browser has ended"
            self._rest += block
        message, self._rest = self._rest.split(b"\0", 1)
        answer = dict(json.loads(message))
        page = self._pages.get(answer.get("sessionId", ""))
        if page is not None:
            _record(page, answer.get("method", ""), answer.get("params", {}))
        return answer


def _record(page: Opened, method: str, given: Mapping[str, Any]) -> None:
    if method == "Network.requestWillBeSent":
        page.requests.append(given["request"]["url"])
    elif method == "Log.entryAdded":
        page.problems.append(given["entry"]["text"])
    elif method == "Runtime.exceptionThrown":
        page.problems.append(str(given["exceptionDetails"]))


@contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """Runs a Chromium whose profile lies in a folder."""
    assert CHROMIUM is not None
    down, send = os.pipe()
    receive, up = os.pipe()

    def ends() -> None:
        # Chromium reads commands from 3 and writes answers to 4.
        one, two = os.dup(down), os.dup(up)
        os.dup2(one, 3)
        os.dup2(two, 4)

    process = subprocess.Popen(
        [CHROMIUM, *_FLAGS, f"--user-data-dir={folder}"],
        preexec_fn=ends,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(down)
    os.close(up)
    try:
        browser = Browser(send, receive)
        yield browser
        browser.call("Browser.close", {})
        process.wait(timeout=30)
    finally:
        os.close(send)
        os.close(receive)
        if process.poll() is None:
            process.kill()
            process.wait()
