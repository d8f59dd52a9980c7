"""Reading a release back from the bucket, as a device does: signature, form, every file's digest.

The publisher verifies a release before a channel points to it; the reconciler verifies those that
channels point to.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws_errors import is_missing
from registry.deployment import Deployment
from registry.names import RELEASES_PREFIX
from registry.releases.manifest import (
    MANIFEST,
    MANIFEST_LIMIT,
    SIGNATURE,
    File,
    ManifestError,
    files_of,
    parse,
    sha256,
)
from registry.releases.signatures import release_signatures
from registry.releases.signatures.release_signatures import (
    SIGNATURES,
    SignatureState,
    inspect,
    read_signature,
    stored_name,
)
from registry.releases.signatures.signing import verify_by_any_key

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_CHUNK = 1024**2


@dataclass(frozen=True)
class VerifiedRelease:
    """A release whose manifest is signed and whose files are those that it names.

    Attributes:
        manifest: Its manifest.
        body: The manifest's bytes.
        signatures: Which of its signatures are missing or do not fit; the manifest's by its digest
            counts as missing in a release of an earlier version of this product.
    """

    manifest: dict[str, Any]
    body: bytes
    signatures: SignatureState

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the manifest."""
        return sha256(self.body)


def verify_release(deployment: Deployment, release: str) -> VerifiedRelease:
    """Reads a release and verifies it.

    Args:
        deployment: Clients, names and the key that must have signed.
        release: The release's id.

    Raises:
        ManifestError: The manifest is missing, not signed or malformed, or a file is not the one
            that it names.
    """
    s3, bucket = deployment.s3, deployment.release_bucket
    verify = verify_by_any_key(deployment)
    body = _read_manifest(s3, bucket, release)

    def stored(name: str) -> bytes | None:
        return read_signature(s3, bucket, release, stored_name(name, sha256(body)))

    # Under its two names: by the manifest's digest, and the one that earlier clients read.
    copies = {stored(SIGNATURE), read_signature(s3, bucket, release, SIGNATURE)}
    fits = {copy: verify(copy, body) for copy in copies if copy is not None}
    if not any(fits.values()):
        raise ManifestError(f"{release}: {MANIFEST} has no signature of a key of the deployment")
    manifest = parse(body, release)
    if manifest["release"] != release:
        raise ManifestError(f"{release}: its manifest is of {manifest['release']!r}")
    for name, file in files_of(manifest, release).items():
        _check_file(s3, bucket, f"{RELEASES_PREFIX}{release}/{name}", file, release)
    others = {name: found for name in SIGNATURES[1:] if (found := stored(name)) is not None}
    state = inspect(others, manifest, body, verify)
    if not all(fits.values()):
        state = replace(state, wrong=(SIGNATURE, *state.wrong))
    elif None in copies:
        state = replace(state, missing=(SIGNATURE, *state.missing))
    return VerifiedRelease(manifest, body, state)


def sign_release(deployment: Deployment, release: str) -> tuple[str, ...]:
    """Signs what a verified release lacks, or has and does not fit; safe to repeat.

    Returns:
        The names of the signatures that were written.

    Raises:
        ManifestError: The release is not to be trusted, so nothing is signed.
    """
    verified = verify_release(deployment, release)
    names = tuple(dict.fromkeys(verified.signatures.missing + verified.signatures.wrong))
    release_signatures.write(deployment, release, verified.body, names)
    return names


def _read_manifest(s3: S3Client, bucket: str, release: str) -> bytes:
    key = f"{RELEASES_PREFIX}{release}/{MANIFEST}"
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read(MANIFEST_LIMIT + 1)
    except ClientError as error:
        if is_missing(error):
            raise ManifestError(f"{release}: s3://{bucket}/{key} does not exist") from None
        raise
    if len(body) > MANIFEST_LIMIT:
        raise ManifestError(f"{release}: {MANIFEST} is longer than {MANIFEST_LIMIT} bytes")
    return bytes(body)


def _check_file(s3: S3Client, bucket: str, key: str, file: File, release: str) -> None:
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        if is_missing(error):
            raise ManifestError(f"{release}: {key} is signed for and does not exist") from None
        raise
    digest, size = hashlib.sha256(), 0
    for chunk in body.iter_chunks(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if size > file.bytes:
            break
    if size != file.bytes or digest.hexdigest() != file.sha256:
        raise ManifestError(f"{release}: {key} is not the file that was signed")
