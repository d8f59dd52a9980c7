"""Retention: which releases are retired, and how without breaking a channel.

A release is retired in two steps, a day apart. First it is marked: a copy of its manifest,
``retired.json``, appears in its folder, and from that moment it counts as absent, so no channel can
begin to point to it. The channels are read after that; where one has come to need it, the mark is
taken away and the release is there again, as it was. A day later, when whoever was at work then has
long ended, its files are deleted, but for the mark and the signature: what it was, from which
model, with which figures, is still known for a device that runs it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from registry.deployment import Deployment
from registry.names import RELEASES_PREFIX, RETIRED
from registry.releases import channel_targets
from registry.releases.folders import Folder, folder
from registry.releases.manifest import MANIFEST
from registry.releases.pointers import ChannelError

#: The time between the mark and the deletion.
GRACE = timedelta(days=1)


def protected_releases(
    every: Iterable[Folder], in_use: Collection[str], keep: int
) -> frozenset[str]:
    """The releases that are kept: those that channels use, and the newest.

    Args:
        every: All folders of the release bucket.
        in_use: What channels point to and may go back to
            (:func:`registry.releases.channel_targets.releases_in_use`).
        keep: How many of the newest are kept.
    """
    complete = sorted(
        ((each.published, each.release) for each in every if each.published), reverse=True
    )
    return frozenset(in_use) | {release for _, release in complete[:keep]}


def releases_to_retire(
    version_folders: Iterable[Folder], protected: Collection[str] | None, moment: datetime
) -> tuple[str, ...]:
    """A version's releases that are to be marked, and those that are marked and to be looked at
    again: long enough ago to be deleted, or needed by a channel all the same.

    Args:
        version_folders: The version's folders.
        protected: The answer of :func:`protected_releases`; None where none is to be marked.
        moment: Now.
    """
    return tuple(
        each.release
        for each in version_folders
        if (each.published and protected is not None and each.release not in protected)
        or (each.retired and each.heavy and _is_due(each, protected, moment))
    )


def _is_due(marked: Folder, protected: Collection[str] | None, moment: datetime) -> bool:
    assert marked.retired
    return moment - marked.retired >= GRACE or (
        protected is not None and marked.release in protected
    )


def is_retired(version_folders: Sequence[Folder], release: str, started: datetime | None) -> bool:
    """Whether a version without a release is to stay so, until a person has it compiled again.

    Args:
        version_folders: The version's folders, none of them complete.
        release: Its release with the present compile settings.
        started: When its newest compile job with those compile settings was started; None for none.
    """
    own = next((each for each in version_folders if each.release == release), None)
    if own is None:
        return started is None and any(each.retired for each in version_folders)
    return own.retired is not None and (started is None or started <= own.retired)


def retire(deployment: Deployment, release: str, moment: datetime) -> bool:
    """Takes the next step of a retirement; safe to repeat, and for two callers at once.

    Returns:
        Whether the release is absent now; False where a channel uses it, or where a pointer or a
        hold cannot be read, so that the releases in use are not known.
    """
    prefix = f"{RELEASES_PREFIX}{release}/"
    found = folder(deployment.s3, deployment.release_bucket, release)
    if found is None:
        return True
    if found.published:
        body = deployment.s3.get_object(Bucket=deployment.release_bucket, Key=prefix + MANIFEST)[
            "Body"
        ].read()
        deployment.s3.put_object(
            Bucket=deployment.release_bucket,
            Key=prefix + RETIRED,
            Body=body,
            ContentType="application/json",
        )
    try:
        in_use = release in channel_targets.releases_in_use(deployment)
    except ChannelError:
        if found.retired:
            return False
        in_use = True
    if in_use:
        deployment.s3.delete_object(Bucket=deployment.release_bucket, Key=prefix + RETIRED)
        return False
    if found.retired and moment - found.retired >= GRACE:
        # The manifest first: without it the release stays absent, whatever happens to the mark.
        rest = sorted(found.files - found.record - {MANIFEST})
        for file in [MANIFEST, *rest]:
            deployment.s3.delete_object(Bucket=deployment.release_bucket, Key=prefix + file)
    return True
