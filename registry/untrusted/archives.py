"""Reading ``model.tar.gz`` and ``output.tar.gz`` from outside: bounded, whole, within one folder.

The bounds are on what is really decompressed: a tar's own headers (PAX records, long names) are
read into memory by :mod:`tarfile`, so each of them is bounded before it is read. An archive is
read to its end, where gzip's checksum stands, and what cannot be read to there is refused.
"""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: A ViT-L teacher with its optimiser is under 4 GB; anything beyond is a mistake or a bomb.
DEFAULT_LIMIT = 8 * 1024**3
MEMBER_COUNT_LIMIT = 10_000
#: Headers of one member, and padding after the last one, in bytes.
_HEADER_LIMIT = 1024**2
#: Bytes of one part of a name that file systems take, and of a whole name.
_PART_LIMIT, _NAME_LIMIT = 255, 1024
_CHUNK = 1024**2
_GZIP = b"\x1f\x8b"
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "Zstandard", b"PK": "zip"}
#: What tarfile raises for a header that is none.
_DAMAGE = (
    tarfile.TarError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    OSError,
    RecursionError,
    MemoryError,
)


class ArchiveError(ValueError):
    """An archive that is damaged or must not be unpacked; names the archive, member and cause."""


class _Stream(io.RawIOBase):
    """The archive's own bytes; remembers an error of the stream, which is none of the archive."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._stream.read(len(view))
        except Exception as error:
            self.failure = error
            raise
        view[: len(data)] = data
        return len(data)


class _Unpacked:
    """The decompressed tar: read and skipped forwards, never beyond ``stop_at``.

    Raises:
        ArchiveError: What is read is damaged, or longer than allowed. An error of the stream
            itself (the network, the disk) is raised as it is.
    """

    def __init__(self, stream: IO[bytes], label: str) -> None:
        self._raw = _Stream(stream)
        self._label = label
        self._position = 0
        self.last = b""
        self.stop_at = _HEADER_LIMIT
        packed = io.BufferedReader(self._raw, 64 * 1024)
        self._body: io.BufferedIOBase = packed
        head = self._checked(lambda: packed.peek(8)[:8])
        other = next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None)
        if other:
            raise ArchiveError(f"{label}: is packed by {other}; pack it as .tar.gz")
        if head.startswith(_GZIP):
            self._body = gzip.GzipFile(fileobj=packed)

    def read(self, size: int) -> bytes:
        if self._position + size > self.stop_at:
            raise ArchiveError(
                f"{self._label}: not a readable tar archive (a member's headers, or what follows "
                f"the last member, have more than {_HEADER_LIMIT} bytes)"
            )
        self.last = self._checked(lambda: self._body.read(size))
        self._position += len(self.last)
        return self.last

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        if position < self._position:
            raise ArchiveError(f"{self._label}: not a readable tar archive (an offset leads back)")
        while self._position < position and self.read(min(_CHUNK, position - self._position)):
            pass
        return self._position

    def next_member(
        self, tar: tarfile.TarFile | None
    ) -> tuple[tarfile.TarFile, tarfile.TarInfo | None]:
        """The archive and its next member; None for the member at the end."""
        try:
            if tar is None:
                tar = tarfile.TarFile(fileobj=self, encoding="utf-8")  # type: ignore[arg-type]
            return tar, tar.next()
        except ArchiveError:
            raise
        except _DAMAGE as error:
            raise self._raw.failure or self._damaged(error) from error

    def finish(self) -> None:
        """Reads what follows the last member: zeros, and within gzip its checksum."""
        if self.last != bytes(tarfile.BLOCKSIZE):
            cause = "a header is damaged" if self.last else "it is cut off: its end mark is missing"
            raise ArchiveError(f"{self._label}: not a readable tar archive ({cause})")
        self.stop_at = self._position + 2 * _HEADER_LIMIT
        while block := self.read(64 * 1024):
            if block.count(0) != len(block):
                raise ArchiveError(f"{self._label}: holds something after its end; pack it anew")

    def _checked(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except Exception as error:  # zlib, gzip and the end of the file; or the stream's own
            if self._raw.failure is not None:
                raise
            raise self._damaged(error) from error

    def _damaged(self, error: BaseException) -> ArchiveError:
        cause = one_line(str(error))[:200] or type(error).__name__
        return ArchiveError(f"{self._label}: not a readable tar archive ({cause})")


class _Content(io.RawIOBase):
    """A member's bytes."""

    def __init__(self, source: _Unpacked, size: int, label: str) -> None:
        self._source, self._left, self._label = source, size, label

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._source.read(min(len(view), self._left))
        if self._left and len(view) and not data:
            raise ArchiveError(f"{self._label}: not a readable tar archive (it is cut off)")
        self._left -= len(data)
        view[: len(data)] = data
        return len(data)


def _members(
    stream: IO[bytes], label: str, limit_bytes: int
) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Every file and folder of an archive, with a file's content, until its checked end."""
    source = _Unpacked(stream, label)
    tar: tarfile.TarFile | None = None
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    total = count = 0
    while True:
        tar, member = source.next_member(tar)
        if member is None:
            break
        _check_member(member, label)
        count, total = count + 1, total + member.size
        if count > MEMBER_COUNT_LIMIT or total > limit_bytes:
            raise ArchiveError(
                f"{label}: holds more than {limit_bytes} bytes or {MEMBER_COUNT_LIMIT} members; "
                "refused before unpacking the rest"
            )
        path = PurePosixPath(member.name)
        # Of two members of one name, one reader would take the first and another the last.
        parents = set(path.parents)
        if path in files or parents & files or (member.isfile() and path in folders):
            raise ArchiveError(f"{label}: member {member.name[:100]!r} is there twice")
        (files if member.isfile() else folders).add(path)
        folders |= parents
        source.stop_at = tar.offset + _HEADER_LIMIT
        yield member, io.BufferedReader(_Content(source, member.size, label))
    source.finish()


def _check_member(member: tarfile.TarInfo, label: str) -> None:
    name = member.name
    shown = repr(name[:100])
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\x00" in name:
        raise ArchiveError(f"{label}: member {shown} points outside the archive")
    encoded = [part.encode(errors="surrogateescape") for part in parts]
    if sum(map(len, encoded)) > _NAME_LIMIT or max(map(len, encoded)) > _PART_LIMIT:
        raise ArchiveError(f"{label}: member {shown} has a name that is too long for a file")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise ArchiveError(
            f"{label}: member {shown} is a link, a device or a sparse file; only plain files may "
            "be in it"
        )
    if member.size < 0 or (member.isfile() and PurePosixPath(name) == PurePosixPath(".")):
        raise ArchiveError(f"{label}: member {shown} has no name or a negative size")


def extract(archive: Path, into: Path, limit_bytes: int = DEFAULT_LIMIT) -> list[Path]:
    """Unpacks a tar (gzipped or not) of plain files and folders.

    Args:
        archive: The archive on disk.
        into: The folder to unpack into; made when it is missing.
        limit_bytes: How much the members may hold together, unpacked.

    Returns:
        The files written, in the archive's order.

    Raises:
        ArchiveError: Damaged; a member leaves the folder, is a link or a device, or is there
            twice; too large. What was written until then stays.
        OSError: The archive cannot be opened, or the disk refuses to keep a file.
    """
    written: list[Path] = []
    into.mkdir(parents=True, exist_ok=True)
    with archive.open("rb") as stream:
        for member, content in _members(stream, archive.name, limit_bytes):
            target = into / member.name
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            # Its bytes and nothing else of it: no owner, no time, no permission bits.
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                shutil.copyfileobj(content, out, _CHUNK)
            written.append(target)
    return written


def read_member(
    stream: IO[bytes],
    name: str,
    limit_bytes: int,
    label: str = "archive",
    total_bytes: int = DEFAULT_LIMIT,
) -> bytes:
    """Reads one small member of a (gzipped) tar without keeping the others.

    Args:
        stream: The archive's bytes, read once from start to end.
        name: The member's name; a leading ``./`` in the archive does not matter.
        limit_bytes: The longest member that is accepted, and the most that is read in search
            of it is 16 times as much.
        label: What to call the archive in an error.
        total_bytes: How much the members may hold together.

    Raises:
        ArchiveError: Damaged, the member is missing, is no file, or is too long.
    """
    found = read_members(stream, {name: limit_bytes}, label, total_bytes)
    if name not in found:
        raise ArchiveError(f"{label}: {name} is not in it")
    return found[name]


def read_members(
    stream: IO[bytes],
    limits: Mapping[str, int],
    label: str = "archive",
    total_bytes: int = DEFAULT_LIMIT,
) -> dict[str, bytes]:
    """Reads a few small members of a (gzipped) tar, as :func:`read_member` does.

    Args:
        stream: The archive's bytes, read once from start to end.
        limits: By name of a member, the most bytes that it may have; the most that is read in
            search of one is 16 times the largest of them.
        label: What to call the archive in an error.
        total_bytes: How much the members may hold together.

    Returns:
        By name the members that are there.

    Raises:
        ArchiveError: Damaged, or a member is no file or too long.
    """
    passed = 0
    found: dict[str, bytes] = {}
    for member, content in _members(stream, label, total_bytes):
        name = member.name.removeprefix("./")
        if name in limits:
            if not member.isfile() or member.size > limits[name]:
                raise ArchiveError(f"{label}: {name} is no file of at most {limits[name]} bytes")
            found[name] = content.read(limits[name])
        elif len(found) < len(limits):
            passed += member.size
            if passed > 16 * max(limits.values()):
                break
    return found


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
    for member, content in _members(stream, label, limit_bytes):
        if member.isfile():
            yield member.name.removeprefix("./"), member.size, content
