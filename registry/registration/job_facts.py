"""What DescribeTrainingJob says about a run, as metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.versions.metadata import INSTANCE_COUNT, INSTANCE_TYPE, TRAINING_SECONDS


def machine_facts(job: Mapping[str, Any]) -> dict[str, str]:
    """The machines and how long they ran; a job that never started ran for no time."""
    facts = {}
    resources = job.get("ResourceConfig", {})
    if resources.get("InstanceType"):
        facts[INSTANCE_TYPE] = str(resources["InstanceType"])
    if resources.get("InstanceCount"):
        facts[INSTANCE_COUNT] = str(resources["InstanceCount"])
    start, end = job.get("TrainingStartTime"), job.get("TrainingEndTime")
    if start and end:
        facts[TRAINING_SECONDS] = str(max(0, round((end - start).total_seconds())))
    return facts


def channel_uri(job: Mapping[str, Any], channel: str) -> str | None:
    """The S3 address of one of the job's channels, or None."""
    for entry in job.get("InputDataConfig", []):
        if entry.get("ChannelName") == channel:
            uri = entry.get("DataSource", {}).get("S3DataSource", {}).get("S3Uri")
            return str(uri) if uri else None
    return None
