"""The model of a disk loses what was not written through, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.edge.power_cut import EAGER, STRICT, Disk


def sync(disk: Disk, path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    disk.fsync(descriptor)
    os.close(descriptor)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "old").write_bytes(b"old")
    (folder / "link").symlink_to("a")
    return folder


def after(disk: Disk, mode: str, target: Path) -> dict[str, bytes]:
    disk.survive(mode, target)
    return {
        str(path.relative_to(target)): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file() and not path.parent.is_symlink()
    }


def test_earlier_files_survive_a_power_cut(root: Path, tmp_path: Path) -> None:
    disk = Disk(root)
    assert after(disk, STRICT, tmp_path / "s") == {"a/old": b"old"}
    assert os.readlink(tmp_path / "s" / "link") == "a"


def test_file_survives_once_it_and_its_folder_were_written_through(
    root: Path, tmp_path: Path
) -> None:
    disk = Disk(root)
    new = root / "a" / "new"
    new.write_bytes(b"new")
    assert after(disk, STRICT, tmp_path / "1") == {"a/old": b"old"}
    assert after(disk, EAGER, tmp_path / "2") == {"a/old": b"old", "a/new": b""}
    sync(disk, new)
    assert after(disk, STRICT, tmp_path / "3") == {"a/old": b"old"}
    assert after(disk, EAGER, tmp_path / "4") == {"a/old": b"old", "a/new": b"new"}
    sync(disk, root / "a")
    assert after(disk, STRICT, tmp_path / "5") == {"a/old": b"old", "a/new": b"new"}


def test_rename_survives_once_the_folder_was_written_through(root: Path, tmp_path: Path) -> None:
    disk = Disk(root)
    os.rename(root / "a" / "old", root / "moved")
    assert after(disk, STRICT, tmp_path / "1") == {"a/old": b"old"}
    assert after(disk, EAGER, tmp_path / "2") == {"moved": b"old"}
    sync(disk, root)
    assert after(disk, STRICT, tmp_path / "3") == {"a/old": b"old", "moved": b"old"}
