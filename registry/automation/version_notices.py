"""The notices about one version: what was released, withdrawn, or failed for good.

Each notice is sent first and recorded on the version afterwards: rather two notices than none.
"""

from __future__ import annotations

from typing import Any

from registry.automation import stages
from registry.automation.observation import FOUR_EYES, VersionState
from registry.compilation import jobs as compilation
from registry.compilation.compile_settings import CompileSettings
from registry.compilation.compiled_versions import register_compiled
from registry.compilation.reports import COMPILATION_REPORT, FIDELITY_PAGE
from registry.contract import ContractError
from registry.deployment import Deployment
from registry.lineage.ancestry import LineageError
from registry.names import COMPILATIONS_PREFIX, RELEASES_PREFIX
from registry.notices import Notice, NoticeKind, Notifier
from registry.releases.manifest import ManifestError
from registry.untrusted.text import shortened
from registry.versions.metadata import (
    COMPILE_FAILED_JOB,
    COMPILE_FAILURE,
    RELEASE,
    MetadataError,
    plain,
)

#: What a publication raises where the next attempt would fail as well.
REFUSED = (
    compilation.CompilationError,
    ManifestError,
    ContractError,
    LineageError,
    MetadataError,
)


def publish_release_notice(
    deployment: Deployment,
    notifier: Notifier,
    state: VersionState,
    release: str,
    waited: float | None = None,
) -> str:
    """Sends the notice, and records it only after that: rather two notices than none.

    Args:
        deployment: Clients, names and settings.
        notifier: Publishes the notice.
        state: The version's state.
        release: Its release.
        waited: Seconds since the approval, where this publication is the first.
    """
    assert state.package
    notifier.publish(
        Notice(
            NoticeKind.RELEASED,
            state.label,
            state.version.arn,
            f"Release {release} is complete, signed, and in the channels. Its page is "
            f"{FIDELITY_PAGE}.",
            (
                *_copy(deployment.release_bucket, f"{RELEASES_PREFIX}{release}/{FIDELITY_PAGE}"),
                notifier.command(f"release show {release}"),
                notifier.command("release pull --out release"),
                notifier.command(f"trace {state.label}"),
            ),
            waited,
        )
    )
    obsolete = [
        key for key in (COMPILE_FAILED_JOB, COMPILE_FAILURE) if key in state.package.metadata
    ]
    removal: dict[str, Any] = {"CustomerMetadataPropertiesToRemove": obsolete} if obsolete else {}
    stages.update(
        deployment,
        state.package.arn,
        CustomerMetadataProperties={RELEASE: release},
        **removal,
    )
    return "announced"


def _pages(deployment: Deployment, state: VersionState, kind: NoticeKind) -> tuple[str, ...]:
    """How to get the page that says why the gate failed; none where there was no gate."""
    if kind is not NoticeKind.GATE_FAILED or not state.jobs:
        return ()
    key = f"{COMPILATIONS_PREFIX}{state.jobs.newest.name}/{FIDELITY_PAGE}"
    return _copy(deployment.training_bucket, key)


def _copy(bucket: str, key: str) -> tuple[str, ...]:
    return (f"aws s3 cp s3://{bucket}/{key} .",)


def publish_withdrawal_notice(
    deployment: Deployment, notifier: Notifier, state: VersionState
) -> None:
    """Sends the notice of a withdrawn release, and removes the release from the metadata."""
    package = state.package
    if not state.releases and (package is None or RELEASE not in package.metadata):
        return
    if state.seen.retired:
        _remove_release_name(
            deployment, state
        )  # The release was retired before: nothing to announce.
        return
    status = package.approval if package else "deleted"
    reason = package.approval_description if package else ""
    notifier.publish(
        Notice(
            NoticeKind.WITHDRAWN,
            state.label,
            state.version.arn,
            f"The version is {status}{f' ({reason})' if reason else ''}; its release is in no "
            "channel any more. Devices that have it keep it until they pull again.",
            (
                notifier.command("release list"),
                notifier.command(f"trace {state.label}"),
            ),
        )
    )
    _remove_release_name(deployment, state)


def _remove_release_name(deployment: Deployment, state: VersionState) -> None:
    """Removes the release from the version's metadata."""
    package = state.package
    if package and RELEASE in package.metadata:
        stages.update(deployment, package.arn, CustomerMetadataPropertiesToRemove=[RELEASE])


def record_failure(
    deployment: Deployment,
    notifier: Notifier,
    state: VersionState,
    compile_settings: CompileSettings,
) -> str:
    """Records why a version cannot be released; registers what a failed gate compared."""
    assert state.package and state.jobs
    job = state.jobs.newest
    if state.mark.startswith(FOUR_EYES):
        return record_failed(deployment, notifier, state, job.reason)
    if state.fidelity is not None:
        reasons = [str(reason) for reason in state.fidelity.get("reasons", [])]
        try:
            register_compiled(
                deployment,
                source=state.package,
                compile_settings=compile_settings,
                job_name=job.name,
                report=compilation.read_report(
                    deployment.s3, deployment.training_bucket, job.name, COMPILATION_REPORT
                ),
                fidelity=state.fidelity,
            )
        except REFUSED as error:
            reasons.append(str(error))
        why = "fidelity gate failed: " + ("; ".join(reasons) or "no reason given")
        return record_failed(deployment, notifier, state, why, NoticeKind.GATE_FAILED)
    if not state.seen.compilable and not job.name:
        return record_failed(
            deployment,
            notifier,
            state,
            job.reason
            or "its model artifact or its card set is not recorded, so it cannot be compiled; "
            "register it from its training job",
        )
    attempts = f"{job.attempt} attempt{'s' if job.attempt != 1 else ''}"
    return record_failed(
        deployment,
        notifier,
        state,
        f"{job.state.value} after {attempts}: {job.reason or 'no reason'}",
    )


def record_failed(
    deployment: Deployment,
    notifier: Notifier,
    state: VersionState,
    why: str,
    kind: NoticeKind = NoticeKind.NOT_COMPILED,
) -> str:
    """Sends the notice, and records the failure on the version."""
    notifier.publish(
        Notice(
            kind,
            state.label,
            state.version.arn,
            why,
            (
                *_pages(deployment, state, kind),
                notifier.command(f"trace {state.label}"),
                notifier.command(f"release retry {state.label}"),
                notifier.command(f"registry reject {state.label} --reason …"),
            ),
        )
    )
    stages.update(
        deployment,
        state.version.arn,
        failed=True,
        CustomerMetadataProperties={
            COMPILE_FAILED_JOB: state.mark,
            COMPILE_FAILURE: shortened(plain(why)),
        },
    )
    return why
