"""Events that SageMaker sends to EventBridge's default bus.

Shapes: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
Times in a detail are milliseconds since the epoch. A package's event carries no
CustomerMetadataProperties and no previous status.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from localcloud.sagemaker.store import Record

_PACKAGE = (
    *("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageStatus"),
    *("ModelApprovalStatus", "ModelPackageDescription", "InferenceSpecification"),
    *("MetadataProperties", "ModelMetrics", "CreationTime", "LastModifiedTime"),
    *("ModelLifeCycle",),
)
_HIDDEN = ("Environment",)


def package_changed(package: Record, updated: Sequence[str] = ()) -> None:
    """A package was created or updated, in whatever part.

    Args:
        package: As it is now.
        updated: The members that an update wrote.
    """
    detail: dict[str, Any] = {key: package[key] for key in _PACKAGE if key in package}
    if updated:
        detail["UpdatedModelPackageFields"] = list(updated)
    detail["ModelPackageName"] = package["ModelPackageArn"].rpartition("model-package/")[2]
    _put("SageMaker Model Package State Change", detail, package["ModelPackageArn"])


def job_changed(kind: str, job: Record) -> None:
    """A job's status changed; ``kind`` is ``Training`` or ``Processing``."""
    detail = {key: value for key, value in job.items() if key not in _HIDDEN}
    _put(f"SageMaker {kind} Job State Change", detail, job[f"{kind}JobArn"])


def _put(detail_type: str, detail: dict[str, Any], resource: str) -> None:
    from ministack.services import eventbridge

    eventbridge._put_events(
        {
            "Entries": [
                {
                    "Source": "aws.sagemaker",
                    "DetailType": detail_type,
                    "Detail": json.dumps(_in_milliseconds(detail)),
                    "Resources": [resource],
                }
            ]
        },
        allow_aws_source=True,
    )


def _in_milliseconds(value: Any, key: str = "") -> Any:
    """A detail with each of its times, at whatever depth, in the unit of events."""
    if isinstance(value, dict):
        return {name: _in_milliseconds(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_in_milliseconds(item) for item in value]
    timed = isinstance(value, float) and key.endswith(("Time", "Timestamp"))
    return int(value * 1000) if timed else value
