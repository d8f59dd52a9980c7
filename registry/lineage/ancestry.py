"""Which model came from which: the recorded parents, and who has recorded a version as one.

A version's parents stand in its metadata, and that is the truth. Its children are found through
SageMaker Lineage, which has an index in that direction, and are believed by their own metadata.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from registry.aws import OLDEST_FIRST
from registry.versions.packages import Package, describe, iterate

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

DEPTH_LIMIT = 32
#: QueryLineage walks no further:
#: https://docs.aws.amazon.com/sagemaker/latest/dg/querying-lineage-entities.html
QUERY_DEPTH = 10
QUERY_PAGE = 50
#: Lineage is written shortly after a version, by an event; younger versions are described one by
#: one.
SETTLING = timedelta(minutes=15)


class LineageError(ValueError):
    """Lineage that cannot be right, or cannot be written; names the version or the limit."""


def ancestors(sagemaker: SageMakerClient, package: Package) -> list[Package]:
    """The versions that a version was made from, nearest first.

    The chain ends early where a parent has been deleted.

    Raises:
        LineageError: A version is its own ancestor, or the chain is longer than any real one.
    """
    chain: list[Package] = []
    seen = {package.arn}
    current = package
    while current.parent_arn:
        if current.parent_arn in seen or len(chain) >= DEPTH_LIMIT:
            raise LineageError(f"{package.label}: its parents go in a circle at {current.label}")
        parent = describe(sagemaker, current.parent_arn)
        if parent is None:
            break
        chain.append(parent)
        seen.add(parent.arn)
        current = parent
    return chain


def descendants(sagemaker: SageMakerClient, package: Package) -> list[Package]:
    """The versions that were made from a version, directly or not, oldest first.

    The number of calls grows with the descendants, not with the group; only where Lineage knows
    nothing of the version is every newer one described.
    """
    found = {package.arn: package}
    start = artifact_of(sagemaker, package.arn)
    since = max(package.created, datetime.now(UTC) - SETTLING) if start else package.created
    for row in iterate(sagemaker, package.group, created_after=since):
        _add_described(sagemaker, row.arn, found)
    queue = {package.arn: start} if start else {}
    asked = set(queue)
    while queue:
        above, artifact = queue.popitem()
        below = {
            uri: each
            for each in _query(sagemaker, artifact)
            if ":model-package/" in (uri := _source_uri(sagemaker, each)) and uri not in asked
        }
        for uri in below:
            _add_described(sagemaker, uri, found)
        # A query ends at its depth; what lies there may have children of its own.
        deepest = {
            uri: each for uri, each in below.items() if _steps(found, uri, above) == QUERY_DEPTH
        }
        queue |= deepest
        asked |= set(below)
    family = [each for each in found.values() if _steps(found, each.arn, package.arn)]
    return sorted(family, key=lambda each: each.version)


def artifact_of(sagemaker: SageMakerClient, source_uri: str) -> str | None:
    """The ARN of the lineage artifact that stands for an address, or None.

    There is one for each address, as SageMaker's documentation has it; of several the oldest
    counts, so that every caller takes the same.
    """
    pages = sagemaker.get_paginator("list_artifacts").paginate(SourceUri=source_uri, **OLDEST_FIRST)
    for page in pages:
        for row in page["ArtifactSummaries"]:
            return str(row["ArtifactArn"])
    return None


def _add_described(sagemaker: SageMakerClient, arn: str, found: dict[str, Package]) -> None:
    if arn not in found:
        package = describe(sagemaker, arn)
        if package:
            found[arn] = package


def _query(sagemaker: SageMakerClient, start: str) -> Iterator[str]:
    """The artifacts below an artifact, to the depth that a query has."""
    request: dict[str, Any] = {
        "StartArns": [start],
        "Direction": "Descendants",
        "IncludeEdges": False,
        "Filters": {"LineageTypes": ["Artifact"]},
        "MaxDepth": QUERY_DEPTH,
        "MaxResults": QUERY_PAGE,
    }
    while True:
        page = sagemaker.query_lineage(**request)
        for vertex in page.get("Vertices", []):
            yield str(vertex["Arn"])
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]


def _source_uri(sagemaker: SageMakerClient, artifact: str) -> str:
    return str(sagemaker.describe_artifact(ArtifactArn=artifact)["Source"]["SourceUri"])


def _steps(found: dict[str, Package], arn: str, ancestor: str) -> int:
    """How many recorded parents lie between a version and its ancestor; 0 where it is none."""
    steps, current = 0, arn
    while current != ancestor:
        package = found.get(current)
        if package is None or not package.parent_arn or steps >= DEPTH_LIMIT * QUERY_DEPTH:
            return 0
        steps, current = steps + 1, package.parent_arn
    return steps
