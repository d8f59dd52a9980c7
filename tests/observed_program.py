"""Runs a program and records what it sends through a proxy and writes below the home directory."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.telemetry import OPT_OUTS

ROOT = Path(__file__).resolve().parents[1]
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
#: What a test run or a CI service sets, by which libraries recognise it and report nothing.
_TEST_MARKS = ("PYTEST_CURRENT_TEST", "CI", "GITHUB_ACTIONS")


@dataclass(frozen=True)
class ObservedProgram:
    """What a program did.

    Attributes:
        requests: First line of each request that reached the proxy.
        written: Files below its home directory, relative to it.
    """

    code: int
    out: str
    err: str
    requests: tuple[str, ...]
    written: tuple[str, ...]


@contextmanager
def counting_proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that refuses every request; gives its address and the requests that it refused."""
    requests: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        first = connection.recv(4096).split(b"\r\n")[0].decode(errors="replace")
                    except OSError as error:
                        first = str(error)
                    requests.append(first)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", requests
        # A blocked accept() is not woken by close().
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def run_observed(
    command: Sequence[str | Path],
    home: Path,
    variables: Mapping[str, str] | None = None,
    folder: Path = ROOT,
) -> ObservedProgram:
    """Runs a program in an environment without opt-outs, as a user's shell is.

    Args:
        command: Program and arguments.
        home: The home directory; may be one that cannot be written.
        variables: More environment variables.
        folder: Where it starts.
    """
    removed = {name.lower() for name in (*OPT_OUTS, *_PROXIES, *_TEST_MARKS, "no_proxy")}
    inherited = {key: value for key, value in os.environ.items() if key.lower() not in removed}
    with counting_proxy() as (address, requests):
        proxies = {name: address for each in _PROXIES for name in (each, each.upper())}
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env={**inherited, **proxies, "HOME": str(home), **(variables or {})},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
    written = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    return ObservedProgram(
        done.returncode, done.stdout, done.stderr, tuple(requests), tuple(written)
    )
