"""A release's manifest, used only after its signature is verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from cli.aws import AwsSession


def manifest_of(aws: AwsSession, release: str) -> dict[str, Any]:
    """A release's manifest, its signature verified.

    Raises:
        CliError: There is no such release.
        ManifestError: It is not what was signed.
    """
    from registry.names import RELEASES_PREFIX
    from registry.releases.manifest import MANIFEST, MANIFEST_LIMIT, SIGNATURE, parse

    s3, bucket = aws.client("s3"), aws.deployment.release_bucket
    prefix = f"{RELEASES_PREFIX}{release}/"
    body = _read(s3, bucket, prefix + MANIFEST, MANIFEST_LIMIT)
    signature = _read(s3, bucket, prefix + SIGNATURE, 1024)
    verify_signature(public_key(aws), signature, body)
    return parse(body, release)


def public_key(aws: AwsSession) -> bytes:
    """PEM of the deployment's signing key, from KMS."""
    from registry.releases.publication import public_key_pem

    return public_key_pem(aws.client("kms"), aws.deployment.signing_key_arn)


def verify_signature(pem: bytes, signature: bytes, message: bytes) -> None:
    """Checks an ECDSA P-256 SHA-256 signature (DER, as KMS gives it).

    Raises:
        ManifestError: It is not that key's signature of the message, or the key is no such key.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from registry.releases.manifest import ManifestError

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ManifestError(f"signing key: is no public key in PEM form ({error})") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ManifestError("signing key: is no ECDSA key over P-256")
    try:
        key.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise ManifestError(
            "manifest: its signature is not the trusted key's; do not use this release"
        ) from None


def _read(s3: S3Client, bucket: str, key: str, limit: int) -> bytes:
    from botocore.exceptions import ClientError

    from cli.errors import CliError
    from registry.aws import is_missing

    try:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read(limit))
    except ClientError as error:
        if is_missing(error):
            raise CliError(
                f"s3://{bucket}/{key}: does not exist; cards release list shows what there is"
            ) from None
        raise
