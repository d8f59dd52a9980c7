"""Nothing that is leashed outlives its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from localcloud.child_process import ChildProcess
from tests.running_cloud import ROOT, until

pytestmark = pytest.mark.processes

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def alive(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(shown.stdout.strip()) and not shown.stdout.startswith("Z")


def test_killed_parent_ends_the_command_and_its_children(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import pathlib, subprocess, time
                from localcloud.child_process import ChildProcess
                ChildProcess(
                    ["bash", "-c", "trap '' TERM; sleep 60 & echo $$ $! > pids; wait; wait"],
                    cwd=pathlib.Path("."), env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.DEVNULL,
                )
                time.sleep(60)
                """
            ),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    pids_file = tmp_path / "pids"
    pids = until(lambda: pids_file.exists() and pids_file.read_text().split())
    assert all(alive(int(pid)) for pid in pids)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    until(lambda: not any(alive(int(pid)) for pid in pids), seconds=5)


def test_end_sends_sigterm_and_kills_after_the_grace(tmp_path: Path) -> None:
    for script in ("sleep 60", "trap '' TERM; sleep 60 & wait; wait"):
        process = ChildProcess(
            ["bash", "-c", script], cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL
        )
        assert process.running()
        process.end(grace=0.5)
        assert not process.running()
        process.signal(signal.SIGKILL)  # to nobody: its number may be another's by now
