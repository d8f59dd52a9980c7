"""Deleting the state of a local cloud: all of it or nothing, and nothing else's folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from localcloud import credentials


class StateFolderError(OSError):
    """A folder that is not deleted; names it, the cause and the remedy."""


def check_deletable(state_dir: Path) -> None:
    """Checks that a folder is a local cloud's own, and can be moved aside as a whole.

    Raises:
        StateFolderError: It is not, or cannot.
    """
    if state_dir.is_symlink():
        raise StateFolderError(
            f"{state_dir}: is a symbolic link; name the folder that it leads to, "
            f"{os.path.realpath(state_dir)}"
        )
    found = Path(os.path.realpath(state_dir))
    if os.path.ismount(found):
        raise StateFolderError(
            f"{state_dir}: is a mount point, which cannot be deleted as a whole; stop the local "
            "cloud and empty it yourself"
        )
    current = Path(os.path.realpath(os.curdir))
    if found == current or found in current.parents:
        raise StateFolderError(
            f"{state_dir}: is the current folder or one above it; change to another first"
        )
    if not credentials.is_state_folder(state_dir):
        raise StateFolderError(f"{state_dir}: is no local cloud's state; it is not deleted")


def delete(state_dir: Path) -> None:
    """Deletes a state folder that :func:`check_deletable` has accepted.

    It is moved aside first, so that an interruption leaves the state whole or none. What is left
    aside is deleted by the next call of :func:`clear_leftovers`.

    Raises:
        StateFolderError: It cannot be moved; it is as it was.
    """
    credentials.secret_access_key(state_dir)  # Marks the state of an earlier version, too.
    clear_leftovers(state_dir)
    try:
        os.rename(state_dir, _aside(state_dir))
    except OSError as error:
        raise StateFolderError(
            f"{state_dir}: cannot be deleted ({error.strerror}); it is as it was"
        ) from None
    _sync(state_dir.parent)
    clear_leftovers(state_dir)


def clear_leftovers(state_dir: Path) -> None:
    """Removes what a deletion that was interrupted has left.

    Raises:
        StateFolderError: Something else has its name, or it cannot be removed.
    """
    aside = _aside(state_dir)
    if not os.path.lexists(aside):
        return
    is_own = aside.is_dir() and not aside.is_symlink()
    if not is_own or (any(aside.iterdir()) and not (aside / credentials.SECRET_FILE).is_file()):
        raise StateFolderError(f"{aside}: is in the way and no local cloud's state; move it")
    try:
        for path in aside.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != credentials.SECRET_FILE:
                path.unlink()
        # Last, so that what an interruption leaves is known as ours.
        (aside / credentials.SECRET_FILE).unlink(missing_ok=True)
        aside.rmdir()
    except OSError as error:
        raise StateFolderError(
            f"{aside}: the deleted state cannot be removed ({error.strerror}); remove it yourself"
        ) from None


def _aside(state_dir: Path) -> Path:
    return state_dir.with_name(f".{state_dir.name}.deleted")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
