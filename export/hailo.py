"""Hailo's Dataflow Compiler (DFC 3.x) as a compiler.

Not yet run against the real compiler, which is licensed and in no registry: the calls follow its
published interface (hailo_model_zoo v2.18) and are tested against a stand-in that refuses what the
real one refuses.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.calibration import Pixels, record
from export.compilers import CompiledModel, CompileError
from export.graph import prologue
from export.hef import HefError, read_hef, require_card_model
from export.lint import lint
from recognition.retrieval import l2_normalise
from recognition.whole_files import whole_file
from registry.contract import Contract

ARCHITECTURE = "hailo8l"
FILE = "model.hef"
SDK = "hailo_sdk_client"
#: The compiler's errors by class name, and what to do about each.
REMEDIES = {
    "ParsingWithRecommendationException": "run the lint on the graph and replace what it names",
    "UnsupportedModelError": "run the lint on the graph and replace what it names",
    "MisspellNodeError": "the graph's node names changed; export it again",
    "BadInputsShape": "calibration images must be NHWC",
    "AccelerasResourceError": "the optimiser ran out of memory; take a larger instance",
    "BackendAllocatorException": "the model does not fit the chip; make it smaller",
    "AllocatorScriptParserException": "the model script is wrong for this compiler's version",
}


class Hailo:
    """The Dataflow Compiler: parse, optimise, quantise with normalisation on the chip, compile."""

    name = "hailo"

    def __init__(self) -> None:
        self._runner: Any = None

    def compile(
        self, model: Path, calibration: Pixels, contract: Contract, into: Path
    ) -> CompiledModel:
        """Compiles the shipped graph, cut behind the preparation of the image, to a HEF."""
        shown = record(calibration)
        graph = onnx.load(model)
        findings = lint(graph)
        if findings:
            raise CompileError(f"{model.name}: {'; '.join(map(str, findings))}")
        sdk = _sdk()
        version = _version(sdk)
        start, end = _cut(graph)
        try:
            runner = sdk.ClientRunner(hw_arch=ARCHITECTURE)
            runner.translate_onnx_model(
                str(model),
                "card_embedder",
                start_node_names=[start],
                end_node_names=[end],
                net_input_shapes={start: [1, 3, contract.size, contract.size]},
            )
            runner.load_model_script(model_script(contract, len(calibration)))
            runner.optimize(calibration)
            content = runner.compile()
        except Exception as error:
            raise CompileError(_explained(error)) from error
        target = into / FILE
        try:
            with whole_file(target) as partial:
                partial.write_bytes(content)
                hef = require_card_model(read_hef(partial), contract)
        except HefError as error:
            raise CompileError(f"the compiler's own output: {error}") from error
        self._runner = runner
        return CompiledModel(
            path=target,
            stage=ARCHITECTURE,
            toolchain={SDK: version, "hef_sdk": hef.sdk_version},
            calibration=shown,
        )

    def embedder(self, compiled: CompiledModel, contract: Contract) -> Emulator:
        """Runs the quantised model in the compiler's emulator, as the chip would."""
        if self._runner is None:
            raise CompileError("the Hailo emulator runs a model in the job that compiled it")
        return Emulator(_sdk(), self._runner)


class Emulator:
    """The compiler's emulation of the quantised network."""

    def __init__(self, sdk: Any, runner: Any) -> None:
        self._sdk, self._runner = sdk, runner

    def embed(self, images: Pixels) -> NDArray[np.float32]:
        """uint8 (N, S, S, 3) to float32 (N, D), rows of length 1."""
        mode = self._sdk.InferenceContext.SDK_QUANTIZED
        with self._runner.infer_context(mode) as context:
            answer = np.asarray(self._runner.infer(context, images), dtype=np.float32)
        return l2_normalise(answer.reshape(len(images), -1))


def model_script(contract: Contract, images: int) -> str:
    """The model script: normalisation on the chip, so that the input stays uint8."""
    mean = [round(255 * value, 4) for value in contract.mean]
    std = [round(255 * value, 4) for value in contract.std]
    return "\n".join(
        [
            f"normalization1 = normalization({mean}, {std})",
            "model_optimization_flavor(optimization_level=1, compression_level=0)",
            f"model_optimization_config(calibration, batch_size=8, calibset_size={images})",
            "performance_param(compiler_optimization_level=max)",
            "",
        ]
    )


def _sdk() -> Any:
    try:
        return importlib.import_module(SDK)
    except ImportError:
        raise CompileError(
            f"{SDK} is not installed: the job must run in an image that holds the Dataflow "
            "Compiler (the wheel that you downloaded from Hailo); name the image in cdk.json as "
            "compiler_image"
        ) from None


def _version(sdk: Any) -> str:
    """The compiler's version; its module is part of a package of another name."""
    for package in importlib.metadata.packages_distributions().get(SDK, []):
        return importlib.metadata.version(package)
    return str(getattr(sdk, "__version__", "unknown"))


def _cut(graph: onnx.ModelProto) -> tuple[str, str]:
    """The first node behind the preparation of the image, and the last node."""
    nodes = list(graph.graph.node)[len(prologue(graph)) :]
    return nodes[0].name, nodes[-1].name


def _explained(error: Exception) -> str:
    name = type(error).__name__
    first = str(error).strip().splitlines()[0][:300] if str(error).strip() else "no message"
    remedy = REMEDIES.get(name, "see the job's log")
    return f"the Hailo compiler says {name}: {first}; {remedy}"
