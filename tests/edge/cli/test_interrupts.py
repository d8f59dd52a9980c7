"""Ctrl-C ends ``cards-edge`` with 130 and without a traceback, whatever it is at."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge.cli import main as entry
from edge.cli import status


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("at", ["work", "the words of an error"])
def test_ctrl_c_during_a_command_ends_with_130(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if at == "work":
        monkeypatch.setattr(status, "run", interrupt)
    else:
        monkeypatch.setattr(entry, "expected_errors", interrupt)
    assert entry.main(["status", "--state", str(tmp_path)]) == 130
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


IMPORTS = """
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from edge.cli.main import main
sys.exit(main(["status"]))
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    "module", ["argparse", "importlib.metadata", "edge.cli.command", "edge.cli.doctor"]
)
def test_ctrl_c_during_the_imports_ends_with_130(module: str) -> None:
    arguments: Sequence[str] = [sys.executable, "-S", "-c", IMPORTS, module]
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(arguments, cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
