"""Lineage groups: an account has one, to which all its lineage entities belong.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListLineageGroups.html
"""

from __future__ import annotations

from collections.abc import Callable

from localcloud.sagemaker.errors import missing
from localcloud.sagemaker.store import Record, arn, paginate, store

DEFAULT = "sagemaker-default-lineage-group"
#: It is older than everything in it.
_CREATED = 0.0


def default_group_arn() -> str:
    """The ARN of the caller's group."""
    return arn("lineage-group", DEFAULT)


def _group() -> Record:
    created = min((record["CreationTime"] for record in store().lineage.values()), default=_CREATED)
    return {
        "LineageGroupName": DEFAULT,
        "LineageGroupArn": default_group_arn(),
        "DisplayName": DEFAULT,
        "CreationTime": created,
        "LastModifiedTime": created,
    }


def list_lineage_groups(request: Record) -> Record:
    group = _group()
    after, before = request.get("CreatedAfter"), request.get("CreatedBefore")
    fits = (after is None or group["CreationTime"] > after) and (
        before is None or group["CreationTime"] < before
    )
    return paginate(
        [group] if fits else [], request, "LineageGroupSummaries", order="Descending",
        name_key="LineageGroupName",
    )  # fmt: skip


def describe_lineage_group(request: Record) -> Record:
    if request["LineageGroupName"] != DEFAULT:
        raise missing(f"Lineage group {request['LineageGroupName']} does not exist")
    return _group()


ACTIONS: dict[str, Callable[[Record], Record]] = {
    "ListLineageGroups": list_lineage_groups,
    "DescribeLineageGroup": describe_lineage_group,
}
