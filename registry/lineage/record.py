"""Writes a version's lineage into SageMaker Lineage: what is missing, and nothing twice.

Each entity is read first and written only where it is missing, in one request. So a recording may
be repeated, interrupted, or run twice at the same time, and gives the same graph. Of two writers
the later one is refused because the entity exists, reads it, and uses it.

SageMaker answers ValidationException to a repeated creation (its own SDK takes that for "already
exists": ``sagemaker.serve.utils.lineage_utils``), and gives the same code to a request that is
wrong; only reading again distinguishes the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from registry.aws import NEWEST_FIRST
from registry.aws_errors import Meaning, is_missing, means
from registry.lineage.ancestry import LineageError, artifact_of
from registry.lineage.graph import (
    MODEL,
    Action,
    Artifact,
    Graph,
    JobRecord,
    parent_of,
    version_graph,
)
from registry.versions.packages import Package, describe

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient
    from mypy_boto3_sagemaker.literals import AssociationEdgeTypeType
    from mypy_boto3_sagemaker.type_defs import AssociationSummaryTypeDef

WRITTEN = "written"
UPDATED = "updated"
UNEXPECTED = "unexpected"

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Change:
    """One difference between Lineage and the version.

    Attributes:
        done: ``written``; ``updated``; or ``unexpected``: an edge that the version does not
            record, which is left as it is.
        kind: ``artifact``, ``action`` or ``association``.
        name: What it is, for people.
    """

    done: str
    kind: str
    name: str


def record_version(sagemaker: SageMakerClient, package: Package) -> list[Change]:
    """Makes Lineage hold what a version records; returns what was missing or differed.

    Where a parent is neither in Lineage nor in the registry any more, the graph ends.

    Args:
        sagemaker: A boto3 SageMaker client.
        package: The version, as it is now.

    Raises:
        LineageError: The account's limit of lineage entities is reached.
        ClientError: SageMaker refused; what was written stays, and a repetition continues from it.
    """
    graph = version_graph(package, job_of(sagemaker, package))
    found = {each.source_uri: artifact_of(sagemaker, each.source_uri) for each in graph.artifacts}
    parent = parent_of(package)
    if parent and not found[parent] and describe(sagemaker, parent) is None:
        graph = graph.without(parent)
    return _GraphWriter(sagemaker, found).write(graph)


def job_of(sagemaker: SageMakerClient, package: Package) -> JobRecord | None:
    """The job that a version says it was made by; None where SageMaker knows none such here."""
    kind, name = package.own_job or ("", "")
    answer: Mapping[str, Any]
    try:
        if kind == "training-job":
            answer = sagemaker.describe_training_job(TrainingJobName=name)
        elif kind == "processing-job":
            answer = sagemaker.describe_processing_job(ProcessingJobName=name)
        else:
            return None
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return JobRecord.from_description(answer)


class _GraphWriter:
    """One graph being written.

    Args:
        sagemaker: A boto3 SageMaker client.
        found: The ARN of each artifact that is there, by its address.
    """

    def __init__(self, sagemaker: SageMakerClient, found: dict[str, str | None]) -> None:
        self._sagemaker = sagemaker
        self._arns = {key: arn for key, arn in found.items() if arn}
        self._names = dict[str, str]()
        self._new = set[str]()
        self._changes: list[Change] = []

    def write(self, graph: Graph) -> list[Change]:
        for artifact in graph.artifacts:
            self._artifact(artifact)
        for action in graph.actions:
            self._action(action)
        sources_of: dict[str, dict[str, AssociationEdgeTypeType]] = {}
        for edge in graph.associations:
            sources_of.setdefault(edge.destination, {})[edge.source] = edge.type
        for destination, sources in sources_of.items():
            self._edges(destination, sources, strict=destination == graph.artifacts[0].source_uri)
        return self._changes

    def _artifact(self, wanted: Artifact) -> None:
        key = wanted.source_uri
        self._names[key] = wanted.properties.get("ModelName", key)
        if key in self._arns:
            return
        arn, made = self._create_or_find(
            lambda: str(
                self._sagemaker.create_artifact(
                    ArtifactName=wanted.name,
                    Source={"SourceUri": key},
                    ArtifactType=wanted.type,
                    Properties=dict(wanted.properties),
                )["ArtifactArn"]
            ),
            lambda: artifact_of(self._sagemaker, key),
        )
        self._remember(key, arn, made, "artifact")

    def _action(self, wanted: Action) -> None:
        self._names[wanted.name] = wanted.name
        existing = self._describe_action(wanted.name)
        if existing is None:
            arn, made = self._create_or_find(
                lambda: str(self._sagemaker.create_action(**_creation(wanted))["ActionArn"]),
                lambda: (self._describe_action(wanted.name) or {}).get("ActionArn"),
            )
            self._remember(wanted.name, arn, made, "action")
            return
        self._arns[wanted.name] = existing["ActionArn"]
        known = existing.get("Properties", {})
        changed = {k: value for k, value in wanted.properties.items() if known.get(k) != value}
        if not wanted.written_once and (changed or existing.get("Status") != wanted.status):
            self._sagemaker.update_action(
                ActionName=wanted.name, Status=wanted.status, Properties=changed
            )
            self._changes.append(Change(UPDATED, "action", wanted.name))

    def _edges(
        self, destination: str, wanted: dict[str, AssociationEdgeTypeType], *, strict: bool
    ) -> None:
        """Associates sources with a destination; other edges to it are reported where strict."""
        destination_arn = self._arns[destination]
        present: dict[str, AssociationSummaryTypeDef] = {}
        if destination_arn not in self._new:
            present = {
                each["SourceArn"]: each for each in self._associations(destination=destination_arn)
            }
        for source, kind in wanted.items():
            if not present.pop(self._arns[source], None) and self._associate(
                self._arns[source], destination_arn, kind
            ):
                name = f"{self._names[source]} → {self._names[destination]} ({kind})"
                self._changes.append(Change(WRITTEN, "association", name))
        for each in present.values() if strict else ():
            # SageMaker's own edges (a container's image, a model's data) are of other types.
            if each.get("AssociationType") == "DerivedFrom" and each.get("SourceType") == MODEL:
                source = each.get("SourceName") or each["SourceArn"]
                name = f"{source} → {self._names[destination]} (DerivedFrom)"
                self._changes.append(Change(UNEXPECTED, "association", name))

    def _associate(self, source: str, destination: str, kind: AssociationEdgeTypeType) -> bool:
        """Adds one edge; returns whether this call added it."""
        _, made = self._create_or_find(
            lambda: self._sagemaker.add_association(
                SourceArn=source, DestinationArn=destination, AssociationType=kind
            )["DestinationArn"],
            lambda: next(
                (
                    each["DestinationArn"]
                    for each in self._associations(source=source, destination=destination)
                ),
                None,
            ),
        )
        return made

    def _create_or_find(
        self, create: Callable[[], _Found], find: Callable[[], _Found | None]
    ) -> tuple[_Found, bool]:
        """Creates an entity, or finds the one that exists; and whether this call created it."""
        try:
            return create(), True
        except ClientError as error:
            if means(error, Meaning.FULL):
                raise LineageError(
                    "SageMaker Lineage is full: an account may make 3,000 actions, 6,000 "
                    "artifacts and 6,000 associations; ask AWS Support for more or delete old "
                    "ones, then run: cards registry lineage --repair"
                ) from error
            found = find() if means(error, Meaning.TAKEN) else None
            if found is None:
                raise
            return found, False

    def _remember(self, key: str, arn: str, made: bool, kind: str) -> None:
        self._arns[key] = arn
        if made:
            self._new.add(arn)
            self._changes.append(Change(WRITTEN, kind, self._names[key]))

    def _describe_action(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self._sagemaker.describe_action(ActionName=name))
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def _associations(
        self, *, destination: str, source: str = ""
    ) -> Iterator[AssociationSummaryTypeDef]:
        listed = self._sagemaker.get_paginator("list_associations")
        pages = (
            listed.paginate(SourceArn=source, DestinationArn=destination, **NEWEST_FIRST)
            if source
            else listed.paginate(DestinationArn=destination, **NEWEST_FIRST)
        )
        for page in pages:
            yield from page["AssociationSummaries"]


def _creation(action: Action) -> dict[str, Any]:
    origin = {"GeneratedBy": action.generated_by, "CommitId": action.commit}
    return {
        "ActionName": action.name,
        "Source": {"SourceUri": action.source_uri, "SourceType": action.source_type},
        "ActionType": action.type,
        "Description": action.description,
        "Status": action.status,
        "Properties": dict(action.properties),
        "MetadataProperties": {key: value for key, value in origin.items() if value},
    }
