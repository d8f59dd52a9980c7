"""This machine, where it runs the local cloud: what its jobs, functions and deployments need."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from cli.errors import CliError
from cli.operations.checks.check import Check, CheckContext, CheckResult, failed, ok, warning

#: A training job's checkpoints and a cdk deployment fit into this, in bytes.
_DISK_NEEDED = 2 * 10**9


def machine(context: CheckContext) -> Iterator[CheckResult]:
    """Python, the CDK's command line, the functions' interpreter and room on the disk."""
    if not context.aws.is_local:
        return
    from cli.demo.command import SUPPORTED_PYTHON
    from cli.external_commands import ROOT, tools

    results = [
        judge_python(sys.version_info[:2], SUPPORTED_PYTHON),
        judge_disk(shutil.disk_usage(Path.cwd()).free),
    ]
    try:
        tools()
    except CliError as error:
        results.append(failed(str(error).partition(";")[0], "make setup"))
    python = ROOT / ".venv-lambda" / "bin" / "python"
    if not python.is_file():
        results.append(failed(f"{python} is missing: no function can run", "make setup"))
    bad = [each for each in results if each is not None]
    yield from bad or [ok("Python, the CDK's command line, the functions' interpreter, disk")]


def judge_python(
    version: tuple[int, int], supported: tuple[tuple[int, int], tuple[int, int]]
) -> CheckResult | None:
    """The versions that the dependencies are pinned for."""
    low, high = supported
    if low <= version <= high:
        return None
    return failed(
        f"Python {version[0]}.{version[1]} is not supported",
        f"use {low[0]}.{low[1]} to {high[0]}.{high[1]}",
    )


def judge_disk(free: int) -> CheckResult | None:
    """Room on the disk, in bytes."""
    if free >= _DISK_NEEDED:
        return None
    return warning(f"{free / 10**9:.1f} GB of disk are free", "make room, or: cards local reset")


CHECKS = (Check("machine", machine, ("region",)),)
