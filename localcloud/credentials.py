"""The secret of a local cloud, which signs the requests of its owner and of no one else.

    secret_access_key(Path(".local-cloud"))      # made at the first call, then the same for ever

It lies in the state folder, which only its owner can read. Its presence also marks a folder as the
state of a local cloud.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

#: The key id of the account's root user, as MiniStack knows it. A 12-digit id is another account's
#: root user; both sign with the same secret.
ACCESS_KEY_ID = "test"
SECRET_FILE = "local-cloud-secret"  # noqa: S105 (a file's name)
#: Begins the name of a secret that is being written.
_UNFINISHED_SECRET = ".local-cloud-secret-"  # noqa: S105 (a file's name)
#: State folders from before there was a secret hold the server's lock and its data.
_OLDER_STATE = ("server.lock", "data/state", "data/s3")


def secret_access_key(state_dir: Path) -> str:
    """The secret of a state folder; makes folder and secret where they are missing.

    Raises:
        OSError: The folder cannot be made private, or the secret not be read or written.
    """
    make_private(state_dir)
    path = state_dir / SECRET_FILE
    if not path.exists():
        _make_secret(path)
    secret = path.read_text().strip()
    if len(secret) < 40:
        raise OSError(f"{path}: holds no secret; remove the file and start the local cloud again")
    return secret


def _make_secret(path: Path) -> None:
    """Writes a new secret unless another process was faster; no process reads half of one."""
    descriptor, aside = tempfile.mkstemp(prefix=_UNFINISHED_SECRET, dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(20))
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        os.unlink(aside)


def is_state_folder(folder: Path) -> bool:
    """Whether a folder is the state of a local cloud, by what only a local cloud puts there."""
    return (folder / SECRET_FILE).is_file() or all(
        (folder / name).exists() for name in _OLDER_STATE
    )


def make_private(state_dir: Path) -> None:
    """Makes the folder, readable by its owner alone.

    Raises:
        OSError: It cannot be made, belongs to another user, or holds files of something else.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = state_dir.stat()
    if status.st_uid != os.getuid():
        raise OSError(f"{state_dir}: belongs to another user; choose another folder")
    # A folder that becomes ours is deleted by `reset` one day, with all that is in it.
    others = [
        each.name for each in state_dir.iterdir() if not each.name.startswith(_UNFINISHED_SECRET)
    ]
    if others and not is_state_folder(state_dir):
        raise OSError(f"{state_dir}: holds other files; choose an empty folder")
    if status.st_mode & 0o077:
        state_dir.chmod(0o700)
