"""Starts the self-test of a release and judges how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

#: A Pi needs a second; a chip that hangs ends here.
SECONDS = 180
_SHOWN = 3
#: Where this package lies: the other process loads the same one, whatever folder it starts in.
_HERE = str(Path(__file__).resolve().parents[2])


class SelfTestError(RuntimeError):
    """A release that does not answer here as it was measured; says how."""


class SelfTestPostponedError(RuntimeError):
    """A self-test that says nothing about the release, and is tried again."""


def self_test(release: Path, seconds: float = SECONDS) -> int:
    """Runs a release's self-test; returns the number of views.

    Raises:
        SelfTestError: It fails, crashes or hangs.
        SelfTestPostponedError: Another program uses the chip, or no process could be started.
    """
    command = [sys.executable, "-P", "-m", "edge.selftest.reference_run", str(release)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            env={**os.environ, "PYTHONPATH": _HERE},
        )
    except subprocess.TimeoutExpired:
        raise SelfTestError(f"self-test: did not end within {seconds:g} s") from None
    except OSError as error:
        raise SelfTestPostponedError(f"self-test: cannot be started ({error.strerror})") from None
    try:
        result = json.loads(done.stdout)
        views, faults, busy = int(result["views"]), list(result["faults"]), bool(result["busy"])
    except (ValueError, KeyError, TypeError):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise SelfTestError(
            f"self-test: ended with code {done.returncode} ({last[0][:200]})"
        ) from None
    if busy:
        raise SelfTestPostponedError(f"self-test: {faults[0]}")
    if faults:
        more = f" … and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise SelfTestError(f"self-test: {'; '.join(faults[:_SHOWN])}{more}")
    return views
