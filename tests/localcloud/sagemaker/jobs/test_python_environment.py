"""A job's environment has the interpreter's packages and keeps what is installed into it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.sagemaker.jobs.python_environment import make_python_environment

pytestmark = pytest.mark.processes


def test_environment_has_packages_but_no_editable_installs(tmp_path: Path) -> None:
    programs = make_python_environment(Path(sys.executable), tmp_path / "python")
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


def test_interpreter_that_does_not_run_raises_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="false"):
        make_python_environment(Path("/bin/false"), tmp_path / "python")
