"""The state of the local SageMaker, by account and region."""

from __future__ import annotations

import base64
import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from threading import RLock
from typing import Any

from ministack.core.responses import get_account_id, get_region

from localcloud.sagemaker.errors import invalid

Record = dict[str, Any]

#: One lock for everything: calls are short, and the threads of jobs write states too.
LOCK = RLock()


class Associations:
    """Those of lineage entities, oldest first: one record for each pair of ends.

    A record has ``SourceArn`` and ``DestinationArn``.

    Every version that is approved lists the associations of its entities: by indexes, so that what
    this costs does not grow with the versions that there are.

    Args:
        records: What was saved.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._by_ends: dict[tuple[str, str], Record] = {}
        self._by_source: dict[str, dict[str, Record]] = {}
        self._by_destination: dict[str, dict[str, Record]] = {}
        for record in records:
            self.add(record)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._by_ends.values())

    def __len__(self) -> int:
        return len(self._by_ends)

    def add(self, record: Record) -> None:
        """Adds one; its ends have none yet."""
        source, destination = record["SourceArn"], record["DestinationArn"]
        self._by_ends[source, destination] = record
        self._by_source.setdefault(source, {})[destination] = record
        self._by_destination.setdefault(destination, {})[source] = record

    def find(self, source: str, destination: str) -> Record | None:
        """The one between two ends."""
        return self._by_ends.get((source, destination))

    def remove(self, source: str, destination: str) -> None:
        """Removes the one between two ends.

        Raises:
            KeyError: There is none.
        """
        del self._by_ends[source, destination]
        del self._by_source[source][destination]
        del self._by_destination[destination][source]

    def from_source(self, key: str) -> list[Record]:
        """Those that begin at an entity."""
        return list(self._by_source.get(key, {}).values())

    def to_destination(self, key: str) -> list[Record]:
        """Those that end at an entity."""
        return list(self._by_destination.get(key, {}).values())


@dataclass
class Store:
    """The tables of one account in one region: plain JSON values, and what is saved as such."""

    groups: dict[str, Record] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    packages: dict[str, Record] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    jobs: dict[str, Record] = field(default_factory=dict)
    lineage: dict[str, Record] = field(default_factory=dict)
    associations: Associations = field(default_factory=Associations)
    mlflow: dict[str, Record] = field(default_factory=dict)
    models: dict[str, Record] = field(default_factory=dict)
    #: What came with each client token: the digest of its request.
    token_requests: dict[str, str] = field(default_factory=dict)


_stores: dict[str, Store] = {}


def store() -> Store:
    """The caller's tables."""
    # Threads of jobs come here too.
    with LOCK:
        return _stores.setdefault(f"{get_account_id()}|{get_region()}", Store())


def every_store() -> dict[str, Store]:
    """All tables, by ``account|region``."""
    return _stores


def find_package(package: str) -> Record | None:
    """A version in its owner's tables, which may be another account's; None where there is none.

    Args:
        package: Its ARN, or ``group/version`` of the caller's.
    """
    key = package if package.startswith("arn:") else arn("model-package", package)
    with LOCK:
        for tables in _stores.values():
            if key in tables.packages:
                return tables.packages[key]
    return None


def dump() -> dict[str, Any]:
    """Everything, for saving."""
    with LOCK:
        # A copy: it is written to disk while jobs go on.
        return {
            key: copy.deepcopy({**vars(tables), "associations": list(tables.associations)})
            for key, tables in _stores.items()
        }


def load(saved: Mapping[str, Any]) -> None:
    """Restores what :func:`dump` returned."""
    with LOCK:
        _stores.clear()
        for key, tables in saved.items():
            associations = Associations(tables.get("associations", ()))
            _stores[key] = Store(**{**tables, "associations": associations})


def clear() -> None:
    """Deletes everything."""
    with LOCK:
        _stores.clear()


def arn(kind: str, name: str) -> str:
    """The ARN of a resource of the caller's account and region."""
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind}/{name}"


def name_of(name_or_arn: str) -> str:
    """The name in an ARN's last part; a bare name is itself."""
    return name_or_arn.rsplit("/", 1)[-1] if name_or_arn.startswith("arn:") else name_or_arn


def now() -> float:
    """Seconds since the epoch, as the JSON protocol sends times."""
    return time.time()


_TIMES = (
    *("CreationTimeAfter", "CreationTimeBefore"),
    *("LastModifiedTimeAfter", "LastModifiedTimeBefore"),
)


def between(records: Iterable[Record], request: Mapping[str, Any]) -> list[Record]:
    """The records between the times of a List request: what is paged."""
    if not any(request.get(each) is not None for each in _TIMES):
        return list(records)
    found = []
    for record in records:
        created = record["CreationTime"]
        changed = record.get("LastModifiedTime", created)
        if "CreationTimeAfter" in request and not created > request["CreationTimeAfter"]:
            continue
        if "CreationTimeBefore" in request and not created < request["CreationTimeBefore"]:
            continue
        if "LastModifiedTimeAfter" in request and not changed > request["LastModifiedTimeAfter"]:
            continue
        if "LastModifiedTimeBefore" in request and not changed < request["LastModifiedTimeBefore"]:
            continue
        found.append(record)
    return found


def named(request: Mapping[str, Any], name_key: str) -> Callable[[Record], bool]:
    """A request's ``NameContains``, for :func:`paginate`."""
    words = str(request.get("NameContains") or "").lower()
    return lambda record: words in str(record.get(name_key, "")).lower()


def paginate(
    records: Iterable[Record],
    request: Mapping[str, Any],
    answer_key: str,
    *,
    order: str,
    name_key: str = "",
    sort_keys: Mapping[str, Callable[[Record], Any]] | None = None,
    size: int = 100,
    keep: Callable[[Record], bool] = lambda record: True,
    row: Callable[[Record], Record] = lambda record: record,
) -> dict[str, Any]:
    """Sorts and pages as SageMaker does: a page is cut first, and filtered then.

    So a page can be empty, and have a token: botocore's note on ListTrainingJobs says it of
    StatusEquals, boto3#2838 and #3347 of other filters.

    Args:
        records: What is listed.
        request: The List request: SortBy, SortOrder, MaxResults, NextToken.
        answer_key: The list's name in the answer.
        order: SortOrder where the request names none; AWS's default differs by call.
        name_key: What ``SortBy=Name`` sorts by.
        sort_keys: Further SortBy values.
        size: Page size where the request names none.
        keep: The request's filters.
        row: What is shown of a record; made for those of the page alone.

    Raises:
        AwsError: The NextToken is not one of this function's.
    """
    keys: dict[str, Callable[[Record], Any]] = {
        "CreationTime": itemgetter("CreationTime"),
        "Name": lambda record: str(record.get(name_key, "")),
        **(sort_keys or {}),
    }
    by = keys.get(request.get("SortBy") or "CreationTime", keys["CreationTime"])
    ordered = sorted(records, key=by, reverse=(request.get("SortOrder") or order) == "Descending")
    start = 0
    if request.get("NextToken"):
        try:
            start = int(base64.b64decode(request["NextToken"], validate=True))
        except ValueError:
            raise invalid("Invalid NextToken.") from None
    end = start + int(request.get("MaxResults") or size)
    page = [row(each) for each in ordered[start:end] if keep(each)]
    answer: dict[str, Any] = {answer_key: page}
    if end < len(ordered):
        answer["NextToken"] = base64.b64encode(str(end).encode()).decode()
    return answer


def tag_map(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """``[{Key, Value}]`` as a dict."""
    return {tag["Key"]: tag["Value"] for tag in tags or []}
