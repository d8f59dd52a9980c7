"""A release's signatures in the bucket, each found by its manifest's SHA-256.

Two publishers may overlap. The manifest is written once, by whichever comes first; a signature is
named by the manifest that it signs, so that whoever reads the manifest finds the one that fits.
``manifest.sig`` is the same signature under the name that clients of earlier versions read.

>>> stored_name("model.sig", "0a" * 32) == f"model.{'0a' * 32}.sig"
True
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws_errors import is_missing
from registry.deployment import Deployment
from registry.names import RELEASES_PREFIX
from registry.releases.manifest import (
    MANIFEST,
    SIGNATURE,
    ManifestError,
    files_of,
    parse,
    sha256,
)
from registry.releases.signatures import model_signature, provenance
from registry.releases.signatures.envelope import EnvelopeError, Verify
from registry.releases.signatures.model_signature import MODEL_SIGNATURE
from registry.releases.signatures.provenance import PROVENANCE
from registry.releases.signatures.signing import SigningKey, signing_key
from registry.untrusted.json_object import JsonObjectError, parse_object
from registry.versions.packages import describe

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sagemaker.client import SageMakerClient

#: In the order in which they are written and checked.
SIGNATURES = (SIGNATURE, MODEL_SIGNATURE, PROVENANCE)
#: The largest, the provenance, has a few kilobytes.
SIGNATURE_LIMIT = 256 * 1024


@dataclass(frozen=True)
class SignatureState:
    """Which of a release's signatures are there.

    Attributes:
        missing: Those that are not there, as in releases of earlier versions of this product.
        wrong: Those that are there and do not fit the manifest.
    """

    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


def stored_name(signature: str, manifest_sha256: str) -> str:
    """The name of a signature's object in its release's folder."""
    stem, _, ending = signature.rpartition(".")
    return f"{stem}.{manifest_sha256}.{ending}"


def read_signature(s3: S3Client, bucket: str, release: str, file: str) -> bytes | None:
    """The first bytes of a signature, up to one more than its limit; None where there is none."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=f"{RELEASES_PREFIX}{release}/{file}")
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return bytes(answer["Body"].read(SIGNATURE_LIMIT + 1))


def write(
    deployment: Deployment, release: str, body: bytes, names: Iterable[str] = SIGNATURES
) -> None:
    """Signs a manifest and what it names; only for a manifest that the caller has made or verified.

    Args:
        deployment: Clients, names and the key.
        release: The release's id.
        body: Its manifest.
        names: Which signatures.
    """
    key, digest = signing_key(deployment), sha256(body)
    manifest = parse(body, release)
    files = signed_files(manifest, body)
    for name in names:
        content = _sign(deployment, key, name, manifest, body, files)
        _put(deployment, release, stored_name(name, digest), content)
        if name == SIGNATURE:
            _put(deployment, release, SIGNATURE, content)


def signed_files(manifest: Mapping[str, Any], body: bytes) -> dict[str, str]:
    """SHA-256 by name of the files of a release, its manifest among them."""
    files = {name: file.sha256 for name, file in files_of(manifest, "manifest").items()}
    return {**files, MANIFEST: sha256(body)}


def inspect(
    signatures: Mapping[str, bytes], manifest: Mapping[str, Any], body: bytes, verify: Verify
) -> SignatureState:
    """Checks the signatures of OMS and SLSA against a verified manifest.

    Args:
        signatures: By the name that each has in a pulled release.
        manifest: The release's.
        body: Its bytes.
        verify: Checks a signature.
    """
    files, missing, wrong = signed_files(manifest, body), [], []
    for name, check in ((MODEL_SIGNATURE, model_signature.check), (PROVENANCE, provenance.check)):
        content = signatures.get(name)
        if content is None:
            missing.append(name)
            continue
        try:
            check(parse_object(content, SIGNATURE_LIMIT), files, verify, name)
        except (EnvelopeError, JsonObjectError):
            wrong.append(name)
    return SignatureState(tuple(missing), tuple(wrong))


def _sign(
    deployment: Deployment,
    key: SigningKey,
    name: str,
    manifest: Mapping[str, Any],
    body: bytes,
    files: Mapping[str, str],
) -> bytes:
    if name == SIGNATURE:
        return key.sign(body)
    if name == MODEL_SIGNATURE:
        return model_signature.sign(key, str(manifest["release"]), files)
    arn = str(manifest.get("source", {}).get("arn", ""))
    source = describe(deployment.sagemaker, arn) if arn else None
    claim = provenance.predicate(
        manifest,
        _compile_job(deployment.sagemaker, str(manifest.get("compile_job", ""))),
        source.metadata if source else {},
    )
    return provenance.sign(key, files, claim)


def _compile_job(sagemaker: SageMakerClient, arn: str) -> Mapping[str, Any] | None:
    if not arn:
        return None
    try:
        job: Mapping[str, Any] = sagemaker.describe_processing_job(
            ProcessingJobName=arn.rpartition("/")[2]
        )
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return job


def _put(deployment: Deployment, release: str, file: str, content: bytes) -> None:
    deployment.s3.put_object(
        Bucket=deployment.release_bucket, Key=f"{RELEASES_PREFIX}{release}/{file}", Body=content
    )


def check_further_signatures(
    folder: Path, manifest: Mapping[str, Any], verify: Verify
) -> SignatureState:
    """Checks the signatures of OMS and SLSA in a pulled release whose manifest is verified.

    Args:
        folder: The pulled release.
        manifest: Its manifest.
        verify: Checks a signature.

    Raises:
        ManifestError: One that is there does not fit the release.
    """
    found = {}
    for name in SIGNATURES[1:]:
        path = folder / name
        if path.is_file():
            with path.open("rb") as file:
                found[name] = file.read(SIGNATURE_LIMIT + 1)
    state = inspect(found, manifest, (folder / MANIFEST).read_bytes(), verify)
    if state.wrong:
        raise ManifestError(
            f"{folder}: {', '.join(state.wrong)} does not fit the release; pull it again"
        )
    return state
