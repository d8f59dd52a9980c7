"""The holder of the lock is the server, whatever a file says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud import server_lock
from tests.running_cloud import ROOT, until


@pytest.mark.processes
def test_lock_is_held_until_its_process_ends(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from localcloud import server_lock;"
        " sys.exit(3) if not server_lock.acquire(pathlib.Path('.'), 4566) else time.sleep(60)"
    )
    start = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert server_lock.running_server(tmp_path) is None
    holder = subprocess.Popen(start, cwd=tmp_path, env=environment)
    try:
        found = until(lambda: server_lock.running_server(tmp_path))
        assert found == server_lock.RunningServer(holder.pid, 4566)
        assert subprocess.run(start, cwd=tmp_path, env=environment).returncode == 3
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (tmp_path / "server.json").exists()
    assert server_lock.running_server(tmp_path) is None


def test_file_without_lock_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"pid": os.getpid(), "port": 1}))
    assert server_lock.running_server(tmp_path) is None
    (tmp_path / "server.lock").touch()
    assert server_lock.running_server(tmp_path) is None
