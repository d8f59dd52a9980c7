"""A folder that is replaced whole: at every moment it is the old one or the new one.

    with replaced_folder(Path("release"), reason_against_replacing) as new:
        (new / "file").write_bytes(b"…")

The new folder is filled beside the old one, written through to the disk, and exchanged with it in
one step of the file system; only then is the old one deleted. What a killed process has left is
removed by the next call for the same folder. On a file system that cannot exchange folders (NFS,
FAT) the old one is moved aside first: a process that is killed between the two renames leaves no
folder under the name, and the next call moves the old one back.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

#: Marks the folder that holds an unfinished replacement as ours.
WORK_MARKER = "cards-unfinished-pull"
_NEW, _OLD = "new", "old"
#: Folders and files are for every user of the machine: a service reads them as another user.
FOLDER_MODE, FILE_MODE = 0o755, 0o644
_AT_FDCWD = -100
_LINUX_EXCHANGE = 2
_MACOS_SWAP = 2
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV)


class FolderError(RuntimeError):
    """A folder that cannot be replaced, and is as it was; names it, the cause and the remedy."""


@contextlib.contextmanager
def replaced_folder(target: Path, refuse: Callable[[Path], str | None]) -> Iterator[Path]:
    """Gives an empty folder to fill; where the block ends well, it becomes ``target``.

    Its files become readable for every user (mode 0644, folders 0755), whatever the umask. Folders
    above it that are missing are made with the umask.

    Args:
        target: The folder; behind a symbolic link the folder that it leads to.
        refuse: Called with the folder, where it exists and is not empty; returns why it must not
            be replaced, or None.

    Raises:
        FolderError: It must not or cannot be replaced, or another process replaces it now.
        OSError: The disk is full or fails; the old folder is there still.
    """
    target = _replaceable(target)
    with _locked(target):
        work = target.with_name(f".{target.name}.pulling")
        _clear(work, target)
        if _has_content(target) and (reason := refuse(target)):
            raise FolderError(f"{target}: {reason}")
        work.mkdir(FOLDER_MODE)
        try:
            (work / WORK_MARKER).touch()
            new = work / _NEW
            new.mkdir(FOLDER_MODE)
            yield new
            _write_through(new)
            _exchange(new, target, work / _OLD)
            sync_folder(work)
            sync_folder(target.parent)
        finally:
            # The next call clears what cannot be removed now.
            with contextlib.suppress(OSError, FolderError):
                _clear(work, target)


def _replaceable(target: Path) -> Path:
    """The folder without links, and with the folders above it."""
    found = Path(os.path.realpath(target))
    if os.path.ismount(found):
        raise FolderError(
            f"{target}: is a mount point, which cannot be replaced; name a folder inside it"
        )
    with contextlib.suppress(FileNotFoundError):
        current = Path.cwd()
        if current == found or found in current.parents:
            raise FolderError(
                f"{target}: is the current folder or one above it; name another, or change to "
                "another first"
            )
    try:
        found.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(
            f"{found.parent}: cannot be made ({error.strerror}); name another folder"
        ) from None
    return found


def _has_content(target: Path) -> bool:
    if not target.exists():
        return False
    return not target.is_dir() or any(target.iterdir())


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """One process at a time replaces the folder; a killed one's lock is free at once."""
    path = target.with_name(f".{target.name}.lock")
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise FolderError(
                f"{target}: cannot be replaced, since nothing can be written beside it "
                f"({target.parent}: {error.strerror}); name a folder inside one that you may write"
            ) from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderError(
                    f"{target}: another process writes to it now; try again when it has ended"
                ) from None
            if not _is_at(lock, path):
                continue  # The holder before has removed it meanwhile.
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            return
        finally:
            os.close(lock)


def _is_at(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _clear(work: Path, target: Path) -> None:
    """Ends what an earlier process left unfinished: the old folder back, the rest removed.

    Raises:
        FolderError: Something else has the name of our working folder, or it cannot be removed.
    """
    if not os.path.lexists(work):
        return
    names = set(os.listdir(work)) if work.is_dir() and not work.is_symlink() else {work.name}
    if names - {WORK_MARKER, _NEW, _OLD} or (names and WORK_MARKER not in names):
        raise FolderError(f"{work}: is in the way and was not made by this program; move it")
    try:
        if _OLD in names and not os.path.lexists(target):
            os.rename(work / _OLD, target)
            sync_folder(target.parent)
        for name in (_NEW, _OLD):
            if os.path.lexists(work / name):
                shutil.rmtree(work / name)
        # Last, so that what a killed removal leaves is known as ours.
        (work / WORK_MARKER).unlink(missing_ok=True)
        work.rmdir()
    except OSError as error:
        raise FolderError(
            f"{work}: left by an earlier run, cannot be removed ({error.strerror}); remove it"
        ) from None


def _write_through(folder: Path) -> None:
    """Gives a tree its permissions and writes it to the disk, files before folders."""
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            descriptor = os.open(os.path.join(path, name), os.O_RDONLY)
            try:
                os.fchmod(descriptor, FILE_MODE)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        os.chmod(path, FOLDER_MODE)
        sync_folder(Path(path))


def sync_folder(folder: Path) -> None:
    """Writes a folder's entries through to the disk, where its file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # Some file systems cannot write a folder through.
            raise
    finally:
        os.close(descriptor)


def _exchange(new: Path, target: Path, aside: Path) -> None:
    """Puts ``new`` in the place of ``target``; the old folder is then ``new`` or ``aside``."""
    if not _has_content(target):
        os.rename(new, target)  # Replaces an empty folder, too.
        return
    if _exchanged(new, target):
        return
    os.rename(target, aside)
    os.rename(new, target)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchanges two folders in one step; False where system or file system has no such step.

    ``renameat2`` (Linux) and ``renamex_np`` (macOS) have no function in Python.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        done = libc.renamex_np(*names, ctypes.c_uint(_MACOS_SWAP))
    elif hasattr(libc, "renameat2"):
        done = libc.renameat2(
            _AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_LINUX_EXCHANGE)
        )
    else:
        return False
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))
