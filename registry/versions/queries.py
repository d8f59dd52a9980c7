"""Questions to the registry: lists with filters, the newest approved version, lines of names.

What answers what:

* ``ListModelPackages`` is up to date, filters by approval and time, and has no metadata.
* ``Search`` has the metadata, and its filters are documented for a package's own properties only,
  not for the keys of its metadata. It reads an index that follows behind. So queries for
  metadata read its pages and filter them here.
* ``BatchDescribeModelPackage`` gives the approval of up to 100 versions as it is now.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from registry.names import RELEASABLE_STAGE, STAGES, STUDENT, TEACHER, ModelName
from registry.versions.metadata import metric_key
from registry.versions.packages import APPROVED, PENDING, REJECTED, PackageSummary, find, summary_of

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

PAGE_LIMIT = 100
STATUSES = (PENDING, APPROVED, REJECTED)

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_THRESHOLD = re.compile(r"\s*(?P<key>[^<>=]+?)\s*(?P<sign>>=|<=|>|<|==?)\s*(?P<bound>\S+)\s*")
_AGE = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class QueryError(ValueError):
    """A question that cannot be asked; names the part and shows a right one."""


@dataclass(frozen=True)
class Threshold:
    """A bound on a metric.

    Attributes:
        key: The metric's metadata key, for example ``Top1``.
        sign: ``>=``, ``<=``, ``>``, ``<`` or ``=``.
    """

    key: str
    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Reads ``Top1>=0.8``; a metric's own name, ``top1_unseen>0.5``, means the same.

        Raises:
            QueryError: Not a name, a sign and a finite number.
        """
        found = _THRESHOLD.fullmatch(text)
        try:
            bound = float(found["bound"]) if found else math.nan
        except ValueError:
            bound = math.nan
        if not found or not math.isfinite(bound):
            raise QueryError(
                f"{text!r} is no bound on a metric; write a name, one of >= <= > < = and a "
                "number, such as Top1>=0.8"
            )
        sign = "=" if found["sign"] == "==" else found["sign"]
        return cls(metric_key(found["key"]), sign, bound)

    def holds(self, metadata: Mapping[str, str]) -> bool:
        """Whether the metric was measured and is within the bound."""
        value = number(metadata.get(self.key))
        return value is not None and _COMPARISONS[self.sign](value, self.bound)


@dataclass(frozen=True)
class Filters:
    """Which versions are asked for; each filter narrows.

    Attributes:
        approval: One of :data:`STATUSES`.
        model_type: ``teacher`` or ``student``.
        stage: One of the type's stages.
        since: Created after it.
        line: A name without its version.
        thresholds: Bounds on metrics.
        where: Exact metadata values, by key.
        text: Found in the description or in a metadata value; capitals do not matter.
    """

    approval: str | None = None
    model_type: str | None = None
    stage: str | None = None
    since: datetime | None = None
    line: str | None = None
    thresholds: tuple[Threshold, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    text: str = ""

    def __post_init__(self) -> None:
        if self.approval and self.approval not in STATUSES:
            raise QueryError(f"status {self.approval!r} is none of {', '.join(STATUSES)}")
        if self.model_type and self.model_type not in STAGES:
            raise QueryError(f"type {self.model_type!r} is none of {', '.join(STAGES)}")
        if self.stage:
            stages = [
                stage
                for model_type in STAGES
                if self.model_type in (None, model_type)
                for stage in STAGES[model_type]
            ]
            if self.stage not in stages:
                of = f" of a {self.model_type}" if self.model_type else ""
                raise QueryError(f"stage {self.stage!r}{of} is none of {', '.join(stages)}")

    @property
    def needs_metadata(self) -> bool:
        """Whether the rows must come with their metadata."""
        return bool(self.thresholds or self.where or self.text)

    @property
    def filtered_locally(self) -> bool:
        """Whether rows that SageMaker gives may still be left out."""
        return bool(self.model_type or self.stage or self.line or self.needs_metadata)

    def keep(self, row: PackageSummary) -> bool:
        """Whether a row is one of those asked for; a version without a name has no type."""
        metadata = row.metadata or {}
        return (
            (not self.approval or row.approval == self.approval)
            and (not self.since or row.created > self.since)
            and (not self.model_type or bool(row.name and row.name.model_type == self.model_type))
            and (not self.stage or bool(row.name and row.name.stage == self.stage))
            and (not self.line or bool(row.name and row.name.line == self.line))
            and all(each.holds(metadata) for each in self.thresholds)
            and all(metadata.get(key) == value for key, value in self.where)
            and _mentions(row, self.text)
        )


@dataclass(frozen=True)
class Page:
    """What one call gave.

    Attributes:
        rows: Those of its rows that were asked for, newest first.
        read: How many rows it had.
        more: Whether there is another page.
    """

    rows: tuple[PackageSummary, ...]
    read: int
    more: bool


@dataclass(frozen=True)
class Line:
    """All versions of one line of names.

    Attributes:
        name: For example ``student-efficientnet-lite0-stage2``; ``–`` for versions without a name.
        failed: How many stand for a run that failed.
        approved: The newest approved version, or None.
    """

    name: str
    versions: int
    failed: int
    newest: PackageSummary
    approved: PackageSummary | None


def pages(
    sagemaker: SageMakerClient,
    group: str,
    filters: Filters | None = None,
    *,
    page_size: int = PAGE_LIMIT,
) -> Iterator[Page]:
    """The versions that are asked for, newest first, one call a page."""
    filters = filters or Filters()
    read = _search_pages if filters.needs_metadata else _list_pages
    for rows, more in read(sagemaker, group, filters, page_size):
        yield Page(tuple(row for row in rows if filters.keep(row)), len(rows), more)


def latest(
    sagemaker: SageMakerClient, group: str, model_type: str = STUDENT, stage: str = RELEASABLE_STAGE
) -> PackageSummary | None:
    """The newest approved version of a type and stage, by its parsed name; None without one.

    Three calls at most, however many versions there are: the newest page, of which SageMaker
    leaves the approved ones; where none of those fits, a search for the words by which a version
    of that kind is described (:attr:`ModelName.kind`); and since the search's index follows
    behind, a look at what it found. More only where a whole page of those words is in other
    versions' descriptions. A version that was not made by
    :func:`registry.versions.packages.create`, and lacks the words, is found among the newest 100
    alone.
    """
    filters = Filters(approval=APPROVED, model_type=model_type, stage=stage)
    first = next(pages(sagemaker, group, filters))
    if first.rows or not first.more:
        return first.rows[0] if first.rows else None
    words = ModelName(model_type, "any", stage, 1).kind
    for rows, _ in _search_pages(sagemaker, group, filters, PAGE_LIMIT, words):
        found = [row for row in _described_now(sagemaker, rows, filters) if filters.keep(row)]
        if found:
            return max(found, key=lambda row: (row.created, row.version))
    return None


def find_by_name(sagemaker: SageMakerClient, group: str, name: ModelName) -> PackageSummary | None:
    """The version of a name, or None.

    It is looked for among the newest, then by a search, and page by page where the search does
    not know it (yet): a wrong name costs as many calls as there are pages.
    """
    first = next(pages(sagemaker, group))
    rows = itertools.chain(
        first.rows,
        itertools.chain.from_iterable(
            found for found, _ in _search_pages(sagemaker, group, Filters(), PAGE_LIMIT, str(name))
        )
        if first.more
        else (),
    )
    hit = next((row for row in rows if row.name == name), None)
    return hit or (find(sagemaker, group, name) if first.more else None)


def kind_of(model_type: str | None = None, stage: str | None = None) -> tuple[str, str]:
    """Type and stage; what is left open is a student's stage 2, or a teacher's phase 2.

    Raises:
        QueryError: There is no such type, or it has no such stage.
    """
    Filters(model_type=model_type, stage=stage)
    if stage:
        return next(each for each in STAGES if stage in STAGES[each]), stage
    return (TEACHER, STAGES[TEACHER][-1]) if model_type == TEACHER else (STUDENT, RELEASABLE_STAGE)


def lines(rows: Iterable[PackageSummary]) -> list[Line]:
    """The lines of names among rows that come newest first, by name; those without one last."""
    members: dict[str, list[PackageSummary]] = {}
    for row in rows:
        members.setdefault(row.name.line if row.name else "–", []).append(row)
    return [
        Line(
            name=name,
            versions=len(found),
            failed=sum(row.failure is not None for row in found),
            newest=found[0],
            approved=next((row for row in found if row.approval == APPROVED), None),
        )
        for name, found in sorted(members.items())
    ]


def parse_since(text: str, now: datetime) -> datetime:
    """Reads a date, a time (ISO 8601, UTC where it names no zone) or an age such as ``7d``.

    Raises:
        QueryError: None of them, or a time before all times.
    """
    age = _AGE.fullmatch(text.strip())
    try:
        if age:
            return now - timedelta(**{_UNITS[age["unit"]]: int(age["count"])})
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise QueryError(
            f"{text!r} is no time; write a date such as 2026-01-31, a time such as "
            "2026-01-31T12:00, or an age such as 12h, 7d or 4w"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_where(text: str) -> tuple[str, str]:
    """Reads ``KEY=VALUE``.

    Raises:
        QueryError: No key, or no value.
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip() or not value.strip():
        raise QueryError(f"{text!r} is no KEY=VALUE, such as Recipe=tiny")
    return key.strip(), value.strip()


def number(text: str | None) -> float | None:
    """A metadata value as a finite number, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _mentions(row: PackageSummary, text: str) -> bool:
    words = text.casefold()
    return words in row.description.casefold() or any(
        words in value.casefold() for value in (row.metadata or {}).values()
    )


def _list_pages(
    sagemaker: SageMakerClient, group: str, filters: Filters, page_size: int
) -> Iterator[tuple[list[PackageSummary], bool]]:
    query: dict[str, Any] = {
        "ModelPackageGroupName": group,
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
        "MaxResults": page_size,
    }
    if filters.approval:
        query["ModelApprovalStatus"] = filters.approval
    if filters.since:
        query["CreationTimeAfter"] = filters.since
    while True:
        answer = sagemaker.list_model_packages(**query)
        token = answer.get("NextToken")
        yield [summary_of(row) for row in answer["ModelPackageSummaryList"]], bool(token)
        if not token:
            return
        query["NextToken"] = token


def _search_pages(
    sagemaker: SageMakerClient, group: str, filters: Filters, page_size: int, words: str = ""
) -> Iterator[tuple[list[PackageSummary], bool]]:
    wanted = [{"Name": "ModelPackageGroupName", "Operator": "Equals", "Value": group}]
    if filters.approval:
        wanted.append(
            {"Name": "ModelApprovalStatus", "Operator": "Equals", "Value": filters.approval}
        )
    if filters.since:
        # Whole seconds are all that a filter takes; Filters.keep judges the rest.
        since = filters.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        wanted.append({"Name": "CreationTime", "Operator": "GreaterThanOrEqualTo", "Value": since})
    if words:
        wanted.append({"Name": "ModelPackageDescription", "Operator": "Contains", "Value": words})
    query: dict[str, Any] = {
        "Resource": "ModelPackage",
        "SearchExpression": {"Filters": wanted},
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
        "MaxResults": page_size,
    }
    while True:
        answer = sagemaker.search(**query)
        token = answer.get("NextToken")
        yield (
            [
                summary_of(each["ModelPackage"])
                for each in answer["Results"]
                if "ModelPackage" in each
            ],
            bool(token),
        )
        if not token:
            return
        query["NextToken"] = token


def _described_now(
    sagemaker: SageMakerClient, rows: list[PackageSummary], filters: Filters
) -> list[PackageSummary]:
    """The versions that a search found, described again; deleted ones are left out."""
    wanted = [row.arn for row in rows if filters.keep(row)]
    if not wanted:
        return []
    answer = sagemaker.batch_describe_model_package(ModelPackageArnList=wanted)
    return [summary_of(row) for row in answer.get("ModelPackageSummaries", {}).values()]
