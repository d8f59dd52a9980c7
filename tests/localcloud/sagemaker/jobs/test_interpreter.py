"""A lent environment has the lender's packages and keeps what is installed into it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.sagemaker.jobs import interpreter


def test_packages_are_lent_and_editable_installs_are_not(tmp_path: Path) -> None:
    programs = interpreter.lend(Path(sys.executable), tmp_path / "python")
    shown = subprocess.run(
        [
            str(programs / "python3"),
            "-c",
            "import importlib.util as u, sys, boto3;"
            " print(sys.prefix, boto3.__file__, u.find_spec('localcloud'), sep='\\n')",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert Path(shown[0]).samefile(tmp_path / "python")
    assert shown[1].startswith(sys.prefix)
    assert shown[2] == "None"


def test_an_interpreter_that_does_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="false"):
        interpreter.lend(Path("/bin/false"), tmp_path / "python")
