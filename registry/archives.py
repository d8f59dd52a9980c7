"""Reading ``model.tar.gz`` and ``output.tar.gz`` from strangers: bounded, and within one folder."""

from __future__ import annotations

import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

#: A ViT-L teacher with its optimiser is under 4 GB; anything beyond is a mistake or a bomb.
DEFAULT_LIMIT = 8 * 1024**3
MEMBER_COUNT_LIMIT = 10_000


class ArchiveError(ValueError):
    """An archive that is damaged or must not be unpacked; names the archive, member and cause."""


def _checked(member: tarfile.TarInfo, label: str) -> tarfile.TarInfo:
    parts = Path(member.name).parts
    if member.name.startswith("/") or ".." in parts or "\x00" in member.name:
        raise ArchiveError(f"{label}: member {member.name[:100]!r} points outside the archive")
    if not (member.isfile() or member.isdir()):
        raise ArchiveError(
            f"{label}: member {member.name[:100]!r} is a link or a device; only files may be in it"
        )
    return member


def extract(archive: Path, into: Path, limit_bytes: int = DEFAULT_LIMIT) -> list[Path]:
    """Unpacks a tar (compressed or not) of plain files and folders.

    Args:
        archive: The archive on disk.
        into: The folder to unpack into; made when it is missing.
        limit_bytes: How much the members may hold together, unpacked.

    Returns:
        The files written, in the archive's order.

    Raises:
        ArchiveError: Damaged; a member leaves the folder, is a link or a device; too large.
    """
    written: list[Path] = []
    total = 0
    into.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:*") as tar:
            for count, member in enumerate(tar, start=1):
                _checked(member, archive.name)
                total += member.size
                if count > MEMBER_COUNT_LIMIT or total > limit_bytes:
                    raise ArchiveError(
                        f"{archive.name}: holds more than {limit_bytes} bytes or "
                        f"{MEMBER_COUNT_LIMIT} members; refused before unpacking the rest"
                    )
                target = into / member.name
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                else:
                    _write(tar, member, target)
                    written.append(target)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArchiveError(f"{archive.name}: not a readable tar archive ({error})") from error
    return written


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Writes a member's bytes and nothing else of it: no owner, no time, no permission bits.

    By hand, because ``tarfile``'s filters came with Python 3.11.4 and distributions ship older.
    """
    content = tar.extractfile(member)
    assert content is not None, "checked to be a file"
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as out:
        shutil.copyfileobj(content, out)


def read_member(stream: IO[bytes], name: str, limit_bytes: int, label: str = "archive") -> bytes:
    """Reads one small member of a (gzipped) tar without unpacking the others.

    Args:
        stream: The archive's bytes, read once from start to end.
        name: The member's name; a leading ``./`` in the archive does not matter.
        limit_bytes: The longest member that is accepted, and the most that is read in search
            of it is 16 times as much.
        label: What to call the archive in an error.

    Raises:
        ArchiveError: Damaged, the member is missing, is no file, or is too long.
    """
    passed = 0
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as tar:
            for count, member in enumerate(tar, start=1):
                if member.name.removeprefix("./") == name:
                    content = tar.extractfile(member) if member.isfile() else None
                    if content is None or member.size > limit_bytes:
                        raise ArchiveError(
                            f"{label}: {name} is no file of at most {limit_bytes} bytes"
                        )
                    return content.read(limit_bytes)
                passed += member.size
                if passed > 16 * limit_bytes or count > MEMBER_COUNT_LIMIT:
                    break
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArchiveError(f"{label}: not a readable tar archive ({error})") from error
    raise ArchiveError(f"{label}: {name} is not in it")


def walk(
    stream: IO[bytes], label: str = "archive", limit_bytes: int = DEFAULT_LIMIT
) -> Iterator[tuple[str, int, IO[bytes]]]:
    """The files of a (gzipped) tar, one after the other, without unpacking them.

    Args:
        stream: The archive's bytes, read once from start to end.
        label: What to call the archive in an error.
        limit_bytes: How much the members may hold together.

    Yields:
        A file's name without a leading ``./``, its bytes' number, and its content, which can be
        read until the next file is asked for.

    Raises:
        ArchiveError: Damaged; a member leaves the archive, is a link or a device; too large.
    """
    total = 0
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as tar:
            for count, member in enumerate(tar, start=1):
                _checked(member, label)
                total += member.size
                if count > MEMBER_COUNT_LIMIT or total > limit_bytes:
                    raise ArchiveError(
                        f"{label}: holds more than {limit_bytes} bytes or "
                        f"{MEMBER_COUNT_LIMIT} members"
                    )
                if member.isfile():
                    content = tar.extractfile(member)
                    assert content is not None, "it is a file"
                    yield member.name.removeprefix("./"), member.size, content
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ArchiveError(f"{label}: not a readable tar archive ({error})") from error
