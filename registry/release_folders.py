"""Which releases are in the bucket, by their manifests: what is complete, and what is left over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from registry.aws import is_missing
from registry.manifest import MANIFEST
from registry.names import RELEASES_PREFIX


@dataclass(frozen=True)
class Folder:
    """One release's folder.

    Attributes:
        release: The release's id.
        published: When its manifest was written; None where it has none: the release is absent.
        touched: When the newest of its files was written.
    """

    release: str
    published: datetime | None
    touched: datetime

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
    current, published, touched = "", None, None
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            release, _, file = entry["Key"].removeprefix(RELEASES_PREFIX).partition("/")
            if release != current:
                if touched:
                    yield Folder(current, published, touched)
                current, published, touched = release, None, entry["LastModified"]
            if file == MANIFEST:
                published = entry["LastModified"]
            touched = max(touched or entry["LastModified"], entry["LastModified"])
    if touched:
        yield Folder(current, published, touched)


def releases_of(s3: Any, bucket: str, name: str) -> list[str]:
    """The ids of a version's complete releases, newest first."""
    found = [(each.published, each.release) for each in folders(s3, bucket, name) if each.published]
    return [release for _, release in sorted(found, reverse=True)]


def newest_release(s3: Any, bucket: str, name: str) -> str | None:
    """The id of a version's newest complete release, or None."""
    return next(iter(releases_of(s3, bucket, name)), None)
