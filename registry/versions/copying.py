"""Copies an approved version from one deployment to another: from development to production.

What a version needs to be compiled there is copied (its artifact, its card set), and the version is
registered under its own name, waiting for a person of the other deployment to approve it. It is
compiled, checked and released there, with that deployment's key. Safe to repeat: what is there
already is not copied again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from registry.aws import objects_below, put_once, split_s3_uri
from registry.aws_errors import is_missing
from registry.deployment import Deployment
from registry.names import CARDS_PREFIX, JOBS_PREFIX, ModelName
from registry.object_identity import ObjectIdentity, is_not_there, read_object
from registry.versions import model_quality, report_page
from registry.versions.metadata import (
    CARD_SET_URI,
    COMPILE_FAILED_JOB,
    COMPILE_FAILURE,
    MODEL_ARCHIVE,
    MODEL_NAME,
    OUTPUT_ARCHIVE,
    PARENT_ARN,
    PROMOTED_FROM,
    RELEASE,
    REPORT_PAGE,
)
from registry.versions.name_claims import claim_exact_name
from registry.versions.packages import (
    APPROVED,
    PAGE_LINK,
    PENDING,
    NewPackage,
    Package,
    create,
    find,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: Metadata of the version: the ARN that it was copied from.
#: Metadata that is not copied: ARNs and addresses of the source mean nothing elsewhere.
_SOURCE_ONLY = frozenset(
    {
        MODEL_ARCHIVE,
        OUTPUT_ARCHIVE,
        REPORT_PAGE,
        RELEASE,
        COMPILE_FAILED_JOB,
        COMPILE_FAILURE,
        MODEL_NAME,
        CARD_SET_URI,
        PARENT_ARN,
    }
)

#: A scan is held in memory; a shard of a packed card set goes to a temporary file.
_IN_MEMORY = 64 * 1024**2
#: Called before each object is copied, with its key and its size in bytes.
Progress = Callable[[str, int], None]


class CopyError(RuntimeError):
    """A version that cannot be copied; names it, the cause and the remedy."""


def copy_version(
    source: Deployment,
    target: Deployment,
    package: Package,
    progress: Progress = lambda key, size: None,
) -> str:
    """Copies a version to another deployment and registers it there.

    Args:
        source: The deployment where it is approved.
        target: The deployment that it is copied to.
        package: The version, as it was read a moment ago.
        progress: Called before each object that is copied.

    Returns:
        Its ARN in the target.

    Raises:
        CopyError: It is not approved, lacks something, or its name belongs to another version in
            the target.
        MetadataError: Its metadata would not be registered today.
    """
    name, cards_uri = _checked(package)
    where = f"{JOBS_PREFIX}promoted-{name}/output/model.tar.gz"
    _claim(target, name, package.arn)
    there = find(target.sagemaker, target.group_name, name)
    if there:
        return there.arn
    archive = _copy_archive(source, package, target, where, progress)
    bucket, prefix = split_s3_uri(cards_uri)
    prefix = prefix.rstrip("/") + "/"
    cards = f"{CARDS_PREFIX}{prefix.rstrip('/').rpartition('/')[2]}/"
    # Markers are written last, as on an upload: a set without its marker is no set.
    for row in sorted(_listed(source.s3, bucket, prefix), key=lambda each: "/." in each[0]):
        key = cards + row[0].removeprefix(prefix)
        _copy(source, bucket, row[0], target, key, progress, written_once=True)
    metadata = {key: text for key, text in package.metadata.items() if key not in _SOURCE_ONLY}
    page = report_page.read(source.s3, source.training_bucket, package)
    page_uri = ""
    if page is not None:
        page_uri = report_page.uri_of(target.training_bucket, name)
        metadata[REPORT_PAGE] = str(report_page.put(target.s3, target.training_bucket, name, page))
    return create(
        target.sagemaker,
        target.group_name,
        NewPackage(
            name=name,
            approval=PENDING,
            summary=package.description.partition(PAGE_LINK)[0]
            .partition(": ")[2]
            .partition(", ")[2]
            or "promoted",
            model_data_url=f"s3://{target.training_bucket}/{where}",
            image=package.image,
            metadata={
                **metadata,
                MODEL_ARCHIVE: str(archive),
                CARD_SET_URI: f"s3://{target.training_bucket}/{cards}",
                PROMOTED_FROM: package.arn,
            },
            generated_by=package.generated_by,
            commit=package.commit or None,
            quality_uri=_quality(source, target, package, name),
            page_uri=page_uri,
        ),
    )


def _checked(package: Package) -> tuple[ModelName, str]:
    if package.name is None or not package.name.releasable:
        raise CopyError(
            f"{package.label}: is no stage-2 student; only what leads to a release is copied"
        )
    if package.approval != APPROVED:
        raise CopyError(
            f"{package.label}: is {package.approval}; approve it here before it is copied"
        )
    cards_uri = package.metadata.get(CARD_SET_URI, "")
    for subject, uri in (("model artifact", package.model_data_url), (CARD_SET_URI, cards_uri)):
        if not uri.startswith("s3://"):
            raise CopyError(f"{package.label}: its {subject} is not recorded; register it again")
    return package.name, cards_uri


def _claim(target: Deployment, name: ModelName, source: str) -> None:
    """Claims the name in the target for this version, which it may own already."""
    owner = claim_exact_name(target.s3, target.training_bucket, name, source)
    if owner != source:
        raise CopyError(
            f"{name}: is another version's name there ({owner or 'unreadable claim'}); a "
            "deployment that versions are copied to should not train its own"
        )


def _copy_archive(
    source: Deployment, package: Package, target: Deployment, target_key: str, progress: Progress
) -> ObjectIdentity:
    """Copies the archive that was registered; returns what lies in the target."""
    registered = ObjectIdentity.parse(package.metadata.get(MODEL_ARCHIVE, ""))
    bucket, key = split_s3_uri(package.model_data_url)
    version_id = registered.version_id if registered else ""
    _copy(source, bucket, key, target, target_key, progress, version_id)
    uri = f"s3://{target.training_bucket}/{target_key}"
    copied = read_object(target.s3, uri).identity
    if registered and copied.sha256 != registered.sha256:
        raise CopyError(
            f"{package.label}: {uri} has the digest {copied.sha256[:12]}… and the registered "
            f"archive {registered.sha256[:12]}…; remove it and repeat the command"
        )
    return copied


def _copy(
    source: Deployment,
    bucket: str,
    key: str,
    target: Deployment,
    target_key: str,
    progress: Progress,
    version_id: str = "",
    *,
    written_once: bool = False,
) -> None:
    """Copies an object through this machine: the accounts need not know each other.

    Where objects are written once, one that is there already stays, and must have the same size.
    """
    version: dict[str, Any] = {"VersionId": version_id} if version_id else {}
    try:
        answer = source.s3.get_object(Bucket=bucket, Key=key, **version)
    except ClientError as error:
        if not is_not_there(error):
            raise
        raise CopyError(
            f"s3://{bucket}/{key}: does not exist, or not the version that was registered; "
            "train the model again"
        ) from None
    size = int(answer["ContentLength"])
    if _size(target.s3, target.training_bucket, target_key) == size:
        return
    progress(key, size)
    if written_once:
        # S3 wants the length first, and may want the bytes a second time.
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as content:
            shutil.copyfileobj(answer["Body"], content)
            content.seek(0)
            put_once(target.s3, target.training_bucket, target_key, cast("IO[bytes]", content))
    else:
        target.s3.upload_fileobj(answer["Body"], target.training_bucket, target_key)
    if _size(target.s3, target.training_bucket, target_key) != size:
        raise CopyError(
            f"s3://{target.training_bucket}/{target_key}: was not written whole; repeat it"
        )


def _size(s3: S3Client, bucket: str, key: str) -> int | None:
    try:
        return int(s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def _listed(s3: S3Client, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    for entry in objects_below(s3, bucket, prefix):
        yield str(entry["Key"]), int(entry["Size"])


def _quality(source: Deployment, target: Deployment, package: Package, name: ModelName) -> str:
    """The version's metrics, as the console of the other account reads them."""
    if not package.quality_uri.startswith("s3://"):
        return ""
    bucket, key = split_s3_uri(package.quality_uri)
    try:
        body = source.s3.get_object(Bucket=bucket, Key=key)["Body"].read(1024**2)
    except ClientError as error:
        if is_missing(error):
            return ""
        raise
    return model_quality.put_report(target.s3, target.training_bucket, name, body)
