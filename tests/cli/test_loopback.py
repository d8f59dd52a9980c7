"""The proxy of the environment is not asked for this machine itself."""

from __future__ import annotations

import socket
import threading

import pytest

from cli.loopback import bypass_proxy
from tests.cli.command import cards


def test_loopback_is_added_to_the_hosts_without_proxy() -> None:
    environment = {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "intranet.example, 10.0.0.1"}
    bypass_proxy(environment)
    hosts = "intranet.example,10.0.0.1,127.0.0.1,localhost,::1"
    assert environment["NO_PROXY"] == environment["no_proxy"] == hosts


def test_no_proxy_for_anything_stays_so() -> None:
    """Python's clients read ``*`` beside other hosts as a host of that name."""
    environment = {"HTTP_PROXY": "http://proxy:3128", "no_proxy": "*"}
    bypass_proxy(environment)
    assert environment["NO_PROXY"] == environment["no_proxy"] == "*"


def test_environment_without_proxy_is_not_changed() -> None:
    environment = {"http_proxy": "", "no_proxy": "x"}
    bypass_proxy(environment)
    assert environment == {"http_proxy": "", "no_proxy": "x"}


def test_command_sends_nothing_to_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[bytes] = []
    with socket.socket() as proxy, socket.socket() as closed:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        closed.bind(("127.0.0.1", 0))  # a port that nobody listens on

        def accept() -> None:
            while True:
                try:
                    connection, _ = proxy.accept()
                except OSError:
                    return
                received.append(connection.recv(100))
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        for name, value in {
            "http_proxy": f"http://127.0.0.1:{proxy.getsockname()[1]}",
            "no_proxy": "",
            "NO_PROXY": "",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-2",
            "AWS_MAX_ATTEMPTS": "1",
        }.items():
            monkeypatch.setenv(name, value)
        assert cards("registry", "list").code == 1
    assert received == []
