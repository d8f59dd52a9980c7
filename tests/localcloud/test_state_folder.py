"""Deleting a local cloud's state: whole or not at all, and nothing that is not a local cloud's."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from localcloud import LocalCloud, LocalCloudError
from localcloud.credentials import SECRET_FILE, is_state_folder, secret_access_key


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state with some files."""
    folder = tmp_path / "state"
    secret_access_key(folder)
    for name in ("state", "s3"):
        (folder / "data" / name).mkdir(parents=True)
        (folder / "data" / name / "object").write_text("x")
    (folder / "link").symlink_to(tmp_path)
    return folder


def delete(folder: Path) -> None:
    LocalCloud(folder).delete_state()


def test_state_is_deleted_with_all_that_is_in_it(state: Path) -> None:
    delete(state)
    assert os.listdir(state.parent) == []
    delete(state)


def test_state_of_an_earlier_version_is_deleted(state: Path) -> None:
    (state / SECRET_FILE).unlink()
    with pytest.raises(LocalCloudError, match="no local cloud's state"):
        delete(state)
    (state / "server.lock").touch()
    delete(state)
    assert os.listdir(state.parent) == []


@pytest.mark.parametrize("name", ["server.log", "server.lock", "data", "lock"])
def test_folder_with_one_common_name_is_left_alone(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "thesis"
    (folder / "data").mkdir(parents=True)
    (folder / name).mkdir() if name != "data" else None
    with pytest.raises(LocalCloudError, match="no local cloud's state"):
        delete(folder)
    assert (folder / "data").is_dir()


def test_symbolic_link_is_refused_with_the_name_of_its_folder(state: Path) -> None:
    link = state.with_name("link")
    link.symlink_to(state)
    with pytest.raises(LocalCloudError, match=f"symbolic link.*{state}"):
        delete(link)
    assert is_state_folder(state) and link.is_symlink()


@pytest.mark.parametrize("below", [".", "data"])
def test_current_folder_is_refused(
    state: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    monkeypatch.chdir(state / below)
    with pytest.raises(LocalCloudError, match="current folder"):
        delete(state)
    assert (state / "data" / "s3" / "object").exists()


def test_mount_point_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LocalCloudError, match="mount point"):
        delete(Path("/proc"))
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == state)
    with pytest.raises(LocalCloudError, match="mount point"):
        delete(state)
    assert (state / "data" / "s3" / "object").exists()


def test_foreign_folder_with_the_name_of_a_leftover_is_left_alone(state: Path) -> None:
    aside = state.with_name(".state.deleted")
    aside.mkdir()
    (aside / "thesis.txt").touch()
    with pytest.raises(LocalCloudError, match="in the way"):
        delete(state)
    assert (aside / "thesis.txt").exists() and (state / "data" / "s3" / "object").exists()


@pytest.mark.processes
def test_deletion_killed_at_each_step_leaves_the_whole_state_or_none(tmp_path: Path) -> None:
    step, whole, gone = 0, 0, 0
    while True:
        step += 1
        state = tmp_path / str(step) / "state"
        secret_access_key(state)
        (state / "data" / "s3").mkdir(parents=True)
        (state / "data" / "s3" / "object").write_text("x")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                kill_at(step)
                delete(state)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if state.exists():
            whole += 1
            assert is_state_folder(state)
            assert (state / "data" / "s3" / "object").read_text() == "x"
        else:
            gone += 1
        delete(state)
        assert os.listdir(state.parent) == [], "leftovers"
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        assert step < 300
    assert whole > 5 and gone > 5


def kill_at(step: int) -> None:
    """Kills this process at its n-th call into the file system from now on."""
    seen = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        if event != "os.kill" and (
            event == "open" or event.startswith(("os.", "shutil.", "fcntl."))
        ):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
