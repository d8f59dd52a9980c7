"""The secret of a state folder, and which folders are one."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcloud import LocalCloud, LocalCloudError
from localcloud.credentials import is_state_folder, secret_access_key


def test_secret_is_made_once_and_is_another_in_each_folder(tmp_path: Path) -> None:
    first = secret_access_key(tmp_path / "a")
    assert secret_access_key(tmp_path / "a") == first
    assert secret_access_key(tmp_path / "b") != first


def test_secret_is_the_same_for_processes_that_make_it_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: secret_access_key(tmp_path / "state"), range(32)))
    assert len(found) == 1
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["local-cloud-secret"]


def test_open_folder_of_an_older_state_becomes_private(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for name in ("state", "s3"):
        (state / "data" / name).mkdir(parents=True)
    (state / "server.lock").touch()
    state.chmod(0o755)
    assert is_state_folder(state)
    secret_access_key(state)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_folder_of_other_files_does_not_become_a_state_folder(tmp_path: Path, mode: int) -> None:
    """It would be deleted by `cards local reset`."""
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(mode)
    (home / "thesis.txt").touch()
    assert not is_state_folder(home)
    with pytest.raises(LocalCloudError, match="choose an empty folder"):
        LocalCloud(home).start()
    assert stat.S_IMODE(home.stat().st_mode) == mode
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]


def test_empty_secret_is_refused_by_name(tmp_path: Path) -> None:
    secret_access_key(tmp_path / "state")
    (tmp_path / "state" / "local-cloud-secret").write_text("")
    with pytest.raises(LocalCloudError, match="local-cloud-secret"):
        LocalCloud(tmp_path / "state").env()
