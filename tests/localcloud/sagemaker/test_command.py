"""A job's command: its lines, its end, its stop and its limit."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from localcloud.sagemaker import command
from tests.running_cloud import until

pytestmark = pytest.mark.processes

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def run(tmp_path: Path, script: str, **options: Any) -> tuple[command.CommandResult, list[str]]:
    lines: list[str] = []
    options.setdefault("stop", threading.Event())
    result = command.run(
        ["bash", "-c", script], cwd=tmp_path, env=ENVIRONMENT, on_line=lines.append, **options
    )
    return result, lines


def test_lines_come_as_they_are_and_the_status_is_the_commands_own(tmp_path: Path) -> None:
    result, lines = run(tmp_path, "echo one; echo two >&2; printf 'no end'; exit 7")
    assert result == command.CommandResult(status=7, timed_out=False)
    assert lines == ["one", "two", "no end"]


def test_line_without_end_is_cut_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    _outcome, lines = run(tmp_path, "head -c 300000 /dev/zero | tr '\\0' 'x'")
    assert len(lines) > 1
    assert "".join(lines) == "x" * 300000


def test_output_that_is_no_text_does_not_end_the_job(tmp_path: Path) -> None:
    result, lines = run(tmp_path, r"printf '\xff\xfe\n'")
    assert result.status == 0 and len(lines) == 1


def test_child_in_another_session_that_keeps_the_pipe_does_not_keep_the_job(
    tmp_path: Path,
) -> None:
    began = time.monotonic()
    result, lines = run(tmp_path, "setsid sleep 20 & echo done")
    assert result.status == 0 and lines == ["done"]
    assert time.monotonic() - began < 10


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip() != "" and not done.stdout.startswith("Z")


def test_processes_left_in_a_command_s_group_end_with_it(tmp_path: Path) -> None:
    run(tmp_path, "sleep 60 & echo $! > left")
    until(lambda: not is_running(int((tmp_path / "left").read_text())))


def test_stop_is_a_sigterm_that_the_command_may_answer(tmp_path: Path) -> None:
    stop = threading.Event()
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        stop.set()

    result = command.run(
        ["bash", "-c", "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stop=stop,
        on_line=on_line,
    )
    assert result == command.CommandResult(status=0, timed_out=False)
    assert lines == ["up", "saved"]


def test_stop_leaves_the_commands_own_workers_to_the_command(tmp_path: Path) -> None:
    script = (
        "(trap 'echo hit' TERM; for i in 1 2 3 4; do sleep 0.1; done; echo worker done) &"
        " trap 'wait; exit 0' TERM; wait"
    )
    result, lines = run(tmp_path, script, limit=0.2)
    assert result.status == 0 and lines == ["worker done"]


def test_command_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    result, _lines = run(tmp_path, "trap '' TERM; sleep 30", limit=0.3, grace=0.3)
    assert result.timed_out and result.status == 128 + 9


def test_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    lines: list[str] = []
    result = command.run(
        ["no-such-program"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stop=threading.Event(),
        on_line=lines.append,
    )
    assert result.status == 127 and "no-such-program" in lines[0]


def test_servers_end_ends_it_unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server_stopping = threading.Event()
    monkeypatch.setattr(command, "server_stopping", server_stopping)
    threading.Timer(0.3, server_stopping.set).start()
    began = time.monotonic()
    with pytest.raises(command.ServerStopping):
        run(tmp_path, "trap '' TERM; sleep 30")
    assert time.monotonic() - began < 5
