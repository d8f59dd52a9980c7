"""SageMaker Lineage: artifacts, actions, contexts, and what is associated with what."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.sagemaker.errors import in_use, invalid, missing
from localcloud.sagemaker.store import Record, arn, now, page, selected, store


@dataclass(frozen=True)
class Entity:
    """One kind of lineage entity: ``Artifact``, ``Action`` or ``Context``."""

    kind: str

    def create(self, request: Record) -> Record:
        """Create; an artifact is identified by its source, the others by their name."""
        if self.kind == "Artifact":
            source = json.dumps(request["Source"], sort_keys=True)
            identity = hashlib.md5(source.encode(), usedforsecurity=False).hexdigest()
        else:
            identity = request[f"{self.kind}Name"]
        key = arn(self.kind.lower(), identity)
        if key in store().lineage:
            raise in_use(f"{self.kind} with ARN {key} already exists")
        store().lineage[key] = {
            **{name: value for name, value in request.items() if name != "Tags"},
            f"{self.kind}Arn": key,
            "CreationTime": now(),
            "LastModifiedTime": now(),
            "Kind": self.kind,
        }
        return {f"{self.kind}Arn": key}

    def describe(self, request: Record) -> Record:
        """Describe, by ARN or by name."""
        given = request.get(f"{self.kind}Arn") or request.get(f"{self.kind}Name")
        if not given:
            raise invalid(f"{self.kind} is not named")
        key = given if given.startswith("arn:") else arn(self.kind.lower(), given)
        if key not in store().lineage:
            raise missing(f"{self.kind} {key} does not exist")
        return store().lineage[key]

    def update(self, request: Record) -> Record:
        """Update: properties are merged."""
        record = self.describe(request)
        record.setdefault("Properties", {}).update(request.get("Properties") or {})
        for name in request.get("PropertiesToRemove") or []:
            record["Properties"].pop(name, None)
        for name in ("Description", "Status", "ArtifactName"):
            if request.get(name) is not None:
                record[name] = request[name]
        record["LastModifiedTime"] = now()
        return {f"{self.kind}Arn": record[f"{self.kind}Arn"]}

    def delete(self, request: Record) -> Record:
        """Delete; refused while it is associated with something."""
        if self.kind == "Artifact" and not request.get("ArtifactArn"):
            source = request["Source"]
            found = [r for r in store().lineage.values() if r.get("Source") == source]
            if not found:
                raise missing("Artifact of that source does not exist")
            key = found[0]["ArtifactArn"]
        else:
            key = self.describe(request)[f"{self.kind}Arn"]
        if any(key in (a["SourceArn"], a["DestinationArn"]) for a in store().associations):
            raise in_use(f"{self.kind} {key} is associated with other entities")
        del store().lineage[key]
        return {f"{self.kind}Arn": key}

    def list(self, request: Record) -> Record:
        """List, filtered by type and source."""
        found = [r for r in store().lineage.values() if r["Kind"] == self.kind]
        wanted, uri = request.get(f"{self.kind}Type"), request.get("SourceUri")
        if wanted:
            found = [r for r in found if r.get(f"{self.kind}Type") == wanted]
        if uri:
            found = [r for r in found if r.get("Source", {}).get("SourceUri") == uri]
        if request.get("CreatedAfter"):
            found = [r for r in found if r["CreationTime"] > request["CreatedAfter"]]
        if request.get("CreatedBefore"):
            found = [r for r in found if r["CreationTime"] < request["CreatedBefore"]]
        key = f"{self.kind}Name"
        found = selected(found, request, key)
        return page(
            found, request, f"{self.kind}Summaries", order="Descending", name_key=key, size=10
        )


def add_association(request: Record) -> Record:
    ends = {"SourceArn": request["SourceArn"], "DestinationArn": request["DestinationArn"]}
    for existing in store().associations:
        if all(existing[key] == value for key, value in ends.items()):
            raise in_use(
                f"Association from {ends['SourceArn']} to {ends['DestinationArn']} already exists"
            )
    store().associations.append({**request, "CreationTime": now()})
    return ends


def delete_association(request: Record) -> Record:
    ends = {"SourceArn": request["SourceArn"], "DestinationArn": request["DestinationArn"]}
    kept = [a for a in store().associations if {k: a[k] for k in ends} != ends]
    if len(kept) == len(store().associations):
        raise missing(f"No association from {ends['SourceArn']} to {ends['DestinationArn']}")
    store().associations[:] = kept
    return ends


def list_associations(request: Record) -> Record:
    keys = ("SourceArn", "DestinationArn", "AssociationType")
    found = []
    for record in store().associations:
        if any(request.get(key) and request[key] != record.get(key) for key in keys):
            continue
        source, target = _vertex(record["SourceArn"]), _vertex(record["DestinationArn"])
        found.append(
            {
                **record,
                "SourceType": source["Type"],
                "DestinationType": target["Type"],
                "SourceName": source["Name"],
                "DestinationName": target["Name"],
            }
        )
    return page(found, request, "AssociationSummaries", order="Descending", size=10)


def query_lineage(request: Record) -> Record:
    """Walks the associations from the start on, breadth first, to the depth asked for."""
    direction = request.get("Direction") or "Both"
    depth = int(request.get("MaxDepth") or 10)
    starts = list(request.get("StartArns") or [])
    seen = dict.fromkeys(starts, 0)
    edges: dict[tuple[str, str], Record] = {}
    todo = deque(starts)
    while todo:
        here = todo.popleft()
        if seen[here] >= depth:
            continue
        for record in store().associations:
            ends = (record["SourceArn"], record["DestinationArn"])
            if direction in ("Both", "Descendants") and ends[0] == here:
                other = ends[1]
            elif direction in ("Both", "Ascendants") and ends[1] == here:
                other = ends[0]
            else:
                continue
            edges[ends] = record
            if other not in seen:
                seen[other] = seen[here] + 1
                todo.append(other)
    answer: Record = {
        "Vertices": [
            {key: value for key, value in _vertex(a).items() if key != "Name"}
            for a in seen
            if a not in starts
        ]
    }
    if request.get("IncludeEdges", True):
        answer["Edges"] = [
            {
                "SourceArn": source,
                "DestinationArn": target,
                "AssociationType": record.get("AssociationType", "AssociatedWith"),
            }
            for (source, target), record in edges.items()
        ]
    return answer


def _vertex(key: str) -> dict[str, Any]:
    record = store().lineage.get(key, {})
    kind = record.get("Kind", "Artifact")
    return {
        "Arn": key,
        "Type": record.get(f"{kind}Type", ""),
        "LineageType": kind,
        "Name": record.get(f"{kind}Name", ""),
    }


OPERATIONS: dict[str, Callable[[Record], Record]] = {
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
