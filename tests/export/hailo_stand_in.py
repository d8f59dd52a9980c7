"""Stands in for ``hailo_sdk_client``, which is licensed and in no registry.

It has the part of the interface that is published (hailo_model_zoo v2.18) and refuses what the
real one is known to refuse, by the same class names. It computes with ONNX Runtime on the very cut
and script that it was given, so that a wrong cut or normalisation shows in the embeddings. It is no
proof that the real compiler takes the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime

from tests.export.hef_writer import Description, Layer, hef

VERSION = "3.33.0"


class UnsupportedModelError(Exception):
    pass


class ParsingWithRecommendationException(Exception):
    pass


class MisspellNodeError(Exception):
    pass


class BadInputsShape(Exception):
    pass


class AllocatorScriptParserException(Exception):
    pass


class BackendAllocatorException(Exception):
    pass


class InferenceContext(Enum):
    SDK_NATIVE = "sdk_native"
    SDK_QUANTIZED = "sdk_quantized"


_ARCHITECTURES = {"hailo8": 1, "hailo8r": 2, "hailo8l": 3}
_NUMBERS = r"\[([-0-9., ]+)\]"
_COMMANDS = {
    "normalization": re.compile(rf"\w+ = normalization\({_NUMBERS}, {_NUMBERS}\)"),
    "flavor": re.compile(
        r"model_optimization_flavor\(optimization_level=[0-4], compression_level=[0-5]\)"
    ),
    "calibration": re.compile(
        r"model_optimization_config\(calibration, batch_size=\d+, calibset_size=(\d+)\)"
    ),
    "performance": re.compile(r"performance_param\(compiler_optimization_level=(max|\d)\)"),
}
_KNOWN_OPERATIONS = {"Conv", "Clip", "Relu", "Add", "GlobalAveragePool", "AveragePool"} | {
    "Flatten",
    "Gemm",
    "MatMul",
    "Reshape",
}


class ClientRunner:
    """Parses, optimises, infers and compiles; each step wants the one before."""

    def __init__(self, *, hw_arch: str) -> None:
        if hw_arch not in _ARCHITECTURES:
            raise ValueError(f"Unsupported hw_arch {hw_arch}")
        self.hef_architecture = _ARCHITECTURES[hw_arch]
        self.steps: list[str] = []
        self.script = ""

    def translate_onnx_model(
        self,
        model: str,
        net_name: str,
        *,
        start_node_names: list[str],
        end_node_names: list[str],
        net_input_shapes: dict[str, list[int]],
    ) -> None:
        graph = onnx.load(model)
        by_name = {node.name: node for node in graph.graph.node}
        for name in (*start_node_names, *end_node_names, *net_input_shapes):
            if name not in by_name:
                raise MisspellNodeError(f"Unable to find node named {name}")
        if list(net_input_shapes) != start_node_names:
            raise ParsingWithRecommendationException("net_input_shapes must name the start nodes")
        (start,), (end,) = start_node_names, end_node_names
        image, embedding = by_name[start].input[0], by_name[end].output[0]
        cut = onnx.utils.Extractor(graph).extract_model([image], [embedding])
        for node in cut.graph.node:
            if node.op_type not in _KNOWN_OPERATIONS:
                raise UnsupportedModelError(f"{node.op_type} operation is unsupported")
        self.shape = net_input_shapes[start]
        self._session = onnxruntime.InferenceSession(
            cut.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self._image = image
        self.steps.append("translate")

    def load_model_script(self, script: str) -> None:
        self._after("translate")
        self._normalisation = (np.zeros(3), np.ones(3))
        self._calibration = 64
        for line in filter(None, map(str.strip, script.splitlines())):
            matches = {name: form.fullmatch(line) for name, form in _COMMANDS.items()}
            if not any(matches.values()):
                raise AllocatorScriptParserException(f"Line could not be parsed: {line}")
            if matches["normalization"]:
                mean, std = (
                    np.array([float(number) for number in group.split(",")])
                    for group in matches["normalization"].groups()
                )
                self._normalisation = (mean, std)
            if matches["calibration"]:
                self._calibration = int(matches["calibration"].group(1))
        self.script = script
        self.steps.append("script")

    def optimize(self, images: np.ndarray) -> None:
        self._after("translate")
        _, channels, height, width = self.shape
        if images.shape[1:] != (height, width, channels):
            raise BadInputsShape(
                f"Data shape {images.shape[1:]} does not match ({height}, {width}, {channels})"
            )
        if len(images) < self._calibration:
            raise ValueError(f"calibset_size is {self._calibration}, data has {len(images)}")
        self.shown = images
        self.steps.append("optimize")

    @contextmanager
    def infer_context(self, mode: InferenceContext) -> Iterator[InferenceContext]:
        self._after("optimize" if mode is InferenceContext.SDK_QUANTIZED else "translate")
        yield mode

    def infer(self, context: InferenceContext, images: np.ndarray) -> np.ndarray:
        mean, std = self._normalisation
        planes = ((images - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
        rows = [
            self._session.run(None, {self._image: np.ascontiguousarray(plane[None])})[0]
            for plane in planes
        ]
        answer = np.concatenate(rows)
        step = np.abs(answer).max() / 127  # the output's quantisation
        return np.round(answer / step).astype(np.float32)[:, None, None, :] * np.float32(step)

    def compile(self) -> bytes:
        self._after("optimize")
        _, channels, height, width = self.shape
        self.steps.append("compile")
        return hef(
            3,
            Description(
                architecture=self.hef_architecture,
                sdk=VERSION,
                layers=(
                    Layer("net/input_layer1", False, (height, width, channels)),
                    Layer("net/fc1", True, (1, 1, 768), zero_point=128.0, scale=0.02),
                ),
            ).content(),
        )

    def _after(self, step: str) -> None:
        if step not in self.steps:
            raise RuntimeError(f"{step} must come first")


def module(runner: type[ClientRunner] = ClientRunner) -> ModuleType:
    """What ``import hailo_sdk_client`` gives."""
    made: Any = ModuleType("hailo_sdk_client")
    made.__version__ = VERSION
    made.__file__ = str(Path(__file__))
    made.ClientRunner, made.InferenceContext = runner, InferenceContext
    return made
