"""The approver's page of a version, as its training job made it: where it lies, and which bytes.

The job writes it into ``output.tar.gz``, beside its model. Registration takes it from there into an
object of its own, which a person can open, and records its SHA-256 and S3 version in the version's
metadata: a decision is then bound to what there was to read.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from registry.names import REPORT_PAGE_LIMIT, REPORT_PAGES_PREFIX, ModelName
from registry.object_identity import ObjectIdentity, is_not_there
from registry.versions.metadata import APPROVAL_REASON, REPORT_PAGE

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from registry.versions.packages import Package

#: Its name in ``output.tar.gz``.
PAGE_FILE = "report.html"
_IN_REASON = re.compile(r"\(page ([0-9a-f]{64})\)", re.ASCII)


class ReportPageError(ValueError):
    """A page that is not the one that was registered; names it."""


def uri_of(bucket: str, name: ModelName) -> str:
    """Where the page of a version lies."""
    return f"s3://{bucket}/{_key(name)}"


def _key(name: ModelName) -> str:
    return f"{REPORT_PAGES_PREFIX}{name}.html"


def put(s3: S3Client, bucket: str, name: ModelName, page: bytes) -> ObjectIdentity:
    """Writes a version's page; returns which bytes lie there."""
    answer = s3.put_object(
        Bucket=bucket,
        Key=_key(name),
        Body=page,
        ContentType="text/html; charset=utf-8",
    )
    version_id = str(answer.get("VersionId") or "")
    identity = ObjectIdentity(hashlib.sha256(page).hexdigest(), version_id)
    # An id that metadata cannot hold is left out; the digest decides anyway.
    return ObjectIdentity.parse(str(identity)) or ObjectIdentity(identity.sha256)


def read(s3: S3Client, bucket: str, package: Package) -> bytes | None:
    """The page of a version, if it is the one that was registered; None where it has none.

    Raises:
        ReportPageError: It is not there, or other bytes lie there.
    """
    recorded = ObjectIdentity.parse(package.metadata.get(REPORT_PAGE, ""))
    if recorded is None or package.name is None:
        return None
    uri = uri_of(bucket, package.name)
    try:
        answer = s3.get_object(Bucket=bucket, Key=_key(package.name))
    except ClientError as error:
        if not is_not_there(error):
            raise
        raise ReportPageError(f"{uri}: does not exist any more") from None
    page = bytes(answer["Body"].read(REPORT_PAGE_LIMIT + 1))
    if hashlib.sha256(page).hexdigest() != recorded.sha256:
        raise ReportPageError(f"{uri}: is not the page that was registered: its SHA-256 differs")
    return page


def in_reason(reason: str, sha256: str) -> str:
    """A person's reason with the page that they read."""
    return f"{reason} (page {sha256})"


def decided_on(package: Package) -> str:
    """SHA-256 of the page that the decision on a version was taken on; empty where none is known.

    A reason that names a page counts first: ``cards registry approve`` writes it. A decision in the
    console names none, and what was there to read is the page of the version's metadata. Nobody
    read one where registration itself decided.
    """
    named = _IN_REASON.search(package.approval_description)
    if named:
        return named[1]
    if APPROVAL_REASON in package.metadata and not package.approval_description:
        return ""
    recorded = ObjectIdentity.parse(package.metadata.get(REPORT_PAGE, ""))
    return recorded.sha256 if recorded else ""
