"""Metrics as log lines: CloudWatch makes them of what a function prints, without a call.

Embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import os
import time

from registry.notices import Notice, NoticeKind

NAMESPACE = "CardRegistry"
#: What each kind of notice is counted as.
METRICS = {
    NoticeKind.WAITING: "Waiting",
    NoticeKind.RELEASED: "Released",
    NoticeKind.WITHDRAWN: "Withdrawn",
    NoticeKind.GATE_FAILED: "GateFailed",
    NoticeKind.NOT_COMPILED: "NotCompiled",
    NoticeKind.DAMAGED: "ReleaseDamaged",
    NoticeKind.ROLLOUT_HALTED: "RolloutHalted",
    NoticeKind.HOLD_UNREADABLE: "HoldUnreadable",
}


def count_notice(notice: Notice) -> None:
    """Counts a notice, and measures how long a release has taken."""
    figures = {"LeadTimeSeconds": notice.waited} if notice.waited is not None else {}
    count(METRICS[notice.kind], notice.version, **figures)


def count(metric: str, package: str = "", **more: float) -> None:
    """Counts one occurrence of something, with further figures of the same moment.

    Args:
        metric: Its name, for example ``Released``.
        package: The version that it concerns; searchable, and no dimension.
        more: Further figures by name; one that ends in ``Seconds`` has that unit.
    """
    figures = {metric: 1.0, **more}
    line = {
        "_aws": {
            "Timestamp": round(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Environment"]],
                    "Metrics": [
                        {"Name": name, "Unit": "Seconds" if name.endswith("Seconds") else "Count"}
                        for name in figures
                    ],
                }
            ],
        },
        "Environment": os.environ.get("ENVIRONMENT", ""),
        **({"package": package} if package else {}),
        **figures,
    }
    print(json.dumps(line), flush=True)
