"""Bad input: one clear line, a non-zero exit, nothing half-made left behind."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cloud import BIN, ROOT, Cloud, free_port

CLI = str(BIN / "cards")


def run(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=env, stdin=subprocess.DEVNULL
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line on stderr that holds the words, no traceback, a non-zero exit."""
    assert done.returncode not in (0, -9), done.stdout
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def test_empty_card_folder(tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    out = tmp_path / "out"
    refused(
        run(CLI, "demo", "--cards", str(tmp_path / "cards"), "--out", str(out)),
        str(tmp_path / "cards"),
    )
    assert not out.exists()


def test_card_folder_that_is_not_there(tmp_path: Path) -> None:
    refused(run(CLI, "demo", "--cards", str(tmp_path / "none")), str(tmp_path / "none"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_unreadable_card_folder(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    folder.mkdir(mode=0o000)
    try:
        refused(run(CLI, "data", "check", str(folder)), str(folder))
    finally:
        folder.chmod(0o700)


def test_broken_image_among_good_ones_is_named_and_the_others_kept(
    cloud: Cloud, card_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cards"
    shutil.copytree(card_folder, folder)
    victim = sorted(folder.glob("*/*"))[0]
    victim.write_bytes(victim.read_bytes()[:100])
    checked = run(CLI, "data", "check", str(folder))
    assert victim.parent.name in checked.stdout + checked.stderr
    assert "Traceback" not in checked.stderr


def test_unknown_setting(cloud: Cloud) -> None:
    done = cloud.run(sys.executable, "app.py", timeout=60)  # the app itself is sound
    assert done.returncode == 0
    env = {**cloud.variables, "CDK_CONTEXT_JSON": '{"cards": {"colour": "blue"}}'}
    refused(run(sys.executable, "app.py", env=env), "colour")


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        state = tmp_path / "state"
        refused(run(CLI, "local", "up", "--port", str(port), "--state-dir", str(state)), str(port))
        refused(
            run(CLI, "demo", "--port", str(port), "--state-dir", str(state), "--out",
                str(tmp_path / "out")),
            str(port),
        )  # fmt: skip


def test_unsuited_python(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text(
        "#!/bin/sh\n"
        f"exec {sys.executable} -c \"import sys; sys.version_info = (3, 9, 1, 'final', 0); "
        'sys.version = \'3.9.1 (old)\'; exec(open(sys.argv[1]).read())" "$@"\n'
    )
    old.chmod(0o755)
    venv = tmp_path / "venv"
    done = run("make", "-s", "setup", f"PYTHON={old}", f"VENV={venv}")
    assert done.returncode != 0
    assert "3.9.1" in done.stderr and "3.11" in done.stderr
    assert not venv.exists()


def test_python_that_is_not_there(tmp_path: Path) -> None:
    done = run("make", "-s", "setup", "PYTHON=no-such-python", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0 and "no-such-python" in done.stderr


def test_command_without_a_deployment_is_refused(cloud: Cloud) -> None:
    env = {**cloud.variables, "CARDS_ENVIRONMENT": "nowhere"}
    refused(run(CLI, "registry", "list", env=env), "nowhere", "cdk deploy")


def test_command_without_a_cloud_is_refused(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-2",
        "AWS_MAX_ATTEMPTS": "1",
    }
    refused(run(CLI, "registry", "list", env=env), "127.0.0.1")
