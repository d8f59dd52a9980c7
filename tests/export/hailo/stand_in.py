"""Stands in for ``hailo_sdk_client``, which is licensed and in no registry.

It has the part of the interface that is published (hailo_model_zoo v2.18) and refuses what the
real one is known to refuse, by the same class names. It computes with ONNX Runtime on the very cut
and script that it was given, so that a wrong cut or normalisation shows in the embeddings. It is no
proof that the real compiler takes the model.
"""

from __future__ import annotations

import builtins
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime

from tests.export.hailo.hef_writer import Description, Layer, hef

if TYPE_CHECKING:
    import pytest

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
    SDK_FP_OPTIMIZED = "sdk_fp_optimized"
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
    "correction": re.compile(
        r"post_quantization_optimization\(bias_correction, policy=(enabled|disabled)\)"
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

    def __init__(self, *, hw_arch: str = "hailo8", har: str | None = None) -> None:
        if hw_arch not in _ARCHITECTURES:
            raise ValueError(f"Unsupported hw_arch {hw_arch}")
        self.hef_architecture = _ARCHITECTURES[hw_arch]
        self.steps: list[str] = []
        self.script = ""
        if har is not None:
            with np.load(har, allow_pickle=False) as saved:
                self.steps = [str(step) for step in saved["steps"]]
                self.shape = [int(side) for side in saved["shape"]]
                self._parse(bytes(saved["graph"]))
                self._normalisation = (saved["mean"], saved["std"])

    def save_har(self, path: str) -> None:
        self._after("translate")
        mean, std = getattr(self, "_normalisation", (np.zeros(3), np.ones(3)))
        with open(path, "wb") as file:
            np.savez(
                file,
                steps=np.asarray(self.steps),
                shape=np.asarray(self.shape),
                graph=np.frombuffer(self._graph, np.uint8),
                mean=mean,
                std=std,
            )

    def _parse(self, graph: bytes) -> None:
        self._graph = graph
        self._session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self._image = self._session.get_inputs()[0].name

    def translate_onnx_model(
        self,
        model: str,
        net_name: str,
        *,
        start_node_names: list[str],
        end_node_names: list[str],
        net_input_shapes: dict[str, list[int]],
    ) -> None:
        misbehave("translate")
        graph = onnx.load(model)
        by_name = {node.name: node for node in graph.graph.node}
        inputs = {value.name for value in graph.graph.input}
        for name in (*start_node_names, *end_node_names, *net_input_shapes):
            if name not in by_name and name not in inputs:
                raise MisspellNodeError(f"Unable to find node named {name}")
        if list(net_input_shapes) != start_node_names:
            raise ParsingWithRecommendationException("net_input_shapes must name the start nodes")
        (start,), (end,) = start_node_names, end_node_names
        image = start if start in inputs else by_name[start].input[0]
        cut = onnx.utils.Extractor(graph).extract_model([image], [by_name[end].output[0]])
        for node in cut.graph.node:
            if node.op_type not in _KNOWN_OPERATIONS:
                raise UnsupportedModelError(f"{node.op_type} operation is unsupported")
        self.shape = net_input_shapes[start]
        self._parse(cut.SerializeToString())
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

    def optimize_full_precision(self, calib_data: np.ndarray | None = None) -> None:
        self._after("script")
        misbehave("optimize_full_precision")
        if calib_data is not None:
            self._check_shape(calib_data)
        self.steps.append("optimize_full_precision")

    def optimize(self, images: np.ndarray) -> None:
        self._after("translate")
        misbehave("optimize")
        self._check_shape(images)
        if len(images) < self._calibration:
            raise ValueError(f"calibset_size is {self._calibration}, data has {len(images)}")
        self.shown = images
        self.steps.append("optimize")

    def _check_shape(self, images: np.ndarray) -> None:
        _, channels, height, width = self.shape
        if images.shape[1:] != (height, width, channels):
            raise BadInputsShape(
                f"Data shape {images.shape[1:]} does not match ({height}, {width}, {channels})"
            )

    @contextmanager
    def infer_context(self, mode: InferenceContext) -> Iterator[InferenceContext]:
        needed = {
            InferenceContext.SDK_QUANTIZED: "optimize",
            InferenceContext.SDK_FP_OPTIMIZED: "optimize_full_precision",
        }
        self._after(needed.get(mode, "translate"))
        yield mode

    def infer(self, context: InferenceContext, images: np.ndarray) -> np.ndarray:
        broken = {"nan": np.nan, "zeros": 0.0}.get(asked().get("infer", ""))
        if broken is not None:
            return np.full((len(images), 1, 1, 768), broken, np.float32)
        mean, std = self._normalisation
        planes = ((images - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
        rows = [
            self._session.run(None, {self._image: np.ascontiguousarray(plane[None])})[0]
            for plane in planes
        ]
        answer = np.concatenate(rows)
        if context is not InferenceContext.SDK_QUANTIZED:
            return answer[:, None, None, :]
        step = np.abs(answer).max() / 127  # the output's quantisation
        return np.round(answer / step).astype(np.float32)[:, None, None, :] * np.float32(step)

    def compile(self) -> bytes:
        self._after("optimize")
        misbehave("compile")
        _, channels, height, width = self.shape
        if asked().get("chip"):
            self.hef_architecture = int(asked()["chip"])
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


def asked() -> dict[str, Any]:
    """What a test wants to go wrong: ``HAILO_STAND_IN``, as JSON."""
    wish: dict[str, Any] = json.loads(os.environ.get("HAILO_STAND_IN", "{}"))
    return wish


def misbehave(step: str) -> None:
    """Fails as the real compiler is known to, or as any process may, in the step of the wish."""
    wish = asked()
    if wish.get("step") != step:
        return
    kind, text = wish["kind"], wish.get("text", "")
    if kind == "log":
        print(text, flush=True)
    elif kind == "hang":
        print("[info] Solving the allocation")
        time.sleep(600)
    elif kind == "signal":
        print("[info] about to be gone")
        os.kill(os.getpid(), int(text))
    elif kind == "exit":
        os._exit(int(text))
    else:
        known = globals().get(kind) or getattr(builtins, kind, None)
        raise (known or type(kind, (Exception,), {}))(text)


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, **wish: Any) -> None:
    """The compiler is installed here, and in processes that are started from here."""
    here = Path(__file__).parent
    folder.mkdir(exist_ok=True)
    (folder / "hailo_sdk_client.py").write_text(
        "import importlib.util, sys\n"
        "def load(name, path):\n"
        "    spec = importlib.util.spec_from_file_location(name, path)\n"
        "    module = sys.modules[name] = importlib.util.module_from_spec(spec)\n"
        "    spec.loader.exec_module(module)\n"
        "    return module\n"
        "if 'tests.export.hailo.hef_writer' not in sys.modules:\n"
        f"    load('tests.export.hailo.hef_writer', {str(here / 'hef_writer.py')!r})\n"
        f"found = load('hailo_stand_in', {str(here / 'stand_in.py')!r})\n"
        "__version__ = found.VERSION\n"
        "ClientRunner, InferenceContext = found.ClientRunner, found.InferenceContext\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    before = os.environ.get("PYTHONPATH", "")
    root = str(here.parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), root, *filter(None, [before])]))
    monkeypatch.setenv("HAILO_STAND_IN", json.dumps(wish))
    # Set first, so that whatever is imported by then is forgotten with the test.
    monkeypatch.setitem(sys.modules, "hailo_sdk_client", None)
    del sys.modules["hailo_sdk_client"]
