"""A Python environment for one job: another interpreter's packages, plus what the job installs."""

from __future__ import annotations

import subprocess
from pathlib import Path

# Run by the interpreter whose packages are shared; prints the new and the shared folders.
_MAKE = """
import site, sys, sysconfig, venv
venv.EnvBuilder(symlinks=True).create(sys.argv[1])
print(sysconfig.get_path("purelib", vars={"base": sys.argv[1], "platbase": sys.argv[1]}))
print(*site.getsitepackages(), sep="\\n")
"""


def make_python_environment(python: Path, folder: Path) -> Path:
    """Makes an environment that sees the packages of an interpreter; takes about 0.1 s.

    A job that runs ``pip install`` changes its own folder only, as it would change only its
    container. Editable installs are not shared: a job has only the code that it was sent.

    Args:
        python: The interpreter whose packages are shared.
        folder: Where the environment goes.

    Returns:
        The environment's ``bin`` folder.

    Raises:
        OSError: The interpreter cannot be run, or the folder not be written.
    """
    done = subprocess.run(
        [str(python), "-I", "-c", _MAKE, str(folder)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise OSError(f"{python} makes no environment: {last}")
    own, *shared = done.stdout.splitlines()
    (Path(own) / "shared.pth").write_text("\n".join(shared) + "\n")
    return folder / "bin"
