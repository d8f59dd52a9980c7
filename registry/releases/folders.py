"""The releases in the bucket: complete, retired, and incomplete ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from registry.aws import objects_below
from registry.names import RELEASES_PREFIX, RETIRED
from registry.releases.manifest import MANIFEST

#: Under both of its names: see registry/releases/signatures/release_signatures.py.
_SIGNATURE_KINDS = ("manifest", "model", "provenance")
_SIGNATURE = re.compile(rf"({'|'.join(_SIGNATURE_KINDS)})\.[0-9a-f]{{64}}\.sig", re.ASCII)
_MANIFEST_SIGNATURE = re.compile(r"manifest(\.[0-9a-f]{64})?\.sig", re.ASCII)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@dataclass(frozen=True)
class Folder:
    """One release's folder.

    Attributes:
        release: The release's id.
        published: When its manifest was written; None where the release is absent: it has no
            manifest, or it was retired.
        touched: When the newest of its files was written.
        retired: When it was retired; None where it was not.
        files: Their names.
    """

    release: str
    published: datetime | None
    touched: datetime
    retired: datetime | None = None
    files: frozenset[str] = frozenset()

    @property
    def heavy(self) -> bool:
        """Whether it has files besides the record that is kept."""
        return bool(self.files - self.record)

    @property
    def record(self) -> frozenset[str]:
        """The files that stay for ever: what the release was, and that it was signed."""
        return frozenset(
            file for file in self.files if file == RETIRED or _MANIFEST_SIGNATURE.fullmatch(file)
        )

    @property
    def missing_signatures(self) -> tuple[str, ...]:
        """The signatures that releases of earlier versions of this product lack; whether those that
        are there fit is :func:`registry.releases.verification.verify_release`'s to say."""
        found = {match[1] for file in self.files if (match := _SIGNATURE.fullmatch(file))}
        return tuple(f"{kind}.sig" for kind in _SIGNATURE_KINDS if kind not in found)

    @property
    def name(self) -> str:
        """The name of the version that it was made from."""
        return self.release.partition(".")[0]


def is_complete(s3: S3Client, bucket: str, release: str) -> bool:
    """Whether a release is there: its manifest, which is written last, exists, and no mark."""
    found = folder(s3, bucket, release)
    return found is not None and found.published is not None


def folder(s3: S3Client, bucket: str, release: str) -> Folder | None:
    """One release's folder; None where there is none."""
    return next(_listed(s3, bucket, f"{RELEASES_PREFIX}{release}/"), None)


def folders(s3: S3Client, bucket: str, name: str = "") -> Iterator[Folder]:
    """The releases' folders by id; those of one version where ``name`` is given."""
    yield from _listed(s3, bucket, f"{RELEASES_PREFIX}{name}." if name else RELEASES_PREFIX)


def _listed(s3: S3Client, bucket: str, prefix: str) -> Iterator[Folder]:
    current, files = "", dict[str, datetime]()
    for entry in objects_below(s3, bucket, prefix):
        release, _, file = entry["Key"].removeprefix(RELEASES_PREFIX).partition("/")
        if release != current:
            if files:
                yield _folder(current, files)
            current, files = release, {}
        files[file] = entry["LastModified"]
    if files:
        yield _folder(current, files)


def _folder(release: str, files: dict[str, datetime]) -> Folder:
    retired = files.get(RETIRED)
    published = None if retired else files.get(MANIFEST)
    return Folder(release, published, max(files.values()), retired, frozenset(files))


def complete(folders: Iterable[Folder]) -> list[str]:
    """The ids of those that are complete, newest first."""
    found = [(each.published, each.release) for each in folders if each.published]
    return [release for _, release in sorted(found, reverse=True)]


def releases_of(s3: S3Client, bucket: str, name: str) -> list[str]:
    """The ids of a version's complete releases, newest first."""
    return complete(folders(s3, bucket, name))


def newest_release(s3: S3Client, bucket: str, name: str) -> str | None:
    """The id of a version's newest complete release, or None."""
    return next(iter(releases_of(s3, bucket, name)), None)
