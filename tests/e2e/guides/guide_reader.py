"""A reader who types what a guide says: its blocks, from top to bottom, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cloud import ROOT

_FENCE = re.compile(r"^```(?P<language>[a-z]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_REMARK = re.compile(r"<!-- (?P<remark>.*?) -->\n\Z")
_HEADING = re.compile(r"^#{1,6} (?P<title>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a Markdown file.

    Attributes:
        language: As the fence names it; empty where it does not.
        heading: The nearest heading above.
        line: The fence's line in the file, counted from 1.
        remark: A comment right above the fence, for the tests; empty where there is none.
    """

    language: str
    code: str
    heading: str
    line: int
    remark: str = ""

    @property
    def id(self) -> str:
        return f"{self.line}-{self.language}-{self.heading}".replace(" ", "_")


def blocks(file: Path, *languages: str) -> list[Block]:
    """A file's blocks in these languages, in order."""
    text = file.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    # A line of shell that begins with # is no heading.
    headings = [
        match
        for match in _HEADING.finditer(text)
        if not any(fence.start() < match.start() < fence.end() for fence in fences)
    ]
    found = []
    for fence in fences:
        above = [match["title"] for match in headings if match.start() < fence.start()]
        line = text.count("\n", 0, fence.start()) + 1
        remark = _REMARK.search(text, 0, fence.start())
        if fence["language"] in languages:
            found.append(
                Block(
                    fence["language"],
                    fence["code"],
                    above[-1] if above else "",
                    line,
                    remark["remark"] if remark else "",
                )
            )
    return found


@dataclass
class Reader:
    """Runs blocks one after another; what one exports, the next one has.

    Attributes:
        variables: The shell's environment.
        folder: For what lies between two blocks.
    """

    variables: dict[str, str]
    folder: Path

    def bash(self, code: str, timeout: int = 600) -> str:
        """Runs a block as a shell that stops at the first error; returns what it printed."""
        kept = self.folder / "environment"
        script = f"set -euo pipefail\n{code}\nenv -0 > {kept}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        print(f"$ {code}\n{done.stdout}{done.stderr}")
        assert done.returncode == 0, f"exit {done.returncode}:\n{code}\n{done.stdout}{done.stderr}"
        pairs = kept.read_text(encoding="utf-8").split("\0")
        self.variables = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        return done.stdout

    def python(self, code: str, timeout: int = 300) -> str:
        """Runs a block in an interpreter of its own; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        print(f">>> {code}\n{done.stdout}{done.stderr}")
        assert done.returncode == 0, f"exit {done.returncode}:\n{code}\n{done.stdout}{done.stderr}"
        return done.stdout


def bare_environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without anything of AWS in it, in a home of its own."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("AWS_", "CDK_", "MLFLOW_", "SAGEMAKER_", "CARDS_"))
        or key == "AWS_CA_BUNDLE"
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return {**kept, "HOME": str(home), "PATH": path, **more}
