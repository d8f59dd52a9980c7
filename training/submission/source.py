"""The code that a training job runs: which files, from which commit."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Our packages that a training job imports.
SOURCE_PACKAGES = ("registry", "recognition", "export", "reports", "training")


class SourceError(RuntimeError):
    """A source tree that cannot be sent; names what is missing."""


@contextmanager
def staged_source(root: Path | None = None) -> Iterator[Path]:
    """A folder with the code that a job runs and its requirements, laid out as SageMaker expects.

    Raises:
        SourceError: The source tree is incomplete, as when only a part of it was installed.
    """
    root = root or Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory(prefix="cards-source-") as folder:
        for package in SOURCE_PACKAGES:
            if not (root / package / "__init__.py").is_file():
                raise SourceError(f"{root / package}: is missing; run cards from a source checkout")
            shutil.copytree(
                root / package,
                Path(folder) / package,
                ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"),
            )
        requirements = root / "training" / "requirements.txt"
        if not requirements.is_file():
            raise SourceError(f"{requirements}: is missing; run cards from a source checkout")
        shutil.copy(requirements, folder)
        yield Path(folder)


def git_commit(root: Path | None = None) -> str | None:
    """The source tree's commit, with ``-dirty`` where files differ from it; None without git."""
    root = root or Path(__file__).resolve().parents[2]
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
