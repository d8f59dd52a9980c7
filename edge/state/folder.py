"""The device's folder: releases, the links ``current`` and ``previous``, fetched files, one lock.

    trust.json          the deployment whose key is pinned
    record.json         serials, refused releases, failures (:mod:`edge.state.record`)
    current             link to the release in use; changed by one rename
    previous            link to the one before it
    releases/<name>/    a release, complete; <name> is its id and the start of its manifest's digest
    blobs/<sha256>      files of releases, hard-linked into them
    incoming/<sha256>   what has arrived of a file, and the ETag that it belongs to

Whatever is written becomes visible by a rename, after it was written through to the disk. So a
process that is killed, and a disk that loses its power, leave the old state or the new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recognition.atomic_files import LEFTOVERS, write_atomically
from registry.releases.pull.replaced_folder import FILE_MODE, FOLDER_MODE, sync_folder

#: The folder, where ``--state`` names no other.
STATE_VARIABLE, DEFAULT_STATE = "CARDS_EDGE_STATE", "/var/lib/cards-edge"
CURRENT, PREVIOUS = "current", "previous"
#: Bytes that an update leaves free on the disk.
RESERVE = 64 * 2**20
_RELEASES, _BLOBS, _INCOMING = "releases", "blobs", "incoming"
#: A release that is not complete yet; no release's name begins with a dot.
_UNFINISHED = ".unfinished"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}-[0-9a-f]{16}", re.ASCII)
_DIGEST_SHOWN = 16


class StateError(RuntimeError):
    """A device's folder that cannot be used; names it, the cause and the remedy."""


def release_name(release: str, manifest_sha256: str) -> str:
    """The name of a release's folder: the same id may be published again with other files."""
    return f"{release}-{manifest_sha256[:_DIGEST_SHOWN]}"


def release_id(folder: Path) -> str:
    """The release's id by its folder's name, as :func:`release_name` made it."""
    return folder.name.rpartition("-")[0]


@dataclass(frozen=True)
class StateFolder:
    """The folder of one device.

    Attributes:
        root: Where it is.
    """

    root: Path

    @property
    def releases(self) -> Path:
        """The folder of releases."""
        return self.root / _RELEASES

    @property
    def blobs(self) -> Path:
        """The folder of files by their SHA-256."""
        return self.root / _BLOBS

    @property
    def incoming(self) -> Path:
        """The folder of files that have not arrived whole."""
        return self.root / _INCOMING

    @property
    def trust(self) -> Path:
        """The trust file."""
        return self.root / "trust.json"

    def make(self) -> None:
        """Makes the folders that are missing, readable for every user whatever the umask.

        Folders above the root that are missing are made with the umask.

        Raises:
            StateError: They cannot be made.
        """
        try:
            for folder in (self.root, self.releases, self.blobs, self.incoming):
                if not folder.is_dir():
                    # Never writable for others, not even for the moment before its mode is set.
                    folder.parent.mkdir(parents=True, exist_ok=True)
                    folder.mkdir(FOLDER_MODE, exist_ok=True)
                    folder.chmod(FOLDER_MODE)
                    sync_folder(folder.parent)
        except OSError as error:
            raise StateError(
                f"{self.root}: cannot be made ({error.strerror}); run the command as the user of "
                f"the service, or name a folder of your own with --state or {STATE_VARIABLE}"
            ) from None

    def write(self, path: Path, content: bytes | str) -> None:
        """Writes a file, whole or not at all, through to the disk."""
        write_atomically(path, content)
        sync_folder(path.parent)

    def linked(self, link: str) -> Path | None:
        """The release that a link leads to; None where it leads to none."""
        try:
            folder, _, name = os.readlink(self.root / link).rpartition("/")
        except OSError:
            return None
        found = self.releases / name
        if folder != _RELEASES or not _NAME.fullmatch(name) or not found.is_dir():
            return None
        return found

    def point(self, link: str, release: Path) -> None:
        """Makes a link lead to a release, in one step."""
        partial = self.root / f".{link}.partial"
        partial.unlink(missing_ok=True)
        partial.symlink_to(f"{_RELEASES}/{release.name}")
        os.replace(partial, self.root / link)
        sync_folder(self.root)

    def unlink(self, link: str) -> None:
        """Removes a link."""
        (self.root / link).unlink(missing_ok=True)
        sync_folder(self.root)

    def add_release(self, name: str, files: dict[str, Path], contents: dict[str, bytes]) -> Path:
        """Makes a release's folder, complete or not at all; one of that name is replaced.

        Args:
            name: From :func:`release_name`; not that of a release that a link leads to.
            files: By their names in the release, whole files of ``blobs``.
            contents: Small files to write.
        """
        unfinished, target = self.releases / _UNFINISHED, self.releases / name
        for old in (unfinished, target):
            if os.path.lexists(old):
                shutil.rmtree(old)
        unfinished.mkdir(FOLDER_MODE)
        for file, blob in files.items():
            try:
                os.link(blob, unfinished / file)
            except OSError:  # A file system without hard links, such as FAT.
                shutil.copyfile(blob, unfinished / file)
        for file, content in contents.items():
            (unfinished / file).write_bytes(content)
        for path in unfinished.iterdir():
            sync_file(path)
        unfinished.chmod(FOLDER_MODE)
        sync_folder(unfinished)
        os.rename(unfinished, target)
        sync_folder(self.releases)
        return target

    def tidy(self, wanted: frozenset[str]) -> None:
        """Removes what no link leads to and nothing needs, and what killed processes have left.

        Args:
            wanted: SHA-256 of the files to keep in ``blobs`` and ``incoming``.
        """
        kept = {self.linked(link) for link in (CURRENT, PREVIOUS)}
        for release in self.releases.iterdir():
            if release not in kept:
                # Renamed first: half of a release must not look like one.
                unfinished = self.releases / _UNFINISHED
                if release != unfinished:
                    if unfinished.exists():
                        shutil.rmtree(unfinished)
                    os.rename(release, unfinished)
                shutil.rmtree(unfinished)
        for folder in (self.blobs, self.incoming):
            for path in folder.iterdir():
                if path.name.partition(".")[0] not in wanted:
                    path.unlink()
        for path in self.root.glob(LEFTOVERS):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, name: str, *, wait: bool) -> Iterator[None]:
        """Holds a lock; a killed process's lock is free at once.

        Args:
            name: Which one.
            wait: Wait for it; otherwise it is an error that another process holds it.

        Raises:
            StateError: Another process holds it, or the folder cannot be written.
        """
        path = self.root / f".{name}.lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StateError(
                f"{self.root}: cannot be written ({error.strerror}); run the command as the user "
                "of the service"
            ) from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StateError(
                    f"{self.root}: another {name} is running; try again when it has ended"
                ) from None
            yield
        finally:
            os.close(lock)


def sync_file(path: Path) -> None:
    """Writes a file through to the disk and makes it readable for every user."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(descriptor, FILE_MODE)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
