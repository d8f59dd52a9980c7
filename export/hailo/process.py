"""Runs the Hailo compiler's process: keeps its log, reports its steps, explains its failures."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.compiler import CompileError
from export.deadline import Deadline
from export.hailo.failures import died, explained, too_slow
from export.hailo.worker import FAILED, FAILURE, SDK

#: The Python that has the compiler, where it is not the job's own (``docker/hailo``).
PYTHON = "HAILO_PYTHON"
#: Of the compiler's log, printed where it fails.
_LAST_LINES = 50


def run_worker(
    request: Mapping[str, Any], log: Path, deadline: Deadline, heartbeat_seconds: float
) -> str:
    """Sends the compiler a request and waits.

    Args:
        request: What to do; its ``folder`` is where the results go.
        log: What the compiler says is appended to it, whatever happens.
        deadline: When it is stopped.
        heartbeat_seconds: How often a long step is reported on.

    Returns:
        Its output.

    Raises:
        CompileError: It is not there, refused, died, or did not come to an end.
    """
    folder = Path(request["folder"])
    path = folder / "request.json"
    path.write_text(json.dumps(dict(request)), encoding="utf-8")
    watch = _Watch(heartbeat_seconds)
    python = os.environ.get(PYTHON) or sys.executable
    # Line by line and unbuffered: what it said last is wanted most where it was killed.
    with log.open("a", encoding="utf-8", buffering=1) as file:
        child = subprocess.Popen(
            [python, "-u", "-m", "export.hailo.worker", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        reader = threading.Thread(target=watch.read, args=(child.stdout, file), daemon=True)
        reader.start()
        code: int | None = None
        try:
            code = child.wait(deadline.remaining())
        except subprocess.TimeoutExpired:
            pass  # raised below, once the process has ended
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # and whatever it started
            child.wait()
            watch.ended.set()
            reader.join()
    if code != 0:
        watch.print_last_lines()
    if code is None:
        raise too_slow(deadline, watch.step)
    if code == FAILED:
        failure = json.loads((folder / FAILURE).read_text(encoding="utf-8"))
        if failure["message"] == f"No module named '{SDK}'":
            raise CompileError(
                f"{SDK} is not installed: the job must run in an image that holds the Dataflow "
                "Compiler (cards hailo image build makes it of the wheel that you downloaded from "
                "Hailo); name the image in cdk.json as compiler_image"
            )
        raise explained(failure["classes"], failure["message"])
    if code != 0:
        raise died(code, watch.step, watch.lines[-1] if watch.lines else "")
    return "\n".join(watch.lines)


class _Watch:
    """Reads what the compiler says: all of it into the log, steps and a heartbeat to the screen."""

    def __init__(self, heartbeat: float) -> None:
        self.lines: list[str] = []
        self.step = "its start"
        self.ended = threading.Event()
        self._begun = time.monotonic()
        self._heartbeat = heartbeat
        threading.Thread(target=self._beat, daemon=True).start()

    def read(self, output: Any, file: Any) -> None:
        """Until the compiler closes its output."""
        for line in output:
            text = line.rstrip("\n")
            self.lines.append(text)
            file.write(text + "\n")
            if text.startswith("step: "):
                self.step = text.removeprefix("step: ")
                self._say(self.step)

    def print_last_lines(self) -> None:
        """Prints the last lines: of a job that fails, the screen may be all that is kept."""
        for line in self.lines[-_LAST_LINES:]:
            print(f"hailo | {line}", flush=True)

    def _beat(self) -> None:
        while not self.ended.wait(self._heartbeat):
            self._say(f"still {self.step}")

    def _say(self, what: str) -> None:
        print(f"hailo, {time.monotonic() - self._begun:.0f} s: {what}", flush=True)
