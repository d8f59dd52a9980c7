"""Channels: which release a device should run, computed from the state and nothing else.

``stable`` points to the release of the newest approved student version that has one. No history
is needed to compute it, so rejecting a version makes the pointer fall back by itself. The pointer
is moved by compare-and-swap (``If-Match``); the bucket's versions keep its history.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from registry.aws import error_code, is_missing
from registry.manifest import MANIFEST
from registry.names import CHANNELS_PREFIX, RELEASES_PREFIX, STABLE_CHANNEL
from registry.packages import APPROVED, iterate

_SWAP_ATTEMPTS = 8
_POINTER_LIMIT = 16 * 1024


class ChannelError(RuntimeError):
    """A pointer that cannot be read or moved; names the channel and the cause."""


@dataclass(frozen=True)
class Pointer:
    """Where a channel points.

    Attributes:
        release: The release's id, or None where no version qualifies.
        package_arn: The approved student version that it was made from.
        name: That version's name.
    """

    release: str | None
    package_arn: str | None = None
    name: str | None = None


def pointer_key(channel: str) -> str:
    """The pointer's key in the release bucket."""
    return f"{CHANNELS_PREFIX}{channel}.json"


def read(s3: Any, bucket: str, channel: str = STABLE_CHANNEL) -> tuple[Pointer | None, str | None]:
    """Reads a pointer and its ETag; (None, None) before the first release.

    Raises:
        ChannelError: The object is no pointer.
    """
    try:
        answer = s3.get_object(Bucket=bucket, Key=pointer_key(channel))
    except ClientError as error:
        if is_missing(error):
            return None, None
        raise
    try:
        document = json.loads(answer["Body"].read(_POINTER_LIMIT))
        pointer = Pointer(document["release"], document["package_arn"], document["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise ChannelError(
            f"channel {channel}: s3://{bucket}/{pointer_key(channel)} is no pointer ({error!r})"
        ) from None
    return pointer, str(answer["ETag"])


def compute(sagemaker: Any, s3: Any, *, group: str, bucket: str) -> Pointer:
    """Where ``stable`` should point: the newest approved stage-2 student that has a release."""
    for row in iterate(sagemaker, group, approval=APPROVED):
        if row.name is not None and row.name.releasable:
            release = newest_release(s3, bucket, str(row.name))
            if release:
                return Pointer(release, row.arn, str(row.name))
    return Pointer(None)


def newest_release(s3: Any, bucket: str, name: str) -> str | None:
    """The id of a version's newest complete release, or None."""
    prefix = f"{RELEASES_PREFIX}{name}."
    found = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            folder, _, file = entry["Key"].removeprefix(RELEASES_PREFIX).partition("/")
            if file == MANIFEST:
                found.append((entry["LastModified"], folder))
    return max(found)[1] if found else None


def move(
    sagemaker: Any, s3: Any, *, group: str, bucket: str, channel: str = STABLE_CHANNEL
) -> Pointer:
    """Makes the pointer equal to its definition and returns it.

    The ETag is read before the state is, so that whatever changes in between makes the swap
    fail and the computation start again.

    Raises:
        ChannelError: Others kept moving the pointer at the same moments.
    """
    for _ in range(_SWAP_ATTEMPTS):
        current, etag = read(s3, bucket, channel)
        wanted = compute(sagemaker, s3, group=group, bucket=bucket)
        if current == wanted or (current is None and wanted.release is None):
            return wanted
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            s3.put_object(
                Bucket=bucket,
                Key=pointer_key(channel),
                Body=json.dumps({"channel": channel, **asdict(wanted)}, indent=2).encode(),
                ContentType="application/json",
                **condition,
            )
            return wanted
        except ClientError as error:
            if error_code(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
    raise ChannelError(
        f"channel {channel}: moved by others {_SWAP_ATTEMPTS} times in a row; repeat it"
    )
