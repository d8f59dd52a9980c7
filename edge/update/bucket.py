"""What a device asks of the release bucket: the channel, if it has changed, and files, resumed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from edge.state.folder import StateFolder
from registry.aws_errors import Meaning, is_missing, means
from registry.channels import declared
from registry.releases.manifest import File, ManifestError
from registry.releases.pointers import pointer_key
from registry.releases.pull.bounded_transfer import CHUNK
from registry.releases.pull.download import POINTER_LIMIT, ReleaseSource
from registry.releases.pull.pulled_folder import DownloadError
from registry.releases.pull.replaced_folder import sync_folder

_READ = 1024**2


@dataclass(frozen=True)
class ChannelObject:
    """A channel's pointer object.

    Attributes:
        body: Its bytes, not verified.
        etag: What to name when it is asked for again.
    """

    body: bytes
    etag: str


def poll(source: ReleaseSource, channel: str, etag: str | None) -> ChannelObject | None:
    """A channel's object; None where it is the one that was dealt with.

    Args:
        source: Where from.
        channel: The channel's name.
        etag: Of the object that was dealt with; None for none.

    Raises:
        DownloadError: There is none.
        ManifestError: It is too long.
    """
    declared(channel)
    condition = {"IfNoneMatch": etag} if etag else {}
    answer: dict[str, Any] = {}
    body = bytearray()
    try:
        for chunk in _chunks(source, pointer_key(channel), answer, **condition):
            body += chunk
            if len(body) > POINTER_LIMIT:
                raise ManifestError(f"channel {channel}: is longer than {POINTER_LIMIT} bytes")
    except ClientError as error:
        if means(error, Meaning.NOT_MODIFIED):
            return None
        if is_missing(error):
            raise DownloadError(
                f"channel {channel}: points to no release yet; approve a stage-2 student first"
            ) from None
        raise
    return ChannelObject(bytes(body), str(answer.get("ETag", "")))


def fetch_blob(source: ReleaseSource, folder: StateFolder, key: str, file: File) -> int:
    """Fetches a file to ``blobs``, from where an earlier attempt has ended.

    Args:
        source: Where from.
        folder: The device's.
        key: The object's key.
        file: Its size and SHA-256, as signed.

    Returns:
        How many bytes were fetched.

    Raises:
        ManifestError: It is not the file that was signed.
        OSError: The disk is full or fails.
        TransferError: It took too long; what has arrived stays.
    """
    arrived = folder.incoming / file.sha256
    fetched = 0
    for attempt in ("resume", "again"):
        begun = arrived.exists()
        if attempt == "again" or not begun or arrived.stat().st_size > file.bytes:
            _forget(arrived)
            begun = False
        if not begun or arrived.stat().st_size < file.bytes:
            fetched += _fetch(source, key, arrived, file)
        if arrived.stat().st_size == file.bytes and file_matches(arrived, file):
            _sync(arrived)
            os.replace(arrived, folder.blobs / file.sha256)
            sync_folder(folder.blobs)
            _etag_file(arrived).unlink(missing_ok=True)
            return fetched
        if not begun:
            break  # It came in one piece: a second time would bring the same.
    _forget(arrived)
    raise ManifestError(f"{key}: is not the file that was signed (size or digest differ)")


def file_matches(path: Path, file: File) -> bool:
    """Whether a file on disk has the bytes that were signed."""
    digest = hashlib.sha256()
    try:
        if path.stat().st_size != file.bytes:
            return False
        with path.open("rb") as stream:
            for chunk in iter(partial(stream.read, _READ), b""):
                digest.update(chunk)
    except OSError:
        return False
    return digest.hexdigest() == file.sha256


def _fetch(source: ReleaseSource, key: str, arrived: Path, file: File) -> int:
    """Appends what is missing; returns the number of bytes that came."""
    have, condition = 0, {}
    if arrived.exists() and _etag_file(arrived).is_file():
        have = arrived.stat().st_size
        etag = _etag_file(arrived).read_text()
        condition = {"Range": f"bytes={have}-", "IfMatch": etag} if have else {}
    answer: dict[str, Any] = {}
    chunks = _chunks(source, key, answer, **condition)
    try:
        first = next(chunks, b"")
    except ClientError as error:
        if condition and means(error, Meaning.NOT_RESUMABLE):
            _forget(arrived)
            return _fetch(source, key, arrived, file)
        if is_missing(error):
            raise ManifestError(f"{key}: is signed for and does not exist") from None
        raise
    # A server that knows no ranges sends the whole.
    resumed = bool(condition) and str(answer.get("ContentRange", "")).startswith(f"bytes {have}-")
    if not resumed:
        have = 0
        _forget(arrived)
        _etag_file(arrived).write_text(str(answer.get("ETag", "")))
    count = 0
    with arrived.open("ab") as out:
        for chunk in _first_and_rest(first, chunks):
            count += len(chunk)
            if have + count > file.bytes:
                raise ManifestError(f"{key}: is longer than the file that was signed")
            out.write(chunk)
    return count


def _chunks(
    source: ReleaseSource, key: str, answer: dict[str, Any], **condition: Any
) -> Iterator[bytes]:
    """An object's chunks; ``answer`` gets S3's answer before the first one."""

    def read() -> Iterable[bytes]:
        found = source.s3.get_object(Bucket=source.trusted.bucket, Key=key, **condition)
        answer.update(found)
        yield from found["Body"].iter_chunks(CHUNK)

    return source.transfers.chunks(read, f"s3://{source.trusted.bucket}/{key}")


def _first_and_rest(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _etag_file(arrived: Path) -> Path:
    return arrived.with_name(f"{arrived.name}.etag")


def _forget(arrived: Path) -> None:
    # The ETag first: a part without one is fetched anew, an ETag without its part says nothing.
    _etag_file(arrived).unlink(missing_ok=True)
    arrived.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
