"""Fetching a release: everything checked in a folder aside, then moved into place at once."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws import is_missing
from registry.channels import declared
from registry.names import RELEASES_PREFIX, STABLE_CHANNEL
from registry.releases.manifest import (
    MANIFEST,
    MANIFEST_LIMIT,
    SIGNATURE,
    File,
    ManifestError,
    files_of,
    parse,
)
from registry.releases.pointers import read as read_pointer

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PUBLIC_KEY = "signing-key.pem"
_SIGNATURE_LIMIT = 1024
_CHUNK = 1024**2

#: Called with (public key PEM, signature DER, message); raises ManifestError unless it verifies.
Verify = Callable[[bytes, bytes, bytes], None]


class DownloadError(RuntimeError):
    """A release that cannot be had; names it, the cause and the remedy."""


def release_in_channel(s3: S3Client, bucket: str, channel: str = STABLE_CHANNEL) -> str:
    """The id of the release that a channel points to.

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
    s3: S3Client,
    bucket: str,
    release: str,
    into: Path,
    *,
    public_key: bytes,
    verify: Verify,
    progress: Callable[[str, int], None] | None = None,
) -> dict[str, Any]:
    """Downloads a release into the folder ``into``, which appears complete or not at all.

    Args:
        s3: A boto3 S3 client.
        bucket: The release bucket.
        release: The release's id.
        into: The folder to make; it may exist if it holds nothing but an older release.
        public_key: PEM of the key that must have signed it.
        verify: Checks a signature; given, so that this package needs no cryptography.
        progress: Called with (file, its size) before each file.

    Returns:
        The manifest.

    Raises:
        DownloadError: There is no such release, or ``into`` holds something else.
        ManifestError: The signature, a digest or a size is wrong.
    """
    empty = into.is_dir() and not any(into.iterdir())
    if into.exists() and not empty and not (into / MANIFEST).is_file():
        raise DownloadError(f"{into}: is there and is no release; name another folder")
    prefix = f"{RELEASES_PREFIX}{release}/"
    body = _get(s3, bucket, prefix + MANIFEST, MANIFEST_LIMIT, release)
    signature = _get(s3, bucket, prefix + SIGNATURE, _SIGNATURE_LIMIT, release)
    verify(public_key, signature, body)
    manifest = parse(body, release)
    if manifest["release"] != release:
        raise ManifestError(f"{release}: its manifest is of {manifest['release']!r}")
    into.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{into.name}-", dir=into.parent))
    try:
        for name, file in files_of(manifest, release).items():
            if progress:
                progress(name, file.bytes)
            _download(s3, bucket, prefix + name, aside / name, file, release)
        (aside / MANIFEST).write_bytes(body)
        (aside / SIGNATURE).write_bytes(signature)
        (aside / PUBLIC_KEY).write_bytes(public_key)
        aside.chmod(0o755)
        if into.exists():
            shutil.rmtree(into)
        aside.rename(into)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest


def verify_folder(folder: Path, *, public_key: bytes, verify: Verify) -> dict[str, Any]:
    """Checks a release on disk, offline: signature, then size and digest of every file.

    Raises:
        DownloadError: A file is missing.
        ManifestError: Something is not what was signed.
    """
    try:
        body = (folder / MANIFEST).read_bytes()
        signature = (folder / SIGNATURE).read_bytes()
    except OSError as error:
        raise DownloadError(
            f"{folder}: is no release ({error.strerror}: {error.filename})"
        ) from None
    verify(public_key, signature, body)
    manifest = parse(body, str(folder))
    for name, file in files_of(manifest, str(folder)).items():
        path = folder / name
        if not path.is_file():
            raise DownloadError(f"{path}: is missing; pull the release again")
        with path.open("rb") as stream:
            _check(iter(partial(stream.read, _CHUNK), b""), file, str(path))
    return manifest


def _get(s3: S3Client, bucket: str, key: str, limit: int, release: str) -> bytes:
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read(limit + 1)
    except ClientError as error:
        if is_missing(error):
            raise DownloadError(
                f"{release}: s3://{bucket}/{key} does not exist; "
                "cards release list shows what there is"
            ) from None
        raise
    if len(body) > limit:
        raise ManifestError(f"{release}: {key} is longer than {limit} bytes")
    return bytes(body)


def _download(s3: S3Client, bucket: str, key: str, path: Path, file: File, release: str) -> None:
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        if is_missing(error):
            raise ManifestError(f"{release}: {key} is signed for and does not exist") from None
        raise
    with path.open("wb") as out:
        _check(_written(body.iter_chunks(_CHUNK), out), file, f"{release}: {key}")


def _written(chunks: Iterable[bytes], out: Any) -> Iterable[bytes]:
    for chunk in chunks:
        out.write(chunk)
        yield chunk


def _check(chunks: Iterable[bytes], file: File, label: str) -> None:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        if size > file.bytes:
            break
    if size != file.bytes or digest.hexdigest() != file.sha256:
        raise ManifestError(f"{label}: is not the file that was signed (size or digest differ)")
