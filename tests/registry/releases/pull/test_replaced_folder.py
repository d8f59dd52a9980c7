"""A folder is replaced whole, by one process at a time, or refused and left alone."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from registry.releases.pull.replaced_folder import WORK_MARKER, FolderError, replaced_folder


def replaceable(folder: Path) -> None:
    return None


def replace(target: Path, text: str = "new") -> None:
    with replaced_folder(target, replaceable) as new:
        (new / "file").write_text(text)


def test_missing_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    replace(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "file").read_text() == "new"
    assert os.listdir(tmp_path / "a") == ["b"]


def test_replaced_folder_holds_nothing_of_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "target"
    replace(target, "old")
    (target / "more").write_text("x")
    replace(target)
    assert {path.name: path.read_text() for path in target.iterdir()} == {"file": "new"}
    assert os.listdir(tmp_path) == ["target"]


def test_failing_block_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "target"
    replace(target, "old")
    with pytest.raises(ValueError, match="no"), replaced_folder(target, replaceable) as new:
        (new / "file").write_text("half")
        raise ValueError("no")
    assert (target / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["target"]


def test_reason_against_replacement_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "target"
    replace(target, "old")
    with (
        pytest.raises(FolderError, match="is mine"),
        replaced_folder(target, lambda folder: "is mine"),
    ):
        pytest.fail("not reached")
    assert (target / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["target"]


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o022, 0o000])
def test_everything_is_readable_for_every_user_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        with replaced_folder(tmp_path / "target", replaceable) as new:
            (new / "deep").mkdir()
            (new / "deep" / "file").write_text("x")
    finally:
        os.umask(before)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "target", *(tmp_path / "target").rglob("*"))
    }
    assert modes == {"target": 0o755, "deep": 0o755, "file": 0o644}


def test_two_at_once_are_refused_and_the_first_one_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with replaced_folder(target, replaceable) as new:
        with pytest.raises(FolderError, match="another process writes"):
            replace(target)
        (new / "file").write_text("first")
    assert (target / "file").read_text() == "first"
    assert os.listdir(tmp_path) == ["target"]
    replace(target)


def test_symbolic_link_is_followed_and_stays(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    replace(real, "old")
    link.symlink_to(real)
    replace(link)
    assert link.is_symlink() and (real / "file").read_text() == "new"


def test_dangling_link_gets_the_folder_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    replace(tmp_path / "link")
    assert (tmp_path / "real" / "file").read_text() == "new"


@pytest.mark.parametrize("above", [".", "..", "deep/.."])
def test_current_folder_or_one_above_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, above: str
) -> None:
    current = tmp_path / "one" / "two"
    (current / "deep").mkdir(parents=True)
    monkeypatch.chdir(current)
    with pytest.raises(FolderError, match="current folder"):
        replace(Path(above))
    assert os.listdir(current) == ["deep"]


def test_mount_point_is_refused() -> None:
    with pytest.raises(FolderError, match="mount point"):
        replace(Path("/proc"))


def test_folder_that_nothing_can_be_written_beside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="nothing can be written beside it"):
        replace(Path("/proc/self/release"))
    parent = tmp_path / "parent"
    replace(parent / "target", "old")
    parent.chmod(0o555)
    try:
        if os.getuid() != 0:  # To root every folder is writable.
            with pytest.raises(FolderError, match="nothing can be written beside it"):
                replace(parent / "target")
            assert (parent / "target" / "file").read_text() == "old"
    finally:
        parent.chmod(0o755)


def test_foreign_folder_in_the_place_of_the_working_folder_is_left_alone(tmp_path: Path) -> None:
    work = tmp_path / ".target.pulling"
    work.mkdir()
    (work / "new").mkdir()
    with pytest.raises(FolderError, match="was not made by this program"):
        replace(tmp_path / "target")
    assert os.listdir(work) == ["new"]
    (work / WORK_MARKER).touch()
    (work / "thesis.txt").touch()
    with pytest.raises(FolderError, match="was not made by this program"):
        replace(tmp_path / "target")
    assert (work / "thesis.txt").exists()


def test_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    (tmp_path / ".target.lock").symlink_to(tmp_path / "thesis.txt")
    with pytest.raises(FolderError, match="nothing can be written beside it"):
        replace(tmp_path / "target")
    assert (tmp_path / "thesis.txt").read_text() == "x"


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    (tmp_path / ".target.lock").touch()
    replace(tmp_path / "target")
    assert os.listdir(tmp_path) == ["target"]


@pytest.mark.processes
def test_tmpfs_and_the_disk_exchange_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the fall-back of two renames is not what is tested elsewhere."""
    if (
        not hasattr(os, "fork")
        or subprocess.run(["uname"], capture_output=True).stdout != b"Linux\n"
    ):
        pytest.skip("Linux")
    replace(tmp_path / "target", "old")
    renames: list[object] = []
    rename = os.rename
    monkeypatch.setattr(
        os, "rename", lambda one, other: (renames.append(one), rename(one, other))[1]
    )
    replace(tmp_path / "target")
    assert renames == []
