"""Whether devices can trust what the channels show: statement, signatures, every file's digest."""

from __future__ import annotations

from botocore.exceptions import ClientError

from registry import channels
from registry.aws_errors import error_code
from registry.deployment import Deployment
from registry.releases.channel_moves import last_statement
from registry.releases.manifest import ManifestError
from registry.releases.pointers import pointer_key, read_object
from registry.releases.verification import verify_release


def channel_faults(deployment: Deployment) -> dict[str, str]:
    """Verifies each channel as a device does that asks for it.

    Where a channel should point is another question:
    :func:`registry.releases.channel_targets.compute`.

    Returns:
        What is wrong by channel; a channel without a pointer object has nothing wrong.
    """
    digests: dict[str, str] = {}
    found = {}
    for channel in channels.CHANNELS:
        try:
            fault = _fault(deployment, channel.name, digests)
        except ManifestError as error:
            fault = str(error)
        except ClientError as error:
            fault = f"cannot be verified: {error_code(error)}"
        if fault:
            found[channel.name] = fault
    return found


def _fault(deployment: Deployment, channel: str, digests: dict[str, str]) -> str:
    document, _ = read_object(deployment.s3, deployment.release_bucket, pointer_key(channel))
    if document is None:
        return ""
    stated = last_statement(deployment, document, channel)
    if stated is None:
        return "has no statement that the deployment's key signed"
    if stated.release != document.get("release"):
        return f"its statement is of {stated.release}"
    if stated.release is None:
        return ""
    if stated.release not in digests:
        digests[stated.release] = verify_release(deployment, stated.release).sha256
    if stated.manifest_sha256 != digests[stated.release]:
        return "its statement names another manifest"
    return ""
