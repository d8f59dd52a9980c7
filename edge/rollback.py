"""Going back to the release before, by hand or by the watchdog; needs no network."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from edge.runtimes.choice import runtime_of, runtime_version
from edge.state.folder import CURRENT, PREVIOUS, StateFolder
from edge.state.record import Health, Refusal, changed_record
from edge.stored_release import signed_manifest
from registry.releases.manifest import ManifestError
from registry.releases.pull.pulled_folder import DownloadError
from registry.releases.signatures.trust import TrustedDeployment


def roll_back(
    folder: StateFolder,
    trusted: TrustedDeployment,
    reason: str,
    now: datetime,
    *,
    refused: bool = True,
    by_hand: bool = False,
) -> str:
    """Goes back to the release before.

    Args:
        folder: The device's.
        trusted: What is pinned.
        reason: Why, one line.
        now: With its time zone.
        refused: Do not take the release again that is left; otherwise the next update does, as
            it should where only the disk was damaged.
        by_hand: A person says so: another version of the runtime makes no difference.

    Returns:
        The id of the release that is in use now.

    Raises:
        DownloadError: There is none before.
        ManifestError: The one before is not what was signed.
    """
    with changed_record(folder) as record:
        current, previous = folder.linked(CURRENT), folder.linked(PREVIOUS)
        if previous is None or previous == current:
            raise DownloadError(
                "there is no release before the one in use to go back to; a channel is set back "
                "for all devices by: cards release rollback"
            )
        manifest, _ = signed_manifest(previous, trusted)
        if current is not None and refused:
            with contextlib.suppress(ManifestError):
                left, digest = signed_manifest(current, trusted)
                runtime = "" if by_hand else runtime_in_use(left)
                record.refuse(digest, Refusal(str(left["release"]), reason, runtime, iso(now)))
        if not refused:
            record.etags.clear()
        record.health = Health(previous.name)
        folder.point(CURRENT, previous)
        folder.unlink(PREVIOUS)
        return str(manifest["release"])


def runtime_in_use(manifest: Mapping[str, Any]) -> str:
    """Name and version of what runs a release here."""
    return runtime_version(runtime_of(str(manifest["model"])))


def iso(moment: datetime) -> str:
    """A moment as it stands in the record: ISO 8601, UTC, whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")
