"""A version's metrics in S3, in the form that SageMaker's console reads.

Form: the metrics of a model quality monitoring job,
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html. Of its
metrics only accuracy is what we measure (top-1 of card retrieval); its standard deviation is the
binomial one of that many queries. Everything else that was measured stands in a section of our
own, under its own name. The report depends on the metrics alone, so writing it twice is harmless.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.names import MODEL_QUALITY_PREFIX, ModelName

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def report(name: ModelName, metrics: Mapping[str, float]) -> dict[str, Any]:
    """The report of a version.

    Args:
        name: The version's name.
        metrics: As the job measured them; rates from 0 to 1.
    """
    document: dict[str, Any] = {"version": 0.0, "model": str(name)}
    if "top1" in metrics:
        top1, queries = metrics["top1"], metrics.get("queries", 0)
        deviation: float | str = "NaN"
        if queries >= 1:
            deviation = math.sqrt(max(0.0, top1 * (1 - top1)) / queries)
        document["multiclass_classification_metrics"] = {
            "accuracy": {"value": top1, "standard_deviation": deviation}
        }
    document["card_retrieval_metrics"] = {
        key: _entry(key, value, metrics)
        for key, value in sorted(metrics.items())
        if not key.endswith(("_low", "_high"))
    }
    return document


def put(s3: S3Client, bucket: str, name: ModelName, metrics: Mapping[str, float]) -> str:
    """Writes the report and returns its S3 address."""
    body = json.dumps(report(name, metrics), indent=2, allow_nan=False).encode()
    return put_report(s3, bucket, name, body)


def put_report(s3: S3Client, bucket: str, name: ModelName, body: bytes) -> str:
    """Writes a report that was made before and returns its S3 address."""
    key = f"{MODEL_QUALITY_PREFIX}{name}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return f"s3://{bucket}/{key}"


def _entry(key: str, value: float, metrics: Mapping[str, float]) -> dict[str, Any]:
    entry: dict[str, Any] = {"value": value}
    low, high = metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
    if low is not None and high is not None:
        entry["interval_95"] = [low, high]
    return entry
