"""What the system says of the Hailo chip: its kind, and the versions of everything that drives it.

Read as Hailo publishes it: ``hailortcli fw-control identify`` for chip and firmware, the kernel for
the driver, dpkg for packages. Nothing here needs root.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Debian packages that Raspberry Pi OS's ``hailo-all`` brings.
PACKAGES = ("hailort", "python3-hailort", "hailofw", "hailo-dkms", "hailo-all")
_DRIVER = Path("/sys/module/hailo_pci/version")
_SECONDS = 10
_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
_DIFFERENT = re.compile(
    r"Driver version \((\d+\.\d+\.\d+)\) is different from library version \((\d+\.\d+\.\d+)\)",
    re.ASCII,
)
_FIELD = re.compile(r"^(Firmware Version|Device Architecture|Product Name):\s*(\S.*?)\s*$", re.M)

#: Runs a program; returns its exit code and all that it has printed, or None where it is missing
#: or does not end.
Run = Callable[[Sequence[str]], tuple[int, str] | None]


@dataclass(frozen=True)
class HailoVersions:
    """What is known of the chip and of what drives it; an empty text where nothing is.

    Attributes:
        architecture: The chip's, for example ``hailo8l``.
        product: What the board calls itself.
        firmware: Version of what runs on the chip.
        driver: Version of the kernel module that is loaded, or installed.
        library: Version of HailoRT.
        binding: Version of HailoRT's Python package.
        packages: Installed Debian packages and their versions.
        error: What ``hailortcli`` said where it did not find the chip.
    """

    architecture: str = ""
    product: str = ""
    firmware: str = ""
    driver: str = ""
    library: str = ""
    binding: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def anything(self) -> bool:
        """Whether anything of Hailo's is here."""
        return any((self.architecture, self.driver, self.library, self.packages))


def run(command: Sequence[str]) -> tuple[int, str] | None:
    """Runs a program that answers within seconds."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.returncode, done.stdout.decode(errors="replace")


def read_hailo_versions(run: Run = run, driver_file: Path = _DRIVER) -> HailoVersions:
    """Asks the system; what cannot be read stays empty."""
    identified = run(["hailortcli", "fw-control", "identify"])
    code, text = identified if identified else (0, "")
    found = dict(_FIELD.findall(text))
    different = _DIFFERENT.search(text)
    library = _version(run(["hailortcli", "--version"]))
    if different:
        library = library or different.group(2)
    return HailoVersions(
        architecture=found.get("Device Architecture", "").lower(),
        product=found.get("Product Name", ""),
        firmware=_first(found.get("Firmware Version", "")),
        driver=_driver(run, driver_file) or (different.group(1) if different else ""),
        library=library,
        binding=_binding(),
        packages=_packages(run),
        error=_first_line(text) if identified and code else "",
    )


def _driver(run: Run, file: Path) -> str:
    """The loaded module's version; the installed one's where none is loaded."""
    try:
        return _first(file.read_text())
    except OSError:
        return _version(run(["modinfo", "-F", "version", "hailo_pci"]))


def _packages(run: Run) -> dict[str, str]:
    shown = run(["dpkg-query", "-W", "-f=${Package} ${db:Status-Status} ${Version}\\n", *PACKAGES])
    rows = [line.split() for line in shown[1].splitlines()] if shown else []
    return {
        row[0]: row[2] for row in rows if len(row) == 3 and row[0] in PACKAGES
        and row[1] == "installed"
    }  # fmt: skip


def _binding() -> str:
    """Version of ``hailo_platform``, without importing it: that opens its library."""
    if importlib.util.find_spec("hailo_platform") is None:
        return ""
    for name in ("hailort", "hailo-platform", "hailo_platform"):
        try:
            return _first(importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


def _version(answer: tuple[int, str] | None) -> str:
    return _first(answer[1]) if answer and answer[0] == 0 else ""


def _first(text: str) -> str:
    found = _VERSION.search(text)
    return found.group() if found else ""


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:200] if lines else ""
