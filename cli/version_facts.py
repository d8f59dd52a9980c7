"""What a version is, in words, for every command that shows one."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from registry.versions.packages import Package

#: SageMaker's approval status -> the word in a table.
STATUS_WORDS = {"PendingManualApproval": "pending", "Approved": "approved", "Rejected": "rejected"}


def facts(package: Package) -> list[tuple[str, str]]:
    """What a version is, beside its metadata; whatever it does not have is left out."""
    from registry.versions.metadata import (
        APPROVAL_REASON,
        FAILURE_REASON,
        MLFLOW_RUN,
        PARENT_NAME,
        VALIDATION,
        VALIDATION_FAULTS,
    )
    from registry.versions.packages import PENDING
    from registry.versions.report_page import decided_on

    metadata = package.metadata
    changed = ""
    if package.modified:
        by = f" by {package.modified_by}" if package.modified_by else ""
        changed = f"{package.modified.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC{by}"
    failure = metadata.get(FAILURE_REASON, "")
    verdict = [metadata.get(VALIDATION, ""), metadata.get(VALIDATION_FAULTS, "")]
    found = [
        ("Status", STATUS_WORDS.get(package.approval, package.approval)),
        ("Failed run", failure),
        ("Decision", package.approval_description or metadata.get(APPROVAL_REASON, "")),
        ("Decided on page", decided_on(package) if package.approval != PENDING else ""),
        ("Validation", ": ".join(part for part in verdict if part)),
        ("Version", f"{package.version} of {package.group}"),
        ("Registered", f"{package.created.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"),
        ("Changed", changed),
        ("Made from", metadata.get(PARENT_NAME, "")),
        ("Made by", package.generated_by),
        ("Commit", package.commit),
        ("MLflow run", metadata.get(MLFLOW_RUN, "")),
        ("Artifact", package.model_data_url),
        ("Image", package.image),
        ("Metrics file", package.quality_uri),
        ("Model card", package.card_status),
        ("ARN", package.arn),
    ]
    return [(key, one_line(value)) for key, value in found if value]
