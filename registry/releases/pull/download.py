"""Pulling a release: who signed it, which one the channel states, every file, then all at once."""

# Over 400 lines: it is one order of checks, from the statement to the last file.

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws_errors import is_denied, is_missing
from registry.channels import declared
from registry.clock import utc_now
from registry.names import RELEASES_PREFIX, STABLE_CHANNEL, is_version_arn
from registry.releases.manifest import (
    MANIFEST,
    MANIFEST_LIMIT,
    SIGNATURE,
    ManifestError,
    files_of,
    parse,
    sha256,
)
from registry.releases.pointers import pointer_key
from registry.releases.pointers import read as read_pointer
from registry.releases.pull.bounded_transfer import CHUNK, Transfers
from registry.releases.pull.pulled_folder import (
    PUBLIC_KEY,
    RECORD,
    SIGNATURE_LIMIT,
    STATEMENT_FILE,
    DownloadError,
    PullRecord,
    check_file,
    read_record,
    reason_against_replacing,
)
from registry.releases.pull.replaced_folder import replaced_folder
from registry.releases.signatures.trust import (
    DOCUMENT_LIMIT,
    TrustedDeployment,
    VerifyWithKey,
    fingerprint,
    follow_rotation,
    rotation_key,
)
from registry.releases.statement import STATEMENT, Statement, StatementError, verified
from registry.untrusted.json_object import JsonObjectError, parse_object

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: Signatures for standard tools, which releases of earlier versions of this product lack.
_FURTHER_SIGNATURES = ("model.sig", "provenance.sig")
_FURTHER_LIMIT = 256 * 1024
#: Bytes of a channel's pointer object.
POINTER_LIMIT = 256 * 1024


@dataclass(frozen=True)
class PulledRelease:
    """A release that was pulled.

    Attributes:
        manifest: Its manifest.
        statement: The channel's; None for a release that was asked for by its id.
        expired: Whether the statement should have been renewed: the channel may be frozen.
        trusted: What was trusted, with the successors of keys that were followed.
    """

    manifest: dict[str, Any]
    statement: Statement | None
    expired: bool
    trusted: TrustedDeployment


@dataclass
class ReleaseSource:
    """Where releases are pulled from, and whom to trust.

    Attributes:
        s3: A boto3 S3 client.
        trusted: The deployment, its bucket and keys; grows as changes of keys are followed.
        verify: Checks a signature with a key; given, so that this package needs no cryptography.
        transfers: Limits the time of everything that is fetched.
        now: The clock, by which a statement expires.
    """

    s3: S3Client
    trusted: TrustedDeployment
    verify: VerifyWithKey
    transfers: Transfers = field(default_factory=Transfers)
    now: Callable[[], datetime] = utc_now

    def fetch(self, key: str, limit: int, *, optional: bool = False) -> bytes | None:
        """A small object; None where there is none.

        Args:
            key: Its key.
            limit: The most bytes that it may have.
            optional: That it may well be missing: S3 answers AccessDenied to a caller who may not
                list the whole bucket.

        Raises:
            ManifestError: It is longer than ``limit`` bytes.
            TransferError: It took too long.
        """
        content = bytearray()
        try:
            for chunk in self.stream(key):
                content += chunk
                if len(content) > limit:
                    raise ManifestError(f"{key}: is longer than {limit} bytes")
        except ClientError as error:
            if is_missing(error) or (optional and is_denied(error)):
                return None
            raise
        return bytes(content)

    def stream(self, key: str) -> Iterator[bytes]:
        """An object's chunks, within the limits of time."""

        def read() -> Iterable[bytes]:
            body = self.s3.get_object(Bucket=self.trusted.bucket, Key=key)["Body"]
            yield from body.iter_chunks(CHUNK)

        return self.transfers.chunks(read, f"s3://{self.trusted.bucket}/{key}")

    def follow_successor(self) -> bool:
        """Trusts the successor of the newest key, if the deployment has one that it has signed for.

        Raises:
            TrustError: There is a document, and it is not to be followed.
        """
        key = rotation_key(fingerprint(self.trusted.keys[-1]))
        body = self.fetch(key, DOCUMENT_LIMIT, optional=True)
        if body is None:
            return False
        self.trusted = follow_rotation(self.trusted, _json(body, DOCUMENT_LIMIT), self.verify, key)
        return True

    def statement(self, channel: str) -> tuple[Statement, Mapping[str, Any]]:
        """A channel's statement, verified, and its envelope.

        A statement of a key that follows the newest trusted one is accepted, and then no older
        key's any more.

        Raises:
            UnknownChannelError: The channel is not declared.
            DownloadError: The channel points to nothing, or has no statement.
            StatementError: It is malformed, of another channel or deployment, or not signed.
            TrustError: A change of keys is not to be followed.
        """
        declared(channel)
        key = pointer_key(channel)
        body = self.fetch(key, POINTER_LIMIT)
        if body is None:
            raise DownloadError(
                f"channel {channel}: points to no release yet; approve a stage-2 student first"
            )
        return self.verified_statement(channel, body)

    def verified_statement(self, channel: str, body: bytes) -> tuple[Statement, Mapping[str, Any]]:
        """The statement in a channel's pointer object, verified, and its envelope.

        Args:
            channel: The channel's name.
            body: The pointer object, from outside.

        Raises:
            DownloadError, StatementError, TrustError: As :meth:`statement`.
        """
        key = pointer_key(channel)
        document = _json(body, POINTER_LIMIT) or {}
        envelope = document.get(STATEMENT)
        if not isinstance(envelope, Mapping):
            raise DownloadError(
                f"channel {channel}: {key} has no signed statement; deploy the automation of this "
                "version and run cards release sign --all, or pull a release by its id with "
                "--release"
            )
        first: StatementError | None = None
        while True:
            try:
                stated = verified(
                    envelope,
                    self.trusted.verify_newest(self.verify),
                    channel=channel,
                    deployment=self.trusted.identity,
                    label=key,
                )
                return stated, envelope
            except StatementError as error:
                first = first or error
                if not self.follow_successor():
                    raise first from None


def release_in_channel(s3: S3Client, bucket: str, channel: str = STABLE_CHANNEL) -> str:
    """The id of the release that a channel points to, its statement not verified.

    Raises:
        UnknownChannelError: The channel is not declared.
        DownloadError: It points to nothing.
    """
    declared(channel)
    pointer, _ = read_pointer(s3, bucket, channel)
    if pointer is None or pointer.release is None:
        raise DownloadError(
            f"channel {channel}: points to no release yet; approve a stage-2 student first"
        )
    return pointer.release


def pull(
    source: ReleaseSource,
    folder: Path,
    *,
    channel: str = STABLE_CHANNEL,
    release: str | None = None,
    progress: Callable[[str, int], None] = lambda name, size: None,
) -> PulledRelease:
    """Downloads a release into a folder, which is the old or the new release at every moment.

    Args:
        source: Where from, and whom to trust.
        folder: The folder to make; it may hold nothing but an older release. All of it becomes
            readable for every user of the machine.
        channel: Whose release; ignored with ``release``.
        release: A release's id, by which a person asks for it; no statement is needed.
        progress: Called with (file, its size) before each file.

    Raises:
        DownloadError: There is no such release, or the statement is older than one seen before.
        FolderError: The folder holds something else, or cannot be replaced.
        ManifestError: The signature, a digest or a size is wrong.
        StatementError: The channel's statement is not to be followed.
        TransferError: It took too long.
        TrustError: A change of keys is not to be followed.
    """

    def refuse(found: Path) -> str | None:
        return reason_against_replacing(found, source.verify)

    with replaced_folder(folder, refuse) as new:
        before = read_record(folder)
        stated: Statement | None = None
        envelope: Mapping[str, Any] | None = None
        if release is None:
            stated, envelope = source.statement(channel)
            _check_serial(stated, before)
            if stated.release is None:
                raise DownloadError(
                    f"channel {channel}: points to no release; approve a stage-2 student first"
                )
        name = release if release is not None else str(stated and stated.release)
        manifest = _download(source, name, stated, new, progress)
        (new / PUBLIC_KEY).write_text(source.trusted.keys[-1])
        if envelope is not None:
            (new / STATEMENT_FILE).write_text(json.dumps(envelope, indent=2) + "\n")
        record = _record(source, name, stated, before, new)
        (new / RECORD).write_bytes(record.to_bytes())
    expired = stated is not None and stated.has_expired(source.now())
    return PulledRelease(manifest, stated, expired, source.trusted)


def read_manifest(
    source: ReleaseSource, release: str, expected_sha256: str | None = None
) -> tuple[dict[str, Any], bytes, bytes]:
    """A release's manifest, verified; its bytes and its signature.

    Args:
        source: Where from, and whom to trust.
        release: The release's id.
        expected_sha256: Hex digest that the channel's statement names, which its signature covers;
            then a signature of the manifest by a key that is not trusted any more does no harm.
            None without a statement.

    Raises:
        DownloadError: There is no such release.
        ManifestError: It is not the one that was stated or signed.
    """
    prefix = f"{RELEASES_PREFIX}{release}/"
    body = source.fetch(prefix + MANIFEST, MANIFEST_LIMIT)
    if body is None:
        raise DownloadError(
            f"{release}: s3://{source.trusted.bucket}/{prefix}{MANIFEST} does not exist; "
            "cards release list shows what there is"
        )
    if expected_sha256 is not None and sha256(body) != expected_sha256:
        raise ManifestError(
            f"{release}: its manifest is not the one under the channel's signature; do not use it"
        )
    # By the manifest's digest, or where earlier versions of this product wrote it.
    names = (f"manifest.{sha256(body)}.sig", SIGNATURE)
    signatures = [
        found
        for name in names
        if (found := source.fetch(prefix + name, SIGNATURE_LIMIT, optional=True))
    ]
    fitting = _fitting(source, signatures, body)
    if fitting is None and signatures and expected_sha256 is not None:
        fitting = signatures[0]
    while fitting is None and signatures and source.follow_successor():
        fitting = _fitting(source, signatures, body)
    if fitting is None:
        raise ManifestError(
            f"{release}: the signature of its manifest is no trusted key's; do not use this release"
        )
    manifest = parse(body, release)
    if manifest["release"] != release:
        raise ManifestError(f"{release}: its manifest is of {manifest['release']!r}")
    if expected_sha256 is None:
        _check_origin(manifest, source.trusted.identity)
    return manifest, body, fitting


def _check_origin(manifest: Mapping[str, Any], identity: str) -> None:
    """Refuses a release of another account or region: two deployments may share a signing key.

    A statement names its deployment; a release that is asked for by its id has none, and says by
    its source where it was made.
    """
    source = manifest.get("source")
    arn = str(source.get("arn", "")) if isinstance(source, Mapping) else ""
    _, _, expected = identity.partition("/")
    if not is_version_arn(arn) or not expected:
        return  # Made by hand or trusted without a deployment's name: the key alone counts.
    region, account = arn.split(":")[3:5]
    if f"{account}/{region}" != expected:
        raise ManifestError(
            f"{manifest['release']}: was made from {arn}, which is not of {identity}; the key "
            "signs for another deployment, too; do not use this release"
        )


def _fitting(source: ReleaseSource, signatures: list[bytes], body: bytes) -> bytes | None:
    accepts = source.trusted.verify_any(source.verify)
    return next((each for each in signatures if accepts(each, body)), None)


def _check_serial(stated: Statement, before: PullRecord | None) -> None:
    if before is None:
        return
    seen = before.highest_serial(stated.deployment, stated.channel)
    if stated.serial < seen:
        raise DownloadError(
            f"channel {stated.channel}: its statement has serial {stated.serial}, and {seen} was "
            "seen before: somebody has set the channel back; nothing is changed. Ask who "
            "administers the deployment, or pull a release by its id with --release"
        )


def _download(
    source: ReleaseSource,
    release: str,
    stated: Statement | None,
    new: Path,
    progress: Callable[[str, int], None],
) -> dict[str, Any]:
    manifest, body, signature = read_manifest(
        source, release, stated.manifest_sha256 if stated else None
    )
    prefix = f"{RELEASES_PREFIX}{release}/"
    for name, file in files_of(manifest, release).items():
        progress(name, file.bytes)
        key = prefix + name
        try:
            with (new / name).open("xb") as out:
                check_file(_written(source.stream(key), out), file, f"{release}: {key}")
        except ClientError as error:
            if is_missing(error):
                raise ManifestError(f"{release}: {key} is signed for and does not exist") from None
            raise
    (new / MANIFEST).write_bytes(body)
    (new / SIGNATURE).write_bytes(signature)
    for name in _FURTHER_SIGNATURES:
        stem, _, ending = name.rpartition(".")
        key = f"{prefix}{stem}.{sha256(body)}.{ending}"
        found = source.fetch(key, _FURTHER_LIMIT, optional=True)
        if found is not None:
            (new / name).write_bytes(found)
    return manifest


def _record(
    source: ReleaseSource,
    release: str,
    stated: Statement | None,
    before: PullRecord | None,
    written: Path,
) -> PullRecord:
    serials = {each: dict(seen) for each, seen in before.serials.items()} if before else {}
    if stated is not None:
        serials.setdefault(stated.deployment, {})[stated.channel] = stated.serial
    files = tuple(sorted(path.name for path in written.iterdir()))
    return PullRecord(source.trusted.identity, release, serials, files)


def _json(body: bytes, limit: int) -> dict[str, Any] | None:
    try:
        return parse_object(body, limit)
    except JsonObjectError:
        return None


def _written(chunks: Iterable[bytes], out: Any) -> Iterator[bytes]:
    for chunk in chunks:
        out.write(chunk)
        yield chunk
