"""The reports of a deployment's devices, as they lie in the release bucket."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from registry.aws import objects_below
from registry.aws_errors import is_missing
from registry.fleet.device_report import (
    REPORT_LIMIT,
    DeviceReport,
    DeviceReportError,
    device_of,
    parse_report,
    report_key,
)
from registry.names import DEVICES_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: How many reports are read at once, newest first.
REPORTS_LIMIT = 2000


@dataclass(frozen=True)
class StoredReport:
    """A report and when it was written.

    Attributes:
        report: What the device says.
        written: By S3's clock; the device's own may be wrong.
    """

    report: DeviceReport
    written: datetime


@dataclass(frozen=True)
class FleetReports:
    """What was found below ``devices/``.

    Attributes:
        stored: The reports, by device.
        unreadable: Why an object is no report, by its key.
        left_out: How many older reports were not read.
    """

    stored: list[StoredReport] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    left_out: int = 0


def read_reports(s3: S3Client, bucket: str, limit: int = REPORTS_LIMIT) -> FleetReports:
    """Reads the newest reports; an object that is none does not keep others from being read.

    Args:
        s3: A boto3 S3 client.
        bucket: The release bucket.
        limit: How many to read.
    """
    rows = [
        (row["LastModified"], row["Key"], row["Size"])
        for row in objects_below(s3, bucket, DEVICES_PREFIX)
    ]
    found = FleetReports(left_out=max(0, len(rows) - limit))
    for _, key, size in heapq.nlargest(limit, rows):
        device = device_of(key)
        try:
            if device is None:
                raise DeviceReportError("has no device's name")
            if size > REPORT_LIMIT:
                raise DeviceReportError(f"is longer than {REPORT_LIMIT} bytes")
            stored = read_report(s3, bucket, device)
        except DeviceReportError as error:
            found.unreadable[key] = str(error)
            continue
        if stored is not None:  # Otherwise it was deleted since the list was made.
            found.stored.append(stored)
    found.stored.sort(key=lambda each: each.report.device)
    return found


def read_report(s3: S3Client, bucket: str, device: str) -> StoredReport | None:
    """One device's report; None where it has written none.

    Raises:
        DeviceReportError: The object is no report.
    """
    try:
        answer = s3.get_object(Bucket=bucket, Key=report_key(device))
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    body = answer["Body"].read(REPORT_LIMIT + 1)
    return StoredReport(parse_report(body, device), answer["LastModified"])
