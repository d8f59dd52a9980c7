"""Moving a channel: verify the release, sign the statement, write both by compare-and-swap.

Pointer, history and statement are one object, and ``If-Match`` on its ETag makes writing it a
compare-and-swap (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from registry.aws_errors import Meaning, means
from registry.deployment import Deployment
from registry.names import STABLE_CHANNEL
from registry.releases import statement as statements
from registry.releases.channel_targets import compute, rollout
from registry.releases.folders import is_complete
from registry.releases.manifest import ManifestError
from registry.releases.pointers import (
    ChannelError,
    Move,
    Pointer,
    moves_of,
    pointer_key,
    read_object,
)
from registry.releases.publication import withdraw
from registry.releases.release_owner import owner_arn
from registry.releases.signatures.signing import signing_key
from registry.releases.statement import STATEMENT, Statement, StatementError
from registry.releases.verification import verify_release

#: How many earlier targets a pointer remembers; the bucket's own versions hold the rest.
HISTORY_LIMIT = 50
_SWAP_ATTEMPTS = 8


def move(
    deployment: Deployment,
    channel: str = STABLE_CHANNEL,
    *,
    digests: dict[str, str] | None = None,
    report_damaged: Callable[[Pointer, str], None] = lambda pointer, fault: None,
) -> Pointer:
    """Makes the pointer equal to its definition, with a valid statement, and returns it.

    The ETag is read before the state is, so that whatever changes in between makes the swap
    fail and the computation start again. A release that was withdrawn or retired meanwhile is
    found by a last check, and the computation starts again. A release that is not what was signed
    is withdrawn: the channel points to the next one, and the version is published again from its
    compile job.

    Args:
        deployment: Clients, names and the signing key.
        channel: Its name.
        digests: SHA-256 of the manifest by release, of those that were verified a moment ago;
            added to.
        report_damaged: Called with (pointer to it, fault) for each release that was withdrawn.

    Raises:
        UnknownChannelError: The channel is not declared.
        ChannelError: Others kept moving the pointer at the same moments.
    """
    verified = {} if digests is None else digests
    attempts = 0
    while attempts < _SWAP_ATTEMPTS:
        document, etag = read_object(deployment.s3, deployment.release_bucket, pointer_key(channel))
        before = _moves(document, channel)
        wanted = compute(deployment, channel)
        if etag is None and wanted.release is None:
            return wanted
        left = before[0].pointer if before else Pointer(None)
        if left.release != wanted.release and (fault := _fault_of_passed_over(deployment, left)):
            assert left.release is not None
            withdraw(deployment, left.release)
            report_damaged(left, fault)
        try:
            digest = _digest(deployment, wanted.release, verified)
        except ManifestError as error:
            assert wanted.release is not None
            if is_complete(deployment.s3, deployment.release_bucket, wanted.release):
                withdraw(deployment, wanted.release)
                report_damaged(wanted, str(error))
            else:
                attempts += 1
            continue
        stated = last_statement(deployment, document or {}, channel)
        unchanged = bool(before) and wanted == before[0].pointer
        share = rollout(deployment, channel, wanted)
        current = stated and is_current(stated, wanted.release, digest, deployment, share)
        if unchanged and current:
            return wanted
        following = statements.issue(
            channel,
            deployment.identity,
            wanted.release,
            digest,
            after=stated.serial if stated else 0,
            now=deployment.now(),
            lifetime=timedelta(days=deployment.statement_days),
            rollout=share,
        )
        body = _document(deployment, wanted, following, before, unchanged=unchanged)
        if swap(deployment, channel, body, etag) and (
            wanted.release is None
            or is_complete(deployment.s3, deployment.release_bucket, wanted.release)
        ):
            return wanted
        attempts += 1
    raise ChannelError(
        f"channel {channel}: moved by others {_SWAP_ATTEMPTS} times in a row; repeat it"
    )


def last_statement(
    deployment: Deployment, document: Mapping[str, Any], channel: str
) -> Statement | None:
    """The statement in a pointer object; None where it is not this deployment's own."""
    try:
        return statements.verified(
            document.get(STATEMENT),
            signing_key(deployment).verify,
            channel=channel,
            deployment=deployment.identity,
            label=pointer_key(channel),
        )
    except StatementError:
        return None


def is_current(
    stated: Statement,
    release: str | None,
    digest: str | None,
    deployment: Deployment,
    rollout: int,
) -> bool:
    """Whether a verified statement says what it should, for some time yet."""
    says = (stated.release, stated.manifest_sha256, stated.rollout)
    return says == (release, digest, rollout) and not stated.is_due(deployment.now())


def _digest(deployment: Deployment, release: str | None, verified: dict[str, str]) -> str | None:
    if release is None:
        return None
    if release not in verified:
        verified[release] = verify_release(deployment, release).sha256
    return verified[release]


def _fault_of_passed_over(deployment: Deployment, left: Pointer) -> str:
    """What is wrong with a release that the channel leaves because its manifest does not name its
    version any more: such a release counts as none, so it is never the target that is verified.

    The pointer may be somebody else's: it only says where to look.
    """
    s3, bucket = deployment.s3, deployment.release_bucket
    if left.release is None or not is_complete(s3, bucket, left.release):
        return ""
    try:
        if owner_arn(s3, bucket, left.release) != left.package_arn:
            verify_release(deployment, left.release)
    except ManifestError as error:
        return str(error)
    except ClientError:
        # Not known to be damaged; the channel leaves it all the same.
        return ""
    return ""


def _moves(document: Mapping[str, Any] | None, channel: str) -> list[Move]:
    try:
        return [] if document is None else moves_of(document, pointer_key(channel))
    except ChannelError:
        # Not written by the automation; its right content can be computed.
        return []


def _document(
    deployment: Deployment,
    wanted: Pointer,
    stated: Statement,
    before: list[Move],
    *,
    unchanged: bool,
) -> dict[str, Any]:
    """The pointer object. A statement that is only renewed is no move, so the history stays."""
    since = before[0].since if unchanged else deployment.now().isoformat(timespec="milliseconds")
    earlier = before[1:] if unchanged else before
    key = signing_key(deployment)
    return {
        "channel": stated.channel,
        **asdict(wanted),
        "since": since,
        "history": [{**asdict(each.pointer), "since": each.since} for each in earlier]
        [:HISTORY_LIMIT],
        STATEMENT: key.seal(statements.PAYLOAD_TYPE, stated.payload()).to_dict(),
    }  # fmt: skip


def swap(
    deployment: Deployment, channel: str, document: Mapping[str, Any], etag: str | None
) -> bool:
    """Writes the pointer object if nobody has since; says whether it did."""
    condition: dict[str, Any] = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    try:
        deployment.s3.put_object(
            Bucket=deployment.release_bucket,
            Key=pointer_key(channel),
            Body=json.dumps(document, indent=2).encode(),
            ContentType="application/json",
            **condition,
        )
    except ClientError as error:
        if not means(error, Meaning.LOST_WRITE):
            raise
        return False
    return True
