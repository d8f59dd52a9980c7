"""``cards-edge`` as a device has it: installed from its wheel, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def install(folder: Path) -> Path:
    """Builds the wheel, installs it and returns the command.

    Its pinned libraries are those of this environment; the product itself, which is installed here
    by a finder, stays invisible.

    Args:
        folder: Empty.
    """
    for command in (
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), "./edge"],
        [sys.executable, "-m", "venv", str(folder / "venv")],
    ):
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv/bin/python"
    subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--no-deps", str(wheel)],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    site = next((folder / "venv/lib").glob("python*/site-packages"))
    # A plain path: files that end with .pth are not read in the folder that it names.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    code = "import edge, recognition, registry as r; print(edge.__file__, recognition, r)"
    found = subprocess.run(
        [str(python), "-P", "-c", code], check=True, capture_output=True, text=True, cwd=folder
    )
    assert found.stdout.count(str(site)) == 3, found.stdout
    return folder / "venv/bin/cards-edge"
