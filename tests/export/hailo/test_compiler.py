"""The driver of Hailo's compiler, against a stand-in; the real one was not at hand."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from export.calibration import record
from export.compiler import CompiledModel, CompileError, CompileFault
from export.deadline import Deadline
from export.graphs.graph import prologue
from export.hailo import compiler as hailo
from export.hailo import worker as hailo_worker
from export.hailo.compiler import Hailo
from export.hailo.failures import REMEDIES, died, explained
from export.hailo.script import model_script, optimisation_level, used_level
from recognition.hef import read_hef
from recognition.onnx_model import OnnxEmbedder
from registry.contract import Contract
from tests.export.conftest import Exported
from tests.export.hailo import stand_in as hailo_stand_in
from tests.export.hailo.hef_writer import HAILO8
from tests.export.student import changed

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Installs the stand-in; its wishes say what goes wrong."""

    def installed(**wish: Any) -> None:
        hailo_stand_in.install(monkeypatch, tmp_path_factory.mktemp("sdk"), **wish)

    return installed


def compiled(exported: Exported, into: Path, hailo: Hailo | None = None) -> CompiledModel:
    return (hailo or Hailo(Deadline(3600))).compile(
        exported.model, exported.views[:40], exported.contract, into
    )


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.processes
def test_student_is_compiled(
    exported: Exported, tmp_path: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install()
    result = compiled(exported, tmp_path)
    assert result.stage == "hailo8l"
    assert result.toolchain == {
        "hailo_sdk_client": "3.33.0",
        "hef_sdk": "3.33.0",
        "optimisation_level": "1",
    }
    assert result.calibration == record(exported.views[:40])
    assert result.notes == ("optimisation level 1",)
    assert read_hef(result.path).architecture == "hailo8l"
    assert left(tmp_path) == ["compile.log", "model.har", "model.hef"]
    assert set(result.companions) == {"compile.log", "model.har"}
    steps = ["parsing", "optimising in full precision", "quantising", "compiling"]
    log = (tmp_path / "compile.log").read_text().splitlines()
    assert [line.removeprefix("step: ") for line in log if line.startswith("step: ")] == steps
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2] for line in said if line.startswith("hailo, ")] == steps


@pytest.mark.processes
def test_both_emulations_are_the_shipped_graph(
    exported: Exported, tmp_path: Path, install: Install
) -> None:
    """Cast, layout and normalisation leave the graph, and come back as the script's line."""
    install()
    hailo = Hailo(Deadline(3600))
    made = compiled(exported, tmp_path, hailo)
    ours = OnnxEmbedder(exported.model, exported.contract).embed(exported.views)
    quantised = hailo.embedder(made, exported.contract).embed(exported.views)
    before = hailo.before_quantisation(made, exported.contract).embed(exported.views)
    assert quantised.shape == (len(exported.views), 768) and quantised.dtype == np.float32
    assert (quantised * ours).sum(axis=1).min() > 0.999
    assert (before * ours).sum(axis=1).min() > 0.99999
    assert not np.array_equal(quantised, before), "nothing was quantised"


def test_script_says_the_contract_in_bytes() -> None:
    script = model_script(Contract(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1)), 1024, 2)
    lines = script.splitlines()
    assert lines[0] == "normalization1 = normalization([127.5, 102.0, 76.5], [51.0, 51.0, 25.5])"
    assert "calibset_size=1024" in script
    assert "optimization_level=2, compression_level=0" in lines[1]
    assert "logits_layer" not in script, "adds a host operation"


@pytest.mark.parametrize(
    ("images", "gpu", "level"), [(1024, True, 2), (1023, True, 1), (5000, False, 1), (1, False, 1)]
)
def test_level_is_asked_for_that_the_compiler_would_follow(
    images: int, gpu: bool, level: int
) -> None:
    assert optimisation_level(images, gpu) == level


@pytest.mark.parametrize(
    ("log", "level"),
    [
        ("", 2),
        ("[warning] Reducing optimization level to 1 (no GPU)", 1),
        ("x\n[warning] Reducing optimization level to 1\nreducing Optimization level to 0 y", 0),
    ],
)
def test_level_is_read_back(log: str, level: int) -> None:
    assert used_level(2, log) == level


@pytest.mark.processes
def test_level_that_was_reduced_stands_in_the_report(
    exported: Exported, tmp_path: Path, install: Install
) -> None:
    install(step="optimize", kind="log", text="[warning] Reducing optimization level to 0 (why)")
    made = compiled(exported, tmp_path)
    assert made.toolchain["optimisation_level"] == "0"
    assert "the compiler reduced the optimisation level from 1 to 0" in made.notes
    assert "Reducing optimization level to 0 (why)" in (tmp_path / "compile.log").read_text()


@pytest.mark.processes
@pytest.mark.parametrize("name", sorted(REMEDIES))
def test_compiler_s_errors_become_one_line_with_a_remedy(
    exported: Exported, tmp_path: Path, install: Install, name: str
) -> None:
    step = {"Parsing": "translate", "Backend": "compile"}.get(name[:7], "optimize")
    install(step=step, kind=name, text="first line\nsecond line " + "x" * 5000)
    with pytest.raises(CompileError) as caught:
        compiled(exported, tmp_path)
    assert str(caught.value) == f"the Hailo compiler says {name}: first line; {REMEDIES[name]}"
    assert isinstance(caught.value, CompileFault) == ("out of memory" in REMEDIES[name])
    assert left(tmp_path) == ["compile.log"], "nothing half-made, and the log"


def test_error_is_known_by_what_it_derives_from() -> None:
    error = explained(["NewerError", "BadInputsShape", "Exception"], "text")
    assert str(error) == f"the Hailo compiler says NewerError: text; {REMEDIES['BadInputsShape']}"
    assert "no message; see compile.log" in str(explained(["RuntimeError", "Exception"], " "))


@pytest.mark.processes
def test_compiler_that_was_killed_for_its_memory(
    exported: Exported, tmp_path: Path, install: Install
) -> None:
    install(step="compile", kind="signal", text=str(int(signal.SIGKILL)))
    with pytest.raises(CompileFault, match=r"killed while it did compiling.* 32 GB or more"):
        compiled(exported, tmp_path)
    assert left(tmp_path) == ["compile.log"]
    assert "about to be gone" in (tmp_path / "compile.log").read_text()
    assert "runs out" in str(died(137, "x", "")), "as a shell tells of the same"


@pytest.mark.processes
def test_compiler_that_crashes(
    exported: Exported, tmp_path: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(step="optimize", kind="signal", text=str(int(signal.SIGSEGV)))
    with pytest.raises(CompileFault, match=r"SIGSEGV while it did quantising, after: .*be gone"):
        compiled(exported, tmp_path)
    assert "hailo | [info] about to be gone" in capsys.readouterr().out, "the log may be lost"
    install(step="optimize", kind="exit", text="7")
    with pytest.raises(CompileFault, match="died of exit code 7 while it did quantising"):
        compiled(exported, tmp_path)


@pytest.mark.processes
def test_compiler_that_hangs(
    exported: Exported, tmp_path: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(step="compile", kind="hang")
    begun = time.monotonic()
    with pytest.raises(
        CompileError, match=r"still doing compiling when 6 s of the job's 7 s had passed; raise"
    ) as e:
        compiled(exported, tmp_path, Hailo(Deadline(7.2), heartbeat_seconds=0.2))
    assert time.monotonic() - begun < 30
    assert not isinstance(e.value, CompileFault), "the same again would take as long"
    said = capsys.readouterr().out
    assert "still compiling" in said and "hailo | [info] Solving the allocation" in said
    assert left(tmp_path) == ["compile.log"]


def test_version_is_the_wheel_s_whose_name_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked for the module's own name, importlib.metadata fails: after an hour's compilation."""
    owners = {"hailo_sdk_client": ["pytest"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    assert hailo_worker._version(object()) == pytest.__version__


@pytest.mark.processes
def test_compiler_may_have_a_python_of_its_own(
    exported: Exported, tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    monkeypatch.setenv("HAILO_PYTHON", str(other))
    folder = tmp_path / "made"
    folder.mkdir()
    hailo = Hailo(Deadline(3600))
    made = compiled(exported, folder, hailo)
    hailo.embedder(made, exported.contract).embed(exported.views[:2])
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 2 and all("-m export.hailo.worker" in line for line in asked)


@pytest.mark.processes
def test_compiler_s_python_needs_numpy_alone() -> None:
    """Its own pins are older than the job's, and it has neither ONNX Runtime nor OpenCV of ours."""
    code = (
        "import sys; import numpy; before = set(sys.modules)\n"
        "import export.hailo.worker\n"
        "packages = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(packages - set(sys.stdlib_module_names)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # `registry` holds the opt-outs from telemetry, which need the standard library alone.
    assert {"export"} <= set(ran.stdout.split()) <= {"export", "numpy", "registry"}


def test_calibration_in_nchw_does_not_reach_the_compiler(
    exported: Exported, tmp_path: Path, install: Install
) -> None:
    install()
    planes = np.ascontiguousarray(exported.views[:8].transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match="must be uint8"):
        Hailo(Deadline(3600)).compile(exported.model, planes, exported.contract, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.processes
def test_recorded_calibration_images_are_those_that_the_compiler_was_about_to_use(
    exported: Exported, tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    other = np.ascontiguousarray(exported.views[:40, ..., ::-1])
    right = hailo._request
    monkeypatch.setattr(hailo, "_request", lambda graph, images, *rest: right(graph, other, *rest))
    assert compiled(exported, tmp_path).calibration == record(other)


@pytest.mark.processes
@pytest.mark.parametrize("answer", ["nan", "zeros"])
def test_emulation_that_is_no_embedding_is_refused(
    exported: Exported, tmp_path: Path, install: Install, answer: str
) -> None:
    """Not a fault of the machine: the same network would give the same again."""
    install(infer=answer)
    driver = Hailo(Deadline(3600))
    made = compiled(exported, tmp_path, driver)
    with pytest.raises(CompileError, match=r"model.har \(SDK_QUANTIZED\): embeddings: ") as caught:
        driver.embedder(made, exported.contract).embed(exported.views[:2])
    assert not isinstance(caught.value, CompileFault)


def test_graph_that_cannot_be_cut_is_refused(
    exported: Exported, tmp_path: Path, install: Install
) -> None:
    """Its network takes the prepared image and the image before that."""
    install()

    def twice(model: onnx.ModelProto) -> None:
        prepared = prologue(model)
        last = model.graph.node[-1]
        name, last.output[0] = last.output[0], "straight"
        model.graph.node.extend(
            [
                onnx.helper.make_node("GlobalAveragePool", [prepared[1].output[0]], ["p"], "pool"),
                onnx.helper.make_node("ReduceMean", ["p"], ["mean"], "mean", keepdims=0),
                onnx.helper.make_node("Add", ["straight", "mean"], [name], "sum"),
            ]
        )

    path = tmp_path / "twice.onnx"
    path.write_bytes(changed(exported.model.read_bytes(), twice))
    with pytest.raises(CompileError, match="cannot be cut for the parser: the network takes 2"):
        Hailo(Deadline(3600)).compile(path, exported.views[:8], exported.contract, tmp_path)


@pytest.mark.processes
def test_calibration_of_another_size_is_refused_by_the_compiler(
    exported: Exported, tmp_path: Path, install: Install
) -> None:
    install()
    with pytest.raises(CompileError, match="BadInputsShape"):
        Hailo(Deadline(3600)).compile(
            exported.model, exported.views[:8, :16], exported.contract, tmp_path
        )


def test_graph_with_lint_findings_does_not_reach_the_compiler(
    exported: Exported, tmp_path: Path, install: Install
) -> None:
    install()

    def with_erf(model: onnx.ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == "Clip")
        node.op_type = "Erf"
        del node.input[1:]

    path = tmp_path / "erf.onnx"
    path.write_bytes(changed(exported.model.read_bytes(), with_erf))
    with pytest.raises(CompileError, match="operation Erf; GELU is not taken"):
        Hailo(Deadline(3600)).compile(path, exported.views[:8], exported.contract, tmp_path)
    assert left(tmp_path) == ["erf.onnx"]


@pytest.mark.processes
def test_mistake_13_hef_for_another_chip_is_not_kept(
    exported: Exported, tmp_path: Path, install: Install
) -> None:
    install(chip=HAILO8)
    with pytest.raises(CompileError, match="made for hailo8, not for hailo8l"):
        compiled(exported, tmp_path)
    assert left(tmp_path) == ["compile.log"]


@pytest.mark.processes
def test_without_the_compiler_it_is_said_what_to_do(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"hailo_sdk_client is not installed: .* compiler_image"):
        compiled(exported, tmp_path)


def test_emulator_belongs_to_the_job_that_compiled(exported: Exported) -> None:
    with pytest.raises(CompileError, match="in the job that compiled it"):
        Hailo(Deadline(3600)).embedder(exported.int8, exported.contract)
