"""Retention: which releases may go, and how one goes without a channel noticing.

A release that is let go leaves its manifest and the signature behind, under another name: what it
was, from which model, with which figures, can still be told of a device that runs it. What takes
room is deleted, and the bucket keeps deleted objects for a while.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from registry import channel
from registry.aws import put_once
from registry.manifest import MANIFEST, SIGNATURE
from registry.names import RELEASES_PREFIX
from registry.release_folders import RETIRED, Folder

_RECORD = (RETIRED, SIGNATURE)


def spared(every: Iterable[Folder], bound: Collection[str], keep: int) -> frozenset[str]:
    """The releases that stay: those that channels need, and the newest.

    Args:
        every: All folders of the release bucket.
        bound: What channels point to and may go back to (:func:`registry.channel.bound`).
        keep: How many of the newest stay.
    """
    complete = sorted(
        ((each.published, each.release) for each in every if each.published), reverse=True
    )
    return frozenset(bound) | {release for _, release in complete[:keep]}


def is_quiet(mine: Iterable[Folder], started: datetime | None) -> bool:
    """Whether nobody has had a version compiled since its last release came or went.

    Args:
        mine: The version's folders.
        started: When its newest compile job was.
    """
    moments = [each.published or each.retired for each in mine]
    last = max((moment for moment in moments if moment), default=None)
    return last is not None and (started is None or started <= last)


def going(mine: Sequence[Folder], stay: frozenset[str], *, quiet: bool) -> tuple[str, ...]:
    """A version's releases that are to go, and once none stays what else left files.

    Args:
        mine: The version's folders.
        stay: What :func:`spared` says.
        quiet: What :func:`is_quiet` says: files without a manifest are of no release to come.
    """
    complete = {each.release for each in mine if each.published}
    leftovers = quiet and not complete & stay
    return tuple(
        each.release
        for each in mine
        if (each.release not in stay if each.published else leftovers and each.heavy)
    )


def retire(at: channel.Place, release: str) -> bool:
    """Lets a release go, unless a channel has come to need it meanwhile.

    Without its manifest no channel can begin to point to it (:func:`registry.channel.move` looks
    once more after it has moved). Only then the pointers are read, and only then files deleted.
    Safe to repeat wherever it was interrupted.

    Returns:
        Whether it is gone.
    """
    prefix = f"{RELEASES_PREFIX}{release}/"
    pages = at.s3.get_paginator("list_objects_v2").paginate(Bucket=at.bucket, Prefix=prefix)
    files = [
        entry["Key"].removeprefix(prefix) for page in pages for entry in page.get("Contents", [])
    ]
    if MANIFEST in files:
        body = at.s3.get_object(Bucket=at.bucket, Key=prefix + MANIFEST)["Body"].read()
        at.s3.put_object(
            Bucket=at.bucket, Key=prefix + RETIRED, Body=body, ContentType="application/json"
        )
        at.s3.delete_object(Bucket=at.bucket, Key=prefix + MANIFEST)
        if release in channel.bound(at):
            put_once(at.s3, at.bucket, prefix + MANIFEST, body)
            return False
    for file in files:
        if file not in (MANIFEST, *_RECORD):
            at.s3.delete_object(Bucket=at.bucket, Key=prefix + file)
    return True
