"""SageMaker Lineage: artifacts, actions, contexts, and what is associated with what.

https://docs.aws.amazon.com/sagemaker/latest/dg/lineage-tracking-manual-creation.html has the
limits, and that creating what exists is an error. No Create call lists ResourceInUse among its
errors; SageMaker's own SDK takes ValidationException for "already exists"
(``sagemaker.serve.utils.lineage_utils``).

What SageMaker makes by itself beside a job or a package is not made here: the documentation says
neither how those entities are named nor of which types they are.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.sagemaker.errors import AwsError, invalid, missing
from localcloud.sagemaker.lineage.groups import default_group_arn
from localcloud.sagemaker.roles import caller, check_action, check_tagging
from localcloud.sagemaker.store import Record, arn, between, now, paginate, store, tag_map

#: How many an account may make by hand.
LIMITS = {"Action": 3000, "Artifact": 6000, "Context": 500, "Association": 6000}
_PROPERTIES = 30
_QUERY_PAGE = 50
_QUERY_DEPTH = 10
_ENDS = ("SourceArn", "DestinationArn")


@dataclass(frozen=True)
class Entity:
    """One kind of lineage entity: ``Artifact``, ``Action`` or ``Context``."""

    kind: str

    def create(self, request: Record) -> Record:
        """Create; an artifact is identified by its source's address, the others by their name."""
        name = request.get(f"{self.kind}Name")
        identity = name if self.kind != "Artifact" else _digest(request["Source"]["SourceUri"])
        key = arn(self.kind.lower(), str(identity))
        of_kind = _records_of(self.kind)
        # The others' names are in their keys.
        artifact_names = (r.get("ArtifactName") for r in of_kind if self.kind == "Artifact")
        if key in store().lineage or (name and name in artifact_names):
            raise invalid(f"{self.kind} {name or key} already exists")
        _check_limit(self.kind, len(of_kind))
        check_tagging(key, request.get("Tags"))
        store().tags[key] = tag_map(request.get("Tags"))
        store().lineage[key] = {
            **{member: value for member, value in request.items() if member != "Tags"},
            f"{self.kind}Arn": key,
            "CreationTime": now(),
            "LastModifiedTime": now(),
            "CreatedBy": caller(),
            "LastModifiedBy": caller(),
            "LineageGroupArn": default_group_arn(),
            "Kind": self.kind,
        }
        return {f"{self.kind}Arn": key}

    def describe(self, request: Record) -> Record:
        """Describe, by ARN or by name."""
        given = request.get(f"{self.kind}Arn") or request.get(f"{self.kind}Name")
        if not given:
            raise invalid(f"{self.kind} is not named")
        key = given if given.startswith("arn:") else arn(self.kind.lower(), given)
        return _entity(key, self.kind)

    def update(self, request: Record) -> Record:
        """Update: properties are merged."""
        record = self.describe(request)
        merged = {**record.get("Properties", {}), **(request.get("Properties") or {})}
        for name in request.get("PropertiesToRemove") or []:
            merged.pop(name, None)
        if len(merged) > _PROPERTIES:
            raise invalid(f"{self.kind} may have {_PROPERTIES} properties, not {len(merged)}")
        record["Properties"] = merged
        for name in ("Description", "Status", "ArtifactName"):
            if request.get(name) is not None:
                record[name] = request[name]
        record["LastModifiedTime"] = now()
        record["LastModifiedBy"] = caller()
        return {f"{self.kind}Arn": record[f"{self.kind}Arn"]}

    def delete(self, request: Record) -> Record:
        """Delete; refused while it is associated with something."""
        if self.kind == "Artifact" and not request.get("ArtifactArn"):
            if not request.get("Source"):
                raise invalid("Either ArtifactArn or Source must be given")
            key = _entity(arn("artifact", _digest(request["Source"]["SourceUri"])))["ArtifactArn"]
        else:
            key = self.describe(request)[f"{self.kind}Arn"]
        known = store().associations
        if known.from_source(key) or known.to_destination(key):
            raise invalid(f"{self.kind} {key} is associated with other entities")
        del store().lineage[key]
        store().tags.pop(key, None)
        return {f"{self.kind}Arn": key}

    def list(self, request: Record) -> Record:
        """List, filtered by type, source and time."""
        wanted, uri = request.get(f"{self.kind}Type"), request.get("SourceUri")
        if uri and self.kind == "Artifact":
            # Its key is made of the address; each approval asks for some.
            artifact = store().lineage.get(arn("artifact", _digest(uri)))
            found = [artifact] if artifact else []
        else:
            found = _records_of(self.kind)
        if wanted:
            found = [r for r in found if r.get(f"{self.kind}Type") == wanted]
        if uri:
            found = [r for r in found if r["Source"]["SourceUri"] == uri]
        key = f"{self.kind}Name"
        chosen = _between(between(found, request), request, "Created", "CreationTime")
        return paginate(
            chosen, request, f"{self.kind}Summaries", order="Descending", name_key=key, size=10
        )


def add_association(request: Record) -> Record:
    ends = {end: request[end] for end in _ENDS}
    # Both ends are resources of the call; the server itself has asked for the source alone.
    check_action("sagemaker:AddAssociation", ends["DestinationArn"])
    for end in ends.values():
        _entity(end)
    if store().associations.find(*ends.values()):
        raise invalid(
            f"Association from {ends['SourceArn']} to {ends['DestinationArn']} already exists"
        )
    _check_limit("Association", len(store().associations))
    store().associations.add({**request, "CreationTime": now(), "CreatedBy": caller()})
    return ends


def delete_association(request: Record) -> Record:
    ends = {end: request[end] for end in _ENDS}
    check_action("sagemaker:DeleteAssociation", ends["DestinationArn"])
    if store().associations.find(*ends.values()) is None:
        raise missing(f"No association from {ends['SourceArn']} to {ends['DestinationArn']}")
    store().associations.remove(*ends.values())
    return ends


def list_associations(request: Record) -> Record:
    for end in _ENDS:
        if request.get(end):
            _entity(request[end])
    found = []
    for record in _candidates(request):
        source, target = _vertex(record["SourceArn"]), _vertex(record["DestinationArn"])
        row = {
            **record,
            "SourceType": source["Type"],
            "DestinationType": target["Type"],
            "SourceName": source["Name"],
            "DestinationName": target["Name"],
        }
        keys = (*_ENDS, "AssociationType", "SourceType", "DestinationType")
        if all(not request.get(key) or request[key] == row.get(key) for key in keys):
            found.append({key: value for key, value in row.items() if value})
    return paginate(
        _between(found, request, "Created", "CreationTime"),
        request,
        "AssociationSummaries",
        order="Descending",
        size=10,
        sort_keys={
            key: lambda row, key=key: str(row.get(key, ""))  # type: ignore[misc]
            for key in (*_ENDS, "SourceType", "DestinationType")
        },
    )


def query_lineage(request: Record) -> Record:
    """Walks the associations from the start on, breadth first, to the depth asked for.

    A filter chooses among what the walk has met; it does not end the walk.
    """
    starts = list(request.get("StartArns") or [])
    if not starts:
        raise invalid("StartArns must name an entity")
    for start in starts:
        _entity(start)
    depth = int(request.get("MaxDepth") or _QUERY_DEPTH)
    seen, edges = _walk(starts, request.get("Direction") or "Both", depth)
    filters = request.get("Filters") or {}
    met = [key for key in seen if key not in starts and _chosen(key, filters)]
    start = int(request.get("NextToken") or 0)
    end = start + int(request.get("MaxResults") or _QUERY_PAGE)
    answer: Record = {
        "Vertices": [
            {key: value for key, value in _vertex(each).items() if key != "Name"}
            for each in met[start:end]
        ]
    }
    if end < len(met):
        answer["NextToken"] = str(end)
    if request.get("IncludeEdges", True) and not start:
        shown = {*starts, *met}
        answer["Edges"] = [
            {
                **{key: record[key] for key in _ENDS},
                "AssociationType": record.get("AssociationType", "AssociatedWith"),
            }
            for record in edges
            if all(record[key] in shown for key in _ENDS)
        ]
    return answer


def _walk(starts: list[str], direction: str, depth: int) -> tuple[dict[str, int], list[Record]]:
    """What is met, each with its distance, and along which edges."""
    seen = dict.fromkeys(starts, 0)
    edges: dict[tuple[str, str], Record] = {}
    todo = deque(starts)
    known = store().associations
    while todo:
        current = todo.popleft()
        if seen[current] >= depth:
            continue
        below = known.from_source(current) if direction != "Ascendants" else []
        above = known.to_destination(current) if direction != "Descendants" else []
        for record in [*below, *above]:
            source, target = (record[end] for end in _ENDS)
            other = target if source == current else source
            edges[source, target] = record
            if other not in seen:
                seen[other] = seen[current] + 1
                todo.append(other)
    return seen, list(edges.values())


def _chosen(key: str, filters: Mapping[str, Any]) -> bool:
    """Whether a vertex is one of those that a query's filters ask for."""
    record, vertex = store().lineage[key], _vertex(key)
    properties = record.get("Properties", {})
    return (
        (not filters.get("Types") or vertex["Type"] in filters["Types"])
        and (not filters.get("LineageTypes") or vertex["LineageType"] in filters["LineageTypes"])
        and all(properties.get(k) == v for k, v in (filters.get("Properties") or {}).items())
        and bool(list(_between([record], filters, "Created", "CreationTime")))
        and bool(list(_between([record], filters, "Modified", "LastModifiedTime")))
    )


def _between(
    records: list[Record], request: Mapping[str, Any], word: str, key: str
) -> Iterator[Record]:
    """The records between ``<word>After`` and ``<word>Before``."""
    after, before = request.get(f"{word}After"), request.get(f"{word}Before")
    for record in records:
        if (after is None or record[key] > after) and (before is None or record[key] < before):
            yield record


def _entity(key: str, kind: str | None = None) -> Record:
    """An entity's record.

    Raises:
        AwsError: There is none of that kind.
    """
    record = store().lineage.get(key)
    if record is None or (kind and record["Kind"] != kind):
        raise missing(f"{kind or 'Entity'} {key} does not exist")
    return record


def _records_of(kind: str) -> list[Record]:
    return [record for record in store().lineage.values() if record["Kind"] == kind]


def _candidates(request: Mapping[str, Any]) -> Iterable[Record]:
    """The associations of the ends that a request names; all of them where it names none."""
    known = store().associations
    source, destination = (request.get(end) for end in _ENDS)
    if source:
        return known.from_source(source)
    return known.to_destination(destination) if destination else known


def _vertex(key: str) -> dict[str, Any]:
    record = store().lineage[key]
    kind = record["Kind"]
    return {
        "Arn": key,
        "Type": record.get(f"{kind}Type", ""),
        "LineageType": kind,
        "Name": record.get(f"{kind}Name", ""),
    }


def _digest(uri: str) -> str:
    """The end of an artifact's ARN, which IAM's reference calls a hash of its source."""
    return hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest()


def _check_limit(kind: str, there: int) -> None:
    if there >= LIMITS[kind]:
        raise AwsError(
            "ResourceLimitExceeded",
            f"The account-level service limit for manually created {kind.lower()}s is "
            f"{LIMITS[kind]}",
        )


ACTIONS: dict[str, Callable[[Record], Record]] = {
    "AddAssociation": add_association,
    "DeleteAssociation": delete_association,
    "ListAssociations": list_associations,
    "QueryLineage": query_lineage,
    **{
        f"{verb}{kind}{plural}": getattr(Entity(kind), method)
        for kind in ("Artifact", "Action", "Context")
        for verb, plural, method in (
            ("Create", "", "create"),
            ("Describe", "", "describe"),
            ("Update", "", "update"),
            ("Delete", "", "delete"),
            ("List", "s", "list"),
        )
    },
}
