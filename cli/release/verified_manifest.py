"""A release's manifest, used only after it is verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.aws import AwsSession


def manifest_of(aws: AwsSession, release: str) -> dict[str, Any]:
    """A release's manifest, verified with the pinned key, or where none is with those of KMS.

    Raises:
        DownloadError: There is no such release.
        ManifestError: It is not what was signed.
    """
    from cli.release.trust_store import pinned_deployment
    from edge.signature import signature_fits
    from registry.releases.pull.download import ReleaseSource, read_manifest
    from registry.releases.signatures.trust import TrustedDeployment

    deployment = aws.deployment
    trusted = pinned_deployment(aws, None) or TrustedDeployment(
        deployment.identity,
        deployment.release_bucket,
        tuple(public_key_of(aws, arn) for arn in aws.names.signing_keys),
    )
    source = ReleaseSource(aws.client("s3"), trusted, signature_fits)
    return read_manifest(source, release)[0]


def public_key_of(aws: AwsSession, key_arn: str) -> str:
    """PEM of a signing key, from KMS."""
    from registry.releases.signatures.signing import public_key_pem

    return public_key_pem(aws.client("kms"), key_arn).decode("ascii")
