"""Docker's command, as another command uses it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from cli.errors import CliError

#: What docker says, and what to do about it.
_REMEDIES = (
    ("no space left", "free some: docker system prune"),
    ("cannot connect to the docker daemon", "start it, or name it by DOCKER_HOST"),
    ("permission denied", "join the group docker, or use sudo"),
    ("denied", "your AWS principal may not push: it needs ecr:InitiateLayerUpload and the others"),
    ("already exists", "tags are immutable: choose another --tag"),
)


def docker(*words: str, stdin: str | None = None, quiet: bool = False) -> str:
    """Runs docker; what it says goes to the terminal, unless quiet.

    Args:
        words: The command's words.
        stdin: Text for its standard input, for example a password.
        quiet: Return its output instead.

    Raises:
        CliError: There is no docker, or it failed.
    """
    program = shutil.which("docker")
    if program is None:
        raise CliError("docker is not installed; https://docs.docker.com/engine/install/")
    done = subprocess.run(
        [program, *words],
        input=stdin,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise CliError(f"docker {words[0]} failed: {_explained(done.stderr)}")
    return done.stdout or ""


def _explained(text: str) -> str:
    lines: Sequence[str] = [line.strip() for line in text.splitlines() if line.strip()]
    said = (lines[-1] if lines else "it says nothing")[:300]
    for words, remedy in _REMEDIES:
        if words in text.lower():
            return f"{said}; {remedy}"
    return said
