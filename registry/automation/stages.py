"""Writes the life-cycle stage of versions, and keeps who decided on them.

Every update that the publishing function makes of a version goes through :func:`update`: it hides
who changed the version before, so it writes that down in the same request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from registry import channels
from registry.deployment import Deployment
from registry.releases.folders import newest_release
from registry.releases.pointers import ChannelError, read
from registry.versions import four_eyes, life_cycle, report_page
from registry.versions.life_cycle import LifeCycle
from registry.versions.packages import Package, describe


def pointers(deployment: Deployment) -> dict[str, str]:
    """ARN of the version that each channel points to; empty for none, or an unreadable pointer."""
    found = {}
    for each in channels.CHANNELS:
        try:
            pointer, _ = read(deployment.s3, deployment.release_bucket, each.name)
        except ChannelError:
            pointer = None
        found[each.name] = (pointer and pointer.package_arn) or ""
    return found


def record(deployment: Deployment, arns: Iterable[str]) -> str:
    """Writes the stage of each version that has another; returns what was written, for the log."""
    written = []
    for arn in arns:
        package = describe(deployment.sagemaker, arn)
        if package is None or package.group != deployment.group_name:
            continue
        wanted = _wanted(deployment, package)
        if wanted and not wanted.same_stage(package.life_cycle):
            _write(deployment, package, wanted, {})
            written.append(f"{package.label} is {wanted.stage}")
    return ", ".join(written) or "every stage is recorded"


def update(deployment: Deployment, arn: str, *, failed: bool = False, **changes: Any) -> None:
    """Updates a version, with its stage and who decided on it.

    Args:
        deployment: Clients, names and settings.
        arn: The version; nothing is written to one that is gone.
        failed: Whether a failure is recorded.
        changes: Further parameters of ``UpdateModelPackage``.
    """
    package = describe(deployment.sagemaker, arn)
    if package is None:
        return
    recorded = package.life_cycle
    wanted = life_cycle.failed(recorded) if failed else _wanted(deployment, package)
    _write(deployment, package, wanted, changes)


def _wanted(deployment: Deployment, package: Package) -> LifeCycle | None:
    pointing = [name for name, arn in pointers(deployment).items() if arn == package.arn]
    release = newest_release(deployment.s3, deployment.release_bucket, package.label)
    return life_cycle.stage(
        pointing, package.approval, released=release is not None, recorded=package.life_cycle
    )


def _write(
    deployment: Deployment,
    package: Package,
    wanted: LifeCycle | None,
    changes: Mapping[str, Any],
) -> None:
    # A version without a stage that people have decided on: the decision must be kept all the same.
    wanted = wanted or LifeCycle(life_cycle.REVIEW, "Pending")
    decided_by = four_eyes.approver(package, deployment.publisher_role_arn)
    page = report_page.decided_on(package)
    described = life_cycle.with_decision(wanted, package.approval, decided_by, page)
    deployment.sagemaker.update_model_package(
        ModelPackageArn=package.arn, ModelLifeCycle=described.request(), **changes
    )
