"""Folders that a reader takes in at a glance, and files that are read in one go."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES_OF_A_FOLDER = 16
LINES_OF_A_FILE = 400
REASON = f"# Over {LINES_OF_A_FILE} lines: "
#: Folders that hold more, and why.
LONGER_FOLDERS = {
    "docs": "the pages of one site, in the order of its contents",
    "docs/decisions": "numbered pages, found by their list",
}


def tracked(root: Path) -> list[Path]:
    """Files that git tracks below a folder, relative to it."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    names = done.stdout.decode().rstrip("\0").split("\0")
    return [Path(name) for name in names if (root / name).is_file()]


def crowded(files: list[Path]) -> dict[str, int]:
    """Folders with too many files of their own, those of folders inside apart."""
    counts = Counter(str(file.parent) for file in files)
    return {folder: count for folder, count in counts.items() if count > FILES_OF_A_FOLDER}


def lacks_reason(source: str) -> bool:
    """Whether a file is too long and does not say why it stays whole."""
    lines = source.splitlines()
    said = any(line.startswith(REASON) and len(line) > len(REASON) for line in lines)
    return len(lines) > LINES_OF_A_FILE and not said


def test_folder_has_at_most_sixteen_files_of_its_own() -> None:
    assert set(crowded(tracked(ROOT))) - set(LONGER_FOLDERS) == set()


def test_file_of_more_than_400_lines_says_why_it_stays_whole() -> None:
    files = [file for file in tracked(ROOT) if file.suffix == ".py"]
    assert len(files) > 500
    assert [str(file) for file in files if lacks_reason((ROOT / file).read_text())] == []


def test_crowded_folder_is_found_by_its_own_files() -> None:
    files = [Path("a", f"{number}.py") for number in range(FILES_OF_A_FOLDER)]
    assert crowded([*files, Path("a", "b", "c.py")]) == {}
    assert crowded([*files, Path("a", "c.py")]) == {"a": FILES_OF_A_FOLDER + 1}


def test_long_file_without_a_reason_is_found() -> None:
    long = "x = 1\n" * (LINES_OF_A_FILE + 1)
    assert lacks_reason(long)
    assert not lacks_reason(f"{REASON}it is one table.\n{long}")
    assert lacks_reason(f"{REASON}\n{long}")
    assert not lacks_reason("x = 1\n" * LINES_OF_A_FILE)
