"""Events that SageMaker sends to EventBridge's default bus.

Shapes: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
Its examples write times in three ways: a package's as ISO 8601, a training job's as milliseconds
since the epoch in a text, a processing job's as that number. A package's event carries no
CustomerMetadataProperties and no previous status; a change of its life cycle is such an event, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from localcloud.sagemaker.store import Record, store

_PACKAGE = (
    *("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageStatus"),
    *("ModelApprovalStatus", "ModelPackageDescription", "InferenceSpecification"),
    *("MetadataProperties", "ModelMetrics", "CreationTime", "LastModifiedTime"),
    *("ModelLifeCycle", "ModelPackageStatusDetails"),
)
#: Members of an update whose names an event spells otherwise.
_SPELLED = {"SourceUri": "sourceUri"}
_HIDDEN = ("Environment",)


def package_changed(package: Record, updated: Sequence[str] = ()) -> None:
    """A package was created or updated, in whatever part.

    Args:
        package: As it is now.
        updated: The members that an update wrote.
    """
    detail: dict[str, Any] = {key: package[key] for key in _PACKAGE if key in package}
    detail["CertifyForMarketplace"] = bool(package.get("CertifyForMarketplace"))
    if updated:
        detail["UpdatedModelPackageFields"] = [_SPELLED.get(each, each) for each in updated]
    detail = _timed(detail, _iso)
    _put("SageMaker Model Package State Change", detail, package["ModelPackageArn"])


def job_changed(kind: str, job: Record) -> None:
    """A job's status changed; ``kind`` is ``Training`` or ``Processing``."""
    arn = job[f"{kind}JobArn"]
    detail = {key: value for key, value in job.items() if key not in _HIDDEN}
    if kind == "Training":
        detail = _timed({**detail, "Tags": dict(store().tags.get(arn, {}))}, _milliseconds_text)
    else:
        detail = _timed(detail, _milliseconds)
    _put(f"SageMaker {kind} Job State Change", detail, arn)


def _put(detail_type: str, detail: dict[str, Any], resource: str) -> None:
    from ministack.services import eventbridge

    eventbridge._put_events(
        {
            "Entries": [
                {
                    "Source": "aws.sagemaker",
                    "DetailType": detail_type,
                    "Detail": json.dumps(detail),
                    "Resources": [resource],
                }
            ]
        },
        allow_aws_source=True,
    )


def _timed(value: Any, spell: Callable[[float], Any], key: str = "") -> Any:
    """A detail with each of its times, at whatever depth, as its kind of event spells them."""
    if isinstance(value, dict):
        return {name: _timed(item, spell, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_timed(item, spell) for item in value]
    timed = isinstance(value, float) and key.endswith(("Time", "Timestamp"))
    return spell(value) if timed else value


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _milliseconds(moment: float) -> int:
    return int(moment * 1000)


def _milliseconds_text(moment: float) -> str:
    return str(_milliseconds(moment))
