"""The driver of Hailo's compiler, against a stand-in; the real one was not at hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from export.calibration import record
from export.compilers import CompiledModel, CompileError
from export.hailo import REMEDIES, Hailo, model_script
from export.hef import read_hef
from recognition.onnx_model import OnnxEmbedder
from registry.contract import Contract
from tests.export import hailo_stand_in
from tests.export.conftest import Exported
from tests.export.hailo_stand_in import ClientRunner
from tests.export.hef_writer import HAILO8
from tests.export.student import changed


@pytest.fixture
def runners(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[ClientRunner]]:
    """Installs the stand-in, with some methods of its runner replaced; gives the runners made."""

    def install(**methods: Any) -> list[ClientRunner]:
        made: list[ClientRunner] = []

        def init(self: ClientRunner, *, hw_arch: str) -> None:
            ClientRunner.__init__(self, hw_arch=hw_arch)
            made.append(self)

        runner = type("Runner", (ClientRunner,), {"__init__": init, **methods})
        monkeypatch.setitem(sys.modules, "hailo_sdk_client", hailo_stand_in.module(runner))
        return made

    return install


def compiled(exported: Exported, into: Path, hailo: Hailo | None = None) -> CompiledModel:
    return (hailo or Hailo()).compile(exported.model, exported.views[:40], exported.contract, into)


def test_a_student_is_compiled(
    exported: Exported, tmp_path: Path, runners: Callable[..., list[ClientRunner]]
) -> None:
    (made := runners())
    result = compiled(exported, tmp_path)
    (runner,) = made
    assert runner.steps == ["translate", "script", "optimize", "compile"]
    assert runner.shape == [1, 3, 32, 32]
    assert result.stage == "hailo8l"
    assert result.toolchain == {"hailo_sdk_client": "3.33.0", "hef_sdk": "3.33.0"}
    assert result.calibration == record(exported.views[:40]) == record(runner.shown)
    assert read_hef(result.path).architecture == "hailo8l"
    assert [file.name for file in tmp_path.iterdir()] == ["model.hef"]


def test_the_version_is_the_wheel_s_whose_name_is_another(
    exported: Exported,
    tmp_path: Path,
    runners: Callable[..., list[ClientRunner]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked for the module's own name, importlib.metadata fails: after an hour's compilation."""
    runners()
    owners = {"hailo_sdk_client": ["pytest"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    toolchain = compiled(exported, tmp_path).toolchain
    assert toolchain["hailo_sdk_client"] == pytest.__version__


def test_cut_and_normalisation_together_are_the_shipped_graph(
    exported: Exported, tmp_path: Path, runners: Callable[..., list[ClientRunner]]
) -> None:
    """Cast, layout and normalisation leave the graph, and come back as the script's line."""
    runners()
    hailo = Hailo()
    embedder = hailo.embedder(compiled(exported, tmp_path, hailo), exported.contract)
    theirs = embedder.embed(exported.views)
    ours = OnnxEmbedder(exported.model, exported.contract).embed(exported.views)
    assert theirs.shape == (len(exported.views), 768) and theirs.dtype == np.float32
    assert (theirs * ours).sum(axis=1).min() > 0.999


def test_the_script_says_the_contract_in_bytes() -> None:
    script = model_script(Contract(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1)), 1024)
    lines = script.splitlines()
    assert lines[0] == "normalization1 = normalization([127.5, 102.0, 76.5], [51.0, 51.0, 25.5])"
    assert "calibset_size=1024" in script
    assert "optimization_level=" in lines[1], "by default the compiler falls back silently"
    assert "logits_layer" not in script, "adds a host operation"


@pytest.mark.parametrize("name", sorted(REMEDIES))
@pytest.mark.parametrize("step", ["translate_onnx_model", "optimize", "compile"])
def test_the_compiler_s_errors_become_one_line_with_a_remedy(
    exported: Exported,
    tmp_path: Path,
    runners: Callable[..., list[ClientRunner]],
    name: str,
    step: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise type(name, (Exception,), {})("first line\nsecond line " + "x" * 5000)

    runners(**{step: fail})
    with pytest.raises(CompileError) as caught:
        compiled(exported, tmp_path)
    assert str(caught.value) == f"the Hailo compiler says {name}: first line; {REMEDIES[name]}"
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_kind_is_passed_on(
    exported: Exported, tmp_path: Path, runners: Callable[..., list[ClientRunner]]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("")

    runners(optimize=fail)
    with pytest.raises(CompileError, match=r"RuntimeError: no message; see the job's log"):
        compiled(exported, tmp_path)


def test_calibration_in_nchw_does_not_reach_the_compiler(
    exported: Exported, tmp_path: Path, runners: Callable[..., list[ClientRunner]]
) -> None:
    made = runners()
    planes = np.ascontiguousarray(exported.views[:8].transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match="must be uint8"):
        Hailo().compile(exported.model, planes, exported.contract, tmp_path)
    assert made == []


def test_calibration_of_another_size_is_refused_by_the_compiler(
    exported: Exported, tmp_path: Path, runners: Callable[..., list[ClientRunner]]
) -> None:
    runners()
    with pytest.raises(CompileError, match="BadInputsShape"):
        Hailo().compile(exported.model, exported.views[:8, :16], exported.contract, tmp_path)


def test_what_the_lint_finds_does_not_reach_the_compiler(
    exported: Exported, tmp_path: Path, runners: Callable[..., list[ClientRunner]]
) -> None:
    made = runners()

    def with_erf(model: onnx.ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == "Clip")
        node.op_type = "Erf"
        del node.input[1:]

    path = tmp_path / "erf.onnx"
    path.write_bytes(changed(exported.model.read_bytes(), with_erf))
    with pytest.raises(CompileError, match="operation Erf; GELU is not taken"):
        Hailo().compile(path, exported.views[:8], exported.contract, tmp_path)
    assert made == []


def test_a_hef_for_another_chip_is_not_kept(
    exported: Exported, tmp_path: Path, runners: Callable[..., list[ClientRunner]]
) -> None:
    compile_right = ClientRunner.compile

    def compile_wrong(runner: ClientRunner) -> bytes:
        runner.hef_architecture = HAILO8
        return compile_right(runner)

    runners(compile=compile_wrong)
    with pytest.raises(CompileError, match="made for hailo8, not for hailo8l"):
        compiled(exported, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_the_compiler_it_is_said_what_to_do(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hailo_sdk_client", None)
    with pytest.raises(CompileError, match=r"hailo_sdk_client is not installed: .* compiler_image"):
        compiled(exported, tmp_path)


def test_the_emulator_belongs_to_the_job_that_compiled(exported: Exported) -> None:
    with pytest.raises(CompileError, match="in the job that compiled it"):
        Hailo().embedder(exported.int8, exported.contract)
