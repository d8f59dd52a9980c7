"""Whether a release runs on this device: one line for each thing that does not fit, and its remedy.

Pure: what was read of the device in, findings out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.preflight.hailo_versions import HailoVersions
from edge.runtimes.choice import HAILO_RUNTIME, runtime_of
from registry.contract import Contract, ContractError

#: What the product compiles a HEF for (:func:`recognition.hef.require_card_model`), and the larger
#: chip, which runs it too.
ARCHITECTURE, LARGER = "hailo8l", "hailo8"
_REINSTALL = "sudo apt update && sudo apt install --reinstall {packages}, then reboot"


class PreflightError(RuntimeError):
    """A release that this device cannot run; each fault with its remedy."""


def faults_of(manifest: Mapping[str, Any], hailo: HailoVersions) -> list[str]:
    """What keeps a release from running on this device; empty for nothing.

    Args:
        manifest: The release's, verified.
        hailo: What the system says of the chip.
    """
    try:
        Contract.from_dict(manifest["contract"])
    except (ContractError, KeyError) as error:
        return [f"{error}; install a newer wheel of cards-edge (docs/devices.md)"]
    if runtime_of(str(manifest["model"])) != HAILO_RUNTIME:
        return []
    return hailo_faults(hailo)


def hailo_faults(hailo: HailoVersions) -> list[str]:
    """What keeps a HEF of this product from running here; empty for nothing."""
    faults = version_faults(hailo)
    if not hailo.architecture and not faults:
        cause = hailo.error or "hailortcli finds no chip"
        faults.append(
            f"no Hailo chip answers ({cause}): seat the board, enable PCIe "
            "(dtparam=pciex1 in /boot/firmware/config.txt), sudo apt install hailo-all, reboot; "
            "or follow a channel with INT8 releases"
        )
    elif hailo.architecture not in ("", ARCHITECTURE, LARGER):
        faults.append(
            f"the chip is a {hailo.architecture}, releases are compiled for {ARCHITECTURE}: follow "
            "a channel with INT8 releases, or use a board with a Hailo-8L"
        )
    if not faults and not hailo.binding:
        faults.append(
            "HailoRT's Python package is not visible: sudo apt install python3-hailort, and "
            "install the wheel of cards-edge with pipx's --system-site-packages (docs/devices.md)"
        )
    return faults


def version_faults(hailo: HailoVersions) -> list[str]:
    """Versions that differ; HailoRT wants driver, firmware and Python package to equal its own."""
    library = hailo.library
    if not library:
        return ["HailoRT is not installed: sudo apt install hailo-all, then reboot"]
    faults = []
    for part, version, package in (
        ("driver", hailo.driver, "hailo-dkms"),
        ("firmware", hailo.firmware, "hailofw"),
        ("Python package", hailo.binding, "python3-hailort"),
    ):
        if version not in ("", "unknown", library):
            packages = package if _newer(library, version) else "hailort python3-hailort"
            faults.append(
                f"HailoRT's library is {library}, its {part} {version}: "
                + _REINSTALL.format(packages=packages)
            )
    return faults


def notes_of(hailo: HailoVersions) -> list[str]:
    """What works, and should be known."""
    if hailo.architecture == LARGER:
        return [f"the chip is a {LARGER}: it runs releases for {ARCHITECTURE}, with a warning"]
    return []


def _newer(one: str, other: str) -> bool:
    return _numbers(one) > _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
