"""``cards local`` where nothing runs; tests/e2e starts one."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import cards, refused


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_port_in_use_is_refused_and_nothing_is_left_behind(tmp_path: Path, taken: int) -> None:
    where = ["--state-dir", str(tmp_path / "state"), "--port", str(taken)]
    refused(cards("local", "up", *where), str(taken), "--port")
    assert list(tmp_path.iterdir()) == []


def test_variables_are_read_by_a_shell(tmp_path: Path) -> None:
    where = ["--state-dir", str(tmp_path / "state"), "--port", "4999"]
    variables = cards("local", "env", "--json", *where).json
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4999"
    lines = cards("local", "env", *where).out.splitlines()
    assert lines[0].startswith("unset ") and "AWS_PROFILE" in lines[0].split()
    exported = dict(shlex.split(line)[1].split("=", 1) for line in lines[1:])
    assert exported == variables


def test_status_of_a_stopped_cloud_says_that_it_is_not_running(tmp_path: Path) -> None:
    where = ["--state-dir", str(tmp_path / "state")]
    done = cards("local", "status", "--json", *where)
    assert done.code == 1
    assert done.json["running"] is False
    assert cards("local", "down", *where).out == "is not running\n"
    refused(cards("local", "logs", *where), "cards local up")
    assert list(tmp_path.iterdir()) == []


def test_reset_deletes_a_state_and_nothing_else(tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "thesis"
    assert cards("local", "env", "--state-dir", str(state)).code == 0  # makes the state
    other.mkdir()
    (other / "server.log").write_text("a log of something else")
    for folder in (state, other):
        (folder / "file").write_text("x")
    refused(cards("local", "reset", "--yes", "--state-dir", str(other)), str(other))
    refused(cards("local", "reset", "--state-dir", str(state)), "--yes")
    assert (other / "file").exists() and (state / "file").exists()
    assert cards("local", "reset", "--yes", "--state-dir", str(state)).code == 0
    assert not state.exists()
    assert cards("local", "reset", "--yes", "--state-dir", str(state)).code == 0


def test_log_is_shown_from_its_end(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text("".join(f"line {at}\n" for at in range(100)))
    done = cards("local", "logs", "-n", "3", "--state-dir", str(tmp_path))
    assert done.out.splitlines() == ["line 97", "line 98", "line 99"]
