"""One list of compilers: a third one needs an entry, an adapter and nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from registry.compilers import (
    COMPILERS,
    CompilerKind,
    compiled_stages,
    compiler_kind,
    compiler_names,
    compiler_of_file,
    compiler_of_stage,
)

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("registry", "lambdas", "recognition", "export", "training", "infra", "cli", "bench")
#: The list, and each compiler's own adapter.
OWN_FILES = {"registry/compilers.py", "recognition/hef.py", "export/hailo/worker.py"}


def test_names_stages_and_model_files_are_unique() -> None:
    for values in (
        compiler_names(),
        compiled_stages(),
        tuple(kind.model_file for kind in COMPILERS),
    ):
        assert len(set(values)) == len(values)


def test_files_that_end_alike_run_on_the_same_runtime() -> None:
    by_suffix: dict[str, set[bool]] = {}
    for kind in COMPILERS:
        by_suffix.setdefault(kind.suffix, set()).add(kind.runs_on_onnx_runtime)
    assert all(len(runtimes) == 1 for runtimes in by_suffix.values())


@pytest.mark.parametrize("kind", COMPILERS, ids=lambda kind: kind.name)
def test_each_compiler_is_found_by_name_stage_and_file(kind: CompilerKind) -> None:
    assert compiler_kind(kind.name) is kind
    assert compiler_of_stage(kind.stage) is kind
    assert compiler_of_file(kind.model_file) is kind


def test_unknown_compiler_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(KeyError, match="'gcc' is none of onnx-int8, hailo"):
        compiler_kind("gcc")
    assert compiler_of_stage("stage2") is None
    assert compiler_of_file("weights.safetensors") is None


def strings(file: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_file_spells_a_compiler(package: str) -> None:
    """A literal name, stage or target elsewhere is a place that a third compiler would miss."""
    spelled = {
        word
        for kind in COMPILERS
        for word in (kind.name, kind.stage, kind.inference_target, kind.model_file)
    }
    # `cards hailo` and `cards hef --arch hailo8l` are that compiler's own commands.
    allowed = {"cli/program/application.py": {"hailo"}, "cli/export/hailo.py": {"hailo"}}
    allowed["cli/export/hef.py"] = {"hailo8l"}
    found = {
        str(file.relative_to(ROOT)): strings(file) & spelled
        for file in (ROOT / package).rglob("*.py")
    }
    assert found
    assert not {
        file: sorted(words - allowed.get(file, set()))
        for file, words in found.items()
        if words - allowed.get(file, set()) and file not in OWN_FILES
    }


ADD_A_THIRD_COMPILER = """
import registry.compilers as compilers


class Adapter:
    @classmethod
    def for_job(cls, deadline):
        return deadline


THIRD = compilers.CompilerKind(
    name="ncnn-fp16", stage="fp16", file_format="NCNN", model_file="model.ncnn", title="FP16",
    inference_target="phone-ncnn", device="a phone", adapter="__main__:Adapter",
    calibration_images=100,
    image=compilers.CompilerImage("the NCNN tools", "build it from its sources"),
)
compilers.COMPILERS = (*compilers.COMPILERS, THIRD)
"""

READ_IT_EVERYWHERE = """
import json
from pathlib import Path

from cli.demo.summary import _TITLES
from cli.registry import filters as selection
from export.load_compiler import load_compiler
from infra.reading_settings import load_settings
from recognition.recogniser import RecogniserError, _require_onnx_runtime
from registry.compilation.compile_settings import CompileSettings
from registry.lineage.graph import MADE_BY, model_artifact
from registry.names import parse_name
from registry.versions.metadata_schema import SCHEMAS
from registry.versions.validation import validate

name = parse_name("student-x-fp16-v1")
arn = "arn:aws:sagemaker:us-east-2:123456789012:model-package/group/1"
assert model_artifact(arn, name).properties["Format"] == "NCNN"
assert MADE_BY["fp16"] == "Compilation"
assert {"Toolchain", "CalibrationImages"} <= set(SCHEMAS["student", "fp16"])
assert SCHEMAS["student", "fp16"]["Stage"].meaning == "onnx, int8, hailo8l or fp16"
assert "its fidelity gate is not recorded" in validate(name, {}).faults
assert CompileSettings.from_json('{"compiler": "ncnn-fp16"}', "image").kind is THIRD
assert load_compiler("ncnn-fp16", "a deadline") == "a deadline"
image = "123456789012.dkr.ecr.us-east-2.amazonaws.com/ncnn:1"
settings = load_settings({"cards": {"compiler": "ncnn-fp16", "compiler_image": image}})
assert json.loads(settings.compile_settings)["compiler"] == "ncnn-fp16"
assert _TITLES["fp16"] == "student, FP16"
assert "hailo8l or fp16 of a student" in selection.Stage.__metadata__[0].help
try:
    _require_onnx_runtime(Path("model.ncnn"))
except RecogniserError as error:
    assert "runs on a phone, not here; use a release of the onnx-int8 compiler" in str(error)
else:
    raise AssertionError("ONNX Runtime cannot run it")
print("read everywhere")
"""


@pytest.mark.processes
def test_third_compiler_is_known_everywhere_from_its_entry_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ADD_A_THIRD_COMPILER + READ_IT_EVERYWHERE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "read everywhere", done.stderr


@pytest.mark.processes
def test_third_compiler_is_unknown_without_its_entry() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "THIRD = None\n" + READ_IT_EVERYWHERE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode and "fp16" in done.stderr
