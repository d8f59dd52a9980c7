"""Which releases are in the bucket, by their manifests: what is complete, and what is left over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from registry.aws import is_missing
from registry.manifest import MANIFEST, SIGNATURE
from registry.names import RELEASES_PREFIX

#: What the manifest is called once its release was let go: a record, and no release.
RETIRED = "retired.json"


@dataclass(frozen=True)
class Folder:
    """One release's folder.

    Attributes:
        release: The release's id.
        published: When its manifest was written; None where it has none: the release is absent.
        touched: When the newest of its files was written.
        retired: When it was let go, where it was.
        heavy: Whether it has files beside its manifest and its signature.
    """

    release: str
    published: datetime | None
    touched: datetime
    retired: datetime | None = None
    heavy: bool = True

    @property
    def name(self) -> str:
        """The name of the version that it was made from."""
        return self.release.partition(".")[0]


def is_complete(s3: Any, bucket: str, release: str) -> bool:
    """Whether a release is there: its manifest, which is written last, exists."""
    try:
        s3.head_object(Bucket=bucket, Key=f"{RELEASES_PREFIX}{release}/{MANIFEST}")
    except ClientError as error:
        if is_missing(error):
            return False
        raise
    return True


def folders(s3: Any, bucket: str, name: str = "") -> Iterator[Folder]:
    """The releases' folders by id; those of one version where ``name`` is given."""
    prefix = f"{RELEASES_PREFIX}{name}." if name else RELEASES_PREFIX
    current, files = "", dict[str, datetime]()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            release, _, file = entry["Key"].removeprefix(RELEASES_PREFIX).partition("/")
            if release != current:
                if files:
                    yield _folder(current, files)
                current, files = release, {}
            files[file] = entry["LastModified"]
    if files:
        yield _folder(current, files)


def _folder(release: str, files: dict[str, datetime]) -> Folder:
    return Folder(
        release,
        files.get(MANIFEST),
        max(files.values()),
        files.get(RETIRED),
        heavy=bool(set(files) - {MANIFEST, SIGNATURE, RETIRED}),
    )


def complete(folders: Iterable[Folder]) -> list[str]:
    """The ids of those that are complete, newest first."""
    found = [(each.published, each.release) for each in folders if each.published]
    return [release for _, release in sorted(found, reverse=True)]


def releases_of(s3: Any, bucket: str, name: str) -> list[str]:
    """The ids of a version's complete releases, newest first."""
    return complete(folders(s3, bucket, name))


def newest_release(s3: Any, bucket: str, name: str) -> str | None:
    """The id of a version's newest complete release, or None."""
    return next(iter(releases_of(s3, bucket, name)), None)
