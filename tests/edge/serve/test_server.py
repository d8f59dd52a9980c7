"""The page's server over real sockets."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from edge.serve import server as module
from edge.serve.access import access_for
from edge.serve.server import PageServer
from recognition.card_sets.scan import ScanError

OWN = {"X-Cards-Edge": "1"}


def answer(content: bytes) -> dict[str, Any]:
    if content == b"broken":
        raise ScanError("broken image: cannot be read as JPEG; copy or save it again")
    if content == b"crash":
        raise RuntimeError("the chip is gone")
    return {"bytes": len(content)}


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def server(logged: list[str]) -> Iterator[PageServer]:
    made = PageServer(
        "127.0.0.1",
        0,
        lambda port: access_for("127.0.0.1", port),
        answer=answer,
        status=lambda: {"release": "r-1"},
        log=logged.append,
    )
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def ask(
    server: PageServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, given)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), content


def test_page_comes_with_a_policy_that_forbids_other_servers(server: PageServer) -> None:
    status, headers, content = ask(server, "GET", "/")
    assert status == 200 and b"Which card is it?" in content
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    assert "Python" not in headers["Server"]


@pytest.mark.parametrize("path", ["/page.css", "/page.js", "/icon.svg"])
def test_files_of_the_page_name_no_other_server(server: PageServer, path: str) -> None:
    status, headers, content = ask(server, "GET", path)
    assert status == 200 and headers["Content-Length"] == str(len(content))
    named = re.findall(rb"(?:https?:|url\(|src=.)//[^\s\"']*", content)
    assert named in ([], [b"http://www.w3.org/2000/svg"])


@pytest.mark.parametrize("path", ["/etc/passwd", "/../server.py", "/page/index.html", "/%2e%2e/x"])
def test_other_paths_are_not_there(server: PageServer, path: str) -> None:
    assert ask(server, "GET", path)[0] == 404


def test_photograph_is_answered(server: PageServer) -> None:
    status, _, content = ask(server, "POST", "/recognise", b"x" * 1000, **OWN)
    assert (status, json.loads(content)) == (200, {"bytes": 1000})
    status, _, content = ask(server, "GET", "/status", **OWN)
    assert (status, json.loads(content)) == (200, {"release": "r-1"})


def test_photograph_of_another_page_is_refused_unread(server: PageServer) -> None:
    assert ask(server, "POST", "/recognise", b"x")[0] == 403
    assert ask(server, "POST", "/recognise", b"x", **OWN, Origin="http://evil.example")[0] == 403
    assert ask(server, "GET", "/status")[0] == 403
    assert ask(server, "POST", "/recognise", b"x", **OWN, Host="evil.example")[0] == 421


def test_damaged_image_is_refused_with_its_reason(server: PageServer) -> None:
    status, _, content = ask(server, "POST", "/recognise", b"broken", **OWN)
    assert status == 422 and "broken image" in json.loads(content)["error"]


def test_failure_of_the_model_is_logged_and_not_shown(
    server: PageServer, logged: list[str]
) -> None:
    status, _, content = ask(server, "POST", "/recognise", b"crash", **OWN)
    assert status == 500 and b"chip" not in content
    assert "RuntimeError: the chip is gone" in logged
    assert ask(server, "POST", "/recognise", b"x", **OWN)[0] == 200


def test_upload_that_is_too_large_or_of_unknown_length_is_refused_unread(
    server: PageServer,
) -> None:
    def status(headers: str) -> int:
        with socket.create_connection(server.server_address[:2], timeout=10) as connection:
            port = server.server_address[1]
            start = f"POST /recognise HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Cards-Edge: 1\r\n"
            connection.sendall(f"{start}{headers}\r\n".encode())
            return int(connection.recv(64).split()[1])

    assert status(f"Content-Length: {module.LARGEST_UPLOAD + 1}\r\n") == 413
    assert status("Content-Length: 99999999999999999999\r\n") == 413
    assert status("Content-Length: -1\r\n") == 411
    assert status("Transfer-Encoding: chunked\r\n") == 411
    assert status("Content-Length: 1\r\nContent-Length: 900\r\n") == 411


def test_client_that_sends_nothing_is_dropped(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(module._Handler, "timeout", 0.2)
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        assert connection.recv(10) == b""


def test_more_connections_than_allowed_are_closed_and_the_server_goes_on(
    server: PageServer,
) -> None:
    held = [
        socket.create_connection(server.server_address[:2], timeout=10)
        for _ in range(module.MOST_CONNECTIONS + 4)
    ]
    closed = sum(_closed(each) for each in held)
    for each in held:
        each.close()
    assert 1 <= closed <= 4
    end = time.monotonic() + 10
    while not _answers(server):
        assert time.monotonic() < end, "the server does not go on"


def _answers(server: PageServer) -> bool:
    try:
        return ask(server, "GET", "/")[0] == 200
    except ConnectionError:
        return False


def _closed(connection: socket.socket) -> bool:
    connection.settimeout(0.3)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_log_has_no_text_of_the_client(server: PageServer, logged: list[str]) -> None:
    ask(server, "GET", "/secret-token-in-a-path?x=y")
    ask(server, "BREW", "/")
    assert logged[0] == "127.0.0.1 GET another path 404"
    assert not any("secret" in line or "BREW" in line for line in logged)
