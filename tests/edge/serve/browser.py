"""Debian's chromium without a screen, driven by the W3C's WebDriver protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
TAB = "\ue004"
ENTER = "\ue007"


def needs_chromium() -> None:
    """Skips a test where chromium and its driver are not installed; in CI they must be."""
    if shutil.which("chromedriver") and shutil.which("chromium"):
        return
    text = "needs Debian's chromium and chromium-driver: apt-get install chromium chromium-driver"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


class Browser:
    """One window; :meth:`close` ends it."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._address = f"http://127.0.0.1:{port}"
        self._session = ""
        try:
            self.wait(lambda: self._ask("GET", "/status")["ready"], "chromedriver")
            options = {
                "args": [*_FLAGS, f"--user-data-dir={folder}"],
                "binary": "/usr/bin/chromium",
            }
            wanted = {
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
            }
            made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/session/{made['sessionId']}"
            size = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
            self.chromium("Emulation.setDeviceMetricsOverride", **size)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the window and the driver."""
        try:
            if self._session:
                self._ask("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(20)

    def open(self, address: str) -> None:
        """Loads a page."""
        self._command("/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """Runs JavaScript in the page; ``return`` gives its result."""
        return self._command("/execute/sync", {"script": script, "args": list(arguments)})

    def element(self, selector: str) -> str:
        """The id of an element by its CSS selector."""
        found = self._command("/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def click(self, selector: str) -> None:
        """Clicks an element, which must be visible."""
        self._command(f"/element/{self.element(selector)}/click", {})

    def text(self, selector: str) -> str:
        """An element's visible text."""
        address = f"{self._session}/element/{self.element(selector)}/text"
        return str(self._ask("GET", address))

    def choose_file(self, selector: str, file: Path) -> None:
        """Chooses a file in a file input."""
        address = f"/element/{self.element(selector)}/value"
        self._command(address, {"text": str(file)})

    def press(self, key: str) -> None:
        """Presses and releases a key."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._command("/actions", {"actions": [{"type": "key", "id": "k", "actions": actions}]})

    def chromium(self, command: str, **parameters: Any) -> Any:
        """A command of chromium's own protocol."""
        return self._command("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What was logged since the last call: ``browser`` or ``performance``."""
        return list(self._command("/se/log", {"type": kind}))

    def requests(self) -> list[str]:
        """Addresses that were requested since the last call."""
        messages = [json.loads(each["message"])["message"] for each in self.log("performance")]
        return [
            each["params"]["request"]["url"]
            for each in messages
            if each["method"] == "Network.requestWillBeSent"
        ]

    def screenshot(self, file: Path) -> None:
        """Writes the whole page as PNG."""
        found = self.chromium("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))

    def wait(self, ready: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """Waits until something holds, and gives it."""
        end = time.monotonic() + seconds
        while True:
            try:
                found = ready()
            except OSError:
                found = None
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s for {what}")
            time.sleep(0.05)

    def _command(self, path: str, body: dict[str, Any]) -> Any:
        return self._ask("POST", self._session + path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, content, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=90) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()[:300]}") from None
