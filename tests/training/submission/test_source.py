"""The code that is sent to a training job."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from training.submission.source import SOURCE_PACKAGES, SourceError, git_commit, staged_source


def test_code_is_staged_as_a_job_expects_it_and_removed_afterwards() -> None:
    with staged_source() as folder:
        for package in SOURCE_PACKAGES:
            assert (folder / package / "__init__.py").is_file()
        assert (folder / "requirements.txt").read_text()
        assert not list(folder.rglob("__pycache__"))
    assert not folder.exists()


def test_part_of_the_tree_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    with (
        pytest.raises(SourceError, match="source checkout"),
        staged_source(tmp_path),
    ):
        pass


@pytest.mark.processes
def test_commit_says_when_files_differ_from_it(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t.invalid", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    assert git_commit(tmp_path) is None
    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "a")
    # A tag must not stand in for the commit.
    git("tag", "-m", "v1", "v1")
    commit = git_commit(tmp_path)
    assert commit and len(commit) == 40
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"
