"""Reports of libraries are switched off before any library is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from registry.telemetry import OPT_OUTS, enabled_reports, opt_out
from tests.observed_program import ROOT

_PACKAGES = ("bench", "cli", "export", "lambdas", "recognition", "registry", "training")
#: Prints the variables, and the libraries that were imported while they were not yet set.
_AFTER_IMPORT = """
import importlib, os, sys
early = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        if "ORT_DISABLE_TELEMETRY" not in os.environ and name.split(".")[0] in LIBRARIES:
            early.append(name)
LIBRARIES = set("onnxruntime mlflow sagemaker huggingface_hub timm torch cv2 onnx".split())
sys.meta_path.insert(0, Watch())
importlib.import_module(sys.argv[1])
print(*early)
print(*(f"{name}={os.environ[name]}" for name in sys.argv[2:]), sep="\\n")
"""


@pytest.mark.processes
@pytest.mark.parametrize("package", _PACKAGES)
def test_each_package_opts_out_when_imported(package: str) -> None:
    bare = {key: value for key, value in os.environ.items() if key not in OPT_OUTS}
    out = subprocess.run(
        [sys.executable, "-c", _AFTER_IMPORT, package, *OPT_OUTS],
        cwd=ROOT,
        env=bare,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    early, *variables = out.splitlines()
    assert early == ""
    assert dict(line.split("=", 1) for line in variables) == dict(OPT_OUTS)


@pytest.mark.processes
@pytest.mark.parametrize(
    "entry_point",
    ["training.jobs.train_teacher", "training.jobs.train_student_distillation",
     "export.compile_job", "cli.main", "export.hailo.compiler", "recognition.onnx_model"],
)  # fmt: skip
def test_entry_point_imports_no_library_before_the_opt_out(entry_point: str) -> None:
    bare = {key: value for key, value in os.environ.items() if key not in OPT_OUTS}
    out = subprocess.run(
        [sys.executable, "-c", _AFTER_IMPORT, entry_point],
        cwd=ROOT,
        env=bare,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out.splitlines()[0] == ""


def test_variable_that_is_set_is_kept() -> None:
    variables = {"MLFLOW_DISABLE_TELEMETRY": "false", "DO_NOT_TRACK": ""}
    opt_out(variables)
    assert variables == {**OPT_OUTS, "MLFLOW_DISABLE_TELEMETRY": "false"}


@pytest.mark.parametrize(
    ("variables", "enabled"),
    [
        ({}, []),
        (dict(OPT_OUTS), []),
        ({"ORT_DISABLE_TELEMETRY": "TRUE"}, []),
        ({"ORT_DISABLE_TELEMETRY": "0"}, ["ORT_DISABLE_TELEMETRY"]),
        ({"npm_config_update_notifier": "true"}, ["npm_config_update_notifier"]),
        ({"npm_config_update_notifier": "false", "DO_NOT_TRACK": "no"}, ["DO_NOT_TRACK"]),
    ],
)
def test_enabled_reports_are_named(variables: dict[str, str], enabled: list[str]) -> None:
    assert enabled_reports(variables) == enabled
