"""A pulled release on disk: its record, what makes it ours, and whether it is what was signed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from registry.releases.manifest import (
    MANIFEST,
    MANIFEST_LIMIT,
    SIGNATURE,
    UNSIGNED_FILES,
    File,
    ManifestError,
    files_of,
    parse,
    sha256,
)
from registry.releases.signatures.envelope import Verify
from registry.releases.signatures.trust import VerifyWithKey
from registry.untrusted.json_object import JsonObjectError, parse_object
from registry.untrusted.text import printable

#: Written by every pull: marks the folder as ours, and keeps what it has seen.
RECORD = ".cards-release.json"
#: The channel's signed statement, as an envelope.
STATEMENT_FILE = "channel.json"
PUBLIC_KEY = "signing-key.pem"
SIGNATURE_LIMIT = 1024
_RECORD_LIMIT = 1024**2
_SCHEMA = 1
#: What file managers leave wherever somebody has looked.
_DESKTOP_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory"})
_CHUNK = 1024**2


class DownloadError(RuntimeError):
    """A release that cannot be had; names it, the cause and the remedy."""


@dataclass(frozen=True)
class PullRecord:
    """What a pulled release knows besides its files.

    Attributes:
        deployment: Where it was pulled from, ``<environment>/<account>/<region>``.
        release: Its id.
        serials: The highest serial that was seen, by deployment and channel.
        files: The names of the files that the pull has written beside this record; empty where an
            earlier version of this product has pulled it.
    """

    deployment: str
    release: str
    serials: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def highest_serial(self, deployment: str, channel: str) -> int:
        """The highest serial that was seen of a channel; 0 for none."""
        return self.serials.get(deployment, {}).get(channel, 0)

    def to_bytes(self) -> bytes:
        """The record's file."""
        document = {
            "schema": _SCHEMA,
            "deployment": self.deployment,
            "release": self.release,
            "serials": {each: dict(seen) for each, seen in self.serials.items()},
            "files": list(self.files),
        }
        return (json.dumps(document, sort_keys=True, indent=2) + "\n").encode()


def read_record(folder: Path) -> PullRecord | None:
    """The record of a pulled release; None where an earlier version of this product pulled it.

    Raises:
        DownloadError: It is damaged.
    """
    path = folder / RECORD
    try:
        with path.open("rb") as file:
            document = parse_object(file.read(_RECORD_LIMIT + 1), _RECORD_LIMIT)
        if document["schema"] != _SCHEMA:
            raise ValueError(f"schema {document['schema']!r}")
        serials = {
            str(deployment): {str(channel): _serial(value) for channel, value in seen.items()}
            for deployment, seen in document["serials"].items()
        }
        files = tuple(map(str, document.get("files", [])))
        return PullRecord(str(document["deployment"]), str(document["release"]), serials, files)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (JsonObjectError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DownloadError(
            f"{path}: is damaged ({error}); delete {folder} and pull the release again"
        ) from None


def _serial(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a serial is no whole number")
    return value


def reason_against_replacing(folder: Path, verify: VerifyWithKey) -> str | None:
    """Why a folder with content must not be replaced by a release; None where it is a release.

    It is one by its record, with no other files than those that the record names; or, pulled by an
    earlier version of this product, by a manifest whose files are exactly those that are there,
    unchanged, signed by the key beside them.

    Args:
        folder: Exists.
        verify: Checks a signature with a key.

    Raises:
        DownloadError: Its record is damaged.
    """
    if not folder.is_dir():
        return "is there and is no folder; name another"
    if (folder / RECORD).is_file() and not (folder / RECORD).is_symlink():
        record = read_record(folder)
        known = {RECORD, *(record.files if record else ())} | _DESKTOP_FILES
        others = sorted(path.name for path in folder.iterdir() if path.name not in known)
        if record and record.files and others:
            return (
                f"holds {printable(others[0])!r}, which no pull has written there; move it, or "
                "name another folder"
            )
        return None
    try:
        key = _small_file(folder, PUBLIC_KEY).decode("ascii")
        manifest = verify_folder(folder, partial(verify, key))
    except (DownloadError, ManifestError, ValueError):
        return "is there and is no release that was pulled; name another folder"
    expected = {*manifest["files"], MANIFEST, SIGNATURE, PUBLIC_KEY}
    if {path.name for path in folder.iterdir()} != expected:
        return "holds other files beside a release; name another folder, or move them"
    return None


def verify_folder(folder: Path, verify: Verify, stated_sha256: str | None = None) -> dict[str, Any]:
    """Checks a release on disk, offline: signature, size and digest of every file, and no others.

    Args:
        folder: The pulled release.
        verify: Accepts the signatures of trusted keys.
        stated_sha256: Hex digest of the manifest in a verified statement, whose signature then
            stands for the manifest's own; None without one.

    Returns:
        The manifest.

    Raises:
        DownloadError: A file is missing.
        ManifestError: Something is not what was signed, or was added.
    """
    body = _small_file(folder, MANIFEST)
    if sha256(body) != stated_sha256 and not verify(_small_file(folder, SIGNATURE), body):
        raise ManifestError(
            f"{folder}: the signature of its manifest is no trusted key's; do not use this release"
        )
    manifest = parse(body, str(folder))
    for name, file in files_of(manifest, str(folder)).items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise DownloadError(f"{path}: is missing; pull the release again")
        with path.open("rb") as stream:
            check_file(iter(partial(stream.read, _CHUNK), b""), file, str(path))
    _refuse_added(folder, {*manifest["files"], MANIFEST, *UNSIGNED_FILES})
    return manifest


def _refuse_added(folder: Path, known: Collection[str]) -> None:
    """Refuses what is no file of the release: a program may load it for the name that it has."""
    for path in sorted(folder.iterdir()):
        if path.name not in known or path.is_symlink() or not path.is_file():
            raise ManifestError(
                f"{folder}: holds {printable(path.name)!r}, which is no file that was signed; "
                "delete it, or pull the release to another folder"
            )


def check_file(chunks: Iterable[bytes], file: File, label: str) -> None:
    """Reads a file's chunks and compares size and digest with what was signed.

    Raises:
        ManifestError: They differ.
    """
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        if size > file.bytes:
            break
    if size != file.bytes or digest.hexdigest() != file.sha256:
        raise ManifestError(f"{label}: is not the file that was signed (size or digest differ)")


def _small_file(folder: Path, name: str) -> bytes:
    limit = MANIFEST_LIMIT if name == MANIFEST else SIGNATURE_LIMIT * 4
    try:
        with (folder / name).open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise DownloadError(
            f"{folder}: is no release ({error.strerror}: {error.filename})"
        ) from None
    if len(content) > limit:
        raise ManifestError(f"{folder / name}: is longer than {limit} bytes")
    return content
