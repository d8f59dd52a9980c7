"""JSON documents in a registered version's ``model.tar.gz``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.aws import AwsSession
    from registry.versions.packages import Package

_LIMIT_BYTES = 16 * 1024**2


def artifact_document(aws: AwsSession, package: Package, member: str) -> dict[str, Any]:
    """Reads one JSON file of a version's artifact.

    Args:
        aws: The session.
        package: The version.
        member: The file's name, such as ``split.json``.

    Raises:
        ArchiveError: The artifact has no such file, or one that is too large.
    """
    from registry.aws import split_s3_uri
    from registry.untrusted.archives import read_member

    bucket, key = split_s3_uri(package.model_data_url)
    stream = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    return dict(json.loads(read_member(stream, member, _LIMIT_BYTES, label=key)))
