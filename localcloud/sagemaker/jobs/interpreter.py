"""A Python environment for one job: it has what another has, and keeps what the job installs."""

from __future__ import annotations

import subprocess
from pathlib import Path

# Run by the interpreter whose packages are lent; says where they lie and where the job's go.
_MAKE = """
import site, sys, sysconfig, venv
venv.EnvBuilder(symlinks=True).create(sys.argv[1])
print(sysconfig.get_path("purelib", vars={"base": sys.argv[1], "platbase": sys.argv[1]}))
print(*site.getsitepackages(), sep="\\n")
"""


def lend(python: Path, folder: Path) -> Path:
    """Makes an environment that sees the packages of an interpreter; takes about 0.1 s.

    A job that runs ``pip install`` changes its own folder only, as it would change only its
    container. Editable installs are not lent: a job has the code that it was sent.

    Args:
        python: The interpreter whose packages are lent.
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
    own, *lent = done.stdout.splitlines()
    (Path(own) / "lent.pth").write_text("\n".join(lent) + "\n")
    return folder / "bin"
