"""``python -m localcloud``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud import LocalCloud
from localcloud.__main__ import main
from tests.running_cloud import ROOT, free_port


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "localcloud", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
    )


@pytest.mark.processes
def test_up_status_env_and_down(tmp_path: Path) -> None:
    which = ("--state-dir", str(tmp_path / "state"), "--port", str(free_port()))
    assert run("status", *which).returncode == 1
    up = run("up", *which)
    try:
        assert up.returncode == 0, up.stderr
        assert run("status", *which).returncode == 0
        assert f"AWS_ENDPOINT_URL=http://127.0.0.1:{which[3]}" in run("env", *which).stdout
    finally:
        assert run("down", *which).stdout == "stopped\n"
    assert run("down", *which).stdout == "is not running\n"


@pytest.mark.processes
def test_error_is_one_line(cloud: LocalCloud, tmp_path: Path) -> None:
    done = run("up", "--state-dir", str(tmp_path), "--port", str(cloud.port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"localcloud: port {cloud.port} is in use")
    assert done.stderr.count("\n") == 1


@pytest.mark.processes
def test_serve_is_the_servers_own(tmp_path: Path) -> None:
    done = run("serve", LOCALCLOUD_X="")
    assert done.returncode == 1 and "use that" in done.stderr
    assert main(["status", "--state-dir", str(tmp_path)]) == 1
