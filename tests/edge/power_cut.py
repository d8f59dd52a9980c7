"""What a disk holds after the power failed: a model of files, folders and ``fsync``.

A file's content is safe once the file was written through, a folder's entries once the folder was.
Two disks are modelled, between which real ones lie: ``STRICT`` keeps nothing else; ``EAGER`` keeps
every entry of every folder, and no content that was not written through (as file systems do that
delay the allocation of blocks: a name then leads to an empty file).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

STRICT, EAGER = "strict", "eager"


class Disk:
    """Follows a folder from the moment of its making.

    Args:
        root: The folder; all that is in it now is safe.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[int, bytes] = {}
        self._folders: dict[int, dict[str, int | str]] = {}
        # Open descriptors keep the numbers of removed files from being used again.
        self._held: list[int] = []
        for folder, folders, files in os.walk(root):
            for name in ("", *folders, *files):
                path = Path(folder, name)
                if not path.is_symlink():
                    self._keep(os.open(path, os.O_RDONLY))

    def fsync(self, descriptor: int) -> None:
        """What ``os.fsync`` makes safe."""
        self._keep(os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY))

    def _keep(self, descriptor: int) -> None:
        self._held.append(descriptor)
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self._folders[found.st_ino] = _entries(descriptor)
        else:
            self._files[found.st_ino] = os.pread(descriptor, found.st_size, 0)

    def survive(self, mode: str, target: Path) -> None:
        """Writes what is left after the power failed now."""
        self._write(self._root.stat().st_ino, self._root, mode, target)

    def _write(self, number: int, now: Path, mode: str, target: Path) -> None:
        target.mkdir()
        if mode == STRICT:
            entries = self._folders.get(number, {})
        else:
            descriptor = os.open(now, os.O_RDONLY)
            entries = _entries(descriptor)
            os.close(descriptor)
        for name, what in entries.items():
            if isinstance(what, str):
                (target / name).symlink_to(what)
            elif what in self._folders or (now / name).is_dir():
                self._write(what, now / name, mode, target / name)
            else:
                (target / name).write_bytes(self._files.get(what, b""))


def _entries(descriptor: int) -> dict[str, int | str]:
    """By name: the number of a file or folder, or where a link leads to."""
    found: dict[str, int | str] = {}
    for name in os.listdir(descriptor):
        about = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        link = stat.S_ISLNK(about.st_mode)
        found[name] = os.readlink(name, dir_fd=descriptor) if link else about.st_ino
    return found
