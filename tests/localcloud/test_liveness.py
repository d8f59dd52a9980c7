"""A server is what holds the lock, not what a file says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from localcloud import liveness
from tests.running_cloud import ROOT, until


def test_a_claim_lives_as_long_as_its_process(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from localcloud import liveness;"
        " sys.exit(3) if not liveness.claim(pathlib.Path('.'), 4566) else time.sleep(60)"
    )
    start = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert liveness.server(tmp_path) is None
    holder = subprocess.Popen(start, cwd=tmp_path, env=environment)
    try:
        found = until(lambda: liveness.server(tmp_path))
        assert found == liveness.Server(holder.pid, 4566)
        assert subprocess.run(start, cwd=tmp_path, env=environment).returncode == 3
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (tmp_path / "server.json").exists()
    assert liveness.server(tmp_path) is None


def test_a_file_without_a_lock_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"pid": os.getpid(), "port": 1}))
    assert liveness.server(tmp_path) is None
    (tmp_path / "server.lock").touch()
    assert liveness.server(tmp_path) is None
