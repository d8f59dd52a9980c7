"""What ``cards-edge doctor`` looks at: each finding with its remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge.preflight.compatibility import hailo_faults, notes_of
from edge.preflight.hailo_versions import HailoVersions, Run
from edge.runtimes.choice import HAILO_RUNTIME, ONNX_RUNTIME, runtime_version
from edge.state.folder import CURRENT, RESERVE, StateError, StateFolder
from edge.state.record import read_record
from edge.stored_release import pinned, signed_manifest, stored_statement
from registry.releases.manifest import ManifestError
from registry.releases.signatures.trust import TrustError, fingerprint

GOOD, NOTE, BAD = "ok", "note", "BAD"
_CAMERAS = Path("/dev")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        level: :data:`GOOD`, :data:`NOTE` (works without it) or :data:`BAD`.
        text: What was found, and the remedy.
    """

    subject: str
    level: str
    text: str


def findings(
    folder: StateFolder,
    hailo: HailoVersions,
    run: Run,
    now: datetime,
    reach: Callable[[], str | None],
) -> Iterator[Finding]:
    """Looks at everything that a device needs.

    Args:
        folder: The device's.
        hailo: What the system says of the chip.
        run: Runs a program.
        now: The clock.
        reach: Asks the bucket; returns why it does not answer, or None.
    """
    yield _runtime()
    yield from _hailo(hailo)
    key = _key(folder)
    yield key
    yield _release(folder)
    yield _disk(folder)
    yield _clock(folder, run, now)
    yield _camera()
    if key.level == GOOD:
        fault = reach()
        yield Finding("network", BAD if fault else GOOD, fault or "the release bucket answers")


def _runtime() -> Finding:
    version = runtime_version(ONNX_RUNTIME)
    if version.endswith("missing"):
        return Finding(
            "runtime", BAD, "ONNX Runtime is missing: install the wheel again (docs/devices.md)"
        )
    return Finding("runtime", GOOD, version)


def _hailo(hailo: HailoVersions) -> Iterator[Finding]:
    if not hailo.anything:
        yield Finding("Hailo", NOTE, "no chip and no HailoRT here: INT8 releases only")
        return
    shown = [
        f"{name} {value}"
        for name, value in (
            ("chip", hailo.architecture), ("firmware", hailo.firmware),
            ("driver", hailo.driver), ("library", hailo.library), ("Python", hailo.binding),
        )
        if value
    ]  # fmt: skip
    faults = hailo_faults(hailo)
    for fault in faults:
        yield Finding("Hailo", BAD, fault)
    for note in notes_of(hailo):
        yield Finding("Hailo", NOTE, note)
    yield Finding("Hailo", NOTE if faults else GOOD, f"{HAILO_RUNTIME}: {', '.join(shown)}")


def _key(folder: StateFolder) -> Finding:
    try:
        trusted = pinned(folder)
    except (StateError, TrustError) as error:
        return Finding("key", BAD, str(error))
    newest = fingerprint(trusted.keys[-1])
    return Finding("key", GOOD, f"{trusted.identity}, key {newest[:16]}…")


def _release(folder: StateFolder) -> Finding:
    current = folder.linked(CURRENT)
    if current is None:
        return Finding("release", BAD, "none yet: cards-edge update")
    try:
        manifest, _ = signed_manifest(current, pinned(folder))
    except (ManifestError, StateError, TrustError) as error:
        return Finding("release", BAD, f"{error}; cards-edge update brings it again")
    return Finding("release", GOOD, str(manifest["release"]))


def _disk(folder: StateFolder) -> Finding:
    try:
        disk = os.statvfs(folder.root)
    except OSError as error:
        return Finding("disk", BAD, f"{folder.root}: {error.strerror}; cards-edge trust makes it")
    free = disk.f_bavail * disk.f_frsize
    text = f"{free / 2**20:.0f} MiB free at {folder.root}"
    if free < 2 * RESERVE:
        return Finding("disk", BAD, f"{text}: make room (journalctl --vacuum-size=50M, apt clean)")
    if not os.access(folder.root, os.W_OK):
        return Finding("disk", NOTE, f"{text}, not writable for this user: sudo -u cards-edge …")
    return Finding("disk", GOOD, text)


def _clock(folder: StateFolder, run: Run, now: datetime) -> Finding:
    text = f"{now:%Y-%m-%d %H:%M} UTC"
    current = folder.linked(CURRENT)
    try:
        stated = current and stored_statement(current, pinned(folder))
    except (StateError, TrustError):
        stated = None
    if stated and now < stated.issued:
        return Finding(
            "clock", BAD, f"{text}, before the release was stated ({stated.issued:%Y-%m-%d}): "
            "sudo timedatectl set-ntp true",
        )  # fmt: skip
    synchronised = run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if synchronised and synchronised[0] == 0 and synchronised[1].strip() == "no":
        return Finding("clock", NOTE, f"{text}, not synchronised: sudo timedatectl set-ntp true")
    expires = read_record(folder).expires
    if expires and now >= datetime.fromisoformat(expires):
        return Finding(
            "clock", NOTE, f"{text}, after the end of the channel's statement ({expires[:10]}): "
            "nobody renews it, or this clock is ahead",
        )  # fmt: skip
    return Finding("clock", GOOD, text)


def _camera() -> Finding:
    devices = sorted(path.name for path in _CAMERAS.glob("video*"))
    if devices:
        return Finding("camera", GOOD, f"/dev/{devices[0]} and {len(devices) - 1} more")
    return Finding("camera", NOTE, "none at /dev/video*; images from files are recognised")
