"""The INT8 build of a graph: quantised where it should be, and still the same model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from export.calibration import record
from export.compiler import CompileError
from export.deadline import Deadline
from export.int8 import OnnxInt8
from export.load_compiler import load_compiler
from recognition.acceptance.rounding_noise import QUANTISED_NOISE
from recognition.onnx_model import OnnxEmbedder
from recognition.search.gallery import l2_normalise
from tests.export.conftest import CALIBRATION_IMAGES, Exported


def test_int8_graph_is_nearly_the_float_graph(exported: Exported) -> None:
    rest = exported.views[CALIBRATION_IMAGES:]
    small = OnnxInt8().embedder(exported.int8, exported.contract).embed(rest)
    large = OnnxEmbedder(exported.model, exported.contract).embed(rest)
    cosines = (small * large).sum(axis=1)
    assert cosines.mean() > 0.99
    assert cosines.max() < 0.9999999, "nothing was quantised"


def test_weights_are_bytes_per_channel_and_the_preparation_is_not_touched(
    exported: Exported,
) -> None:
    graph = onnx.load(exported.int8.path).graph
    value, path = "image", []
    for _ in range(5):
        (node,) = (node for node in graph.node if value in node.input)
        path.append(node.op_type)
        value = node.output[0]
    assert path == ["Cast", "Transpose", "Mul", "Add", "QuantizeLinear"]
    values = {tensor.name: tensor for tensor in graph.initializer}
    made_by = {node.output[0]: node for node in graph.node}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(layers) == 4
    for layer in layers:
        activation, weight = (made_by[name] for name in layer.input[:2])
        assert activation.op_type == weight.op_type == "DequantizeLinear"
        stored = values[weight.input[0]]
        assert stored.data_type == onnx.TensorProto.INT8
        # Two products with 255 fit into 16 bits, so no processor's sums saturate.
        largest = np.abs(numpy_helper.to_array(stored).astype(int)).max()
        assert 32 < largest <= 64, "not seven bits"
        assert values[weight.input[1]].dims == [values[weight.input[0]].dims[0]], "not by channel"
        assert values[activation.input[2]].data_type == onnx.TensorProto.UINT8
    assert exported.int8.path.stat().st_size < 0.4 * exported.model.stat().st_size


def test_fused_integer_kernels_answer_as_the_graph_without_fusion_does(exported: Exported) -> None:
    """Without fusion each operation is in floating point, which nothing saturates.

    With eight-bit weights a processor without VNNI answered .07 away in cosines.
    """
    views = exported.views[CALIBRATION_IMAGES:]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(str(exported.int8.path), options)
    answers = np.concatenate([plain.run(None, {"image": view[None]})[0] for view in views])
    fused = OnnxInt8().embedder(exported.int8, exported.contract).embed(views)
    cosines = (l2_normalise(answers) * fused).sum(axis=1)
    assert cosines.min() > 1 - QUANTISED_NOISE


def test_calibration_images_are_recorded_as_the_quantiser_took_them(exported: Exported) -> None:
    assert exported.int8.calibration == record(exported.views[:CALIBRATION_IMAGES])
    assert exported.int8.toolchain["onnxruntime"]
    assert any("not a HEF" in note for note in exported.int8.notes)


def test_same_input_gives_the_same_file(exported: Exported, tmp_path: Path) -> None:
    images = exported.views[:CALIBRATION_IMAGES]
    again = load_compiler("onnx-int8", Deadline(3600)).compile(
        exported.model, images, exported.contract, tmp_path
    )
    assert again.path.read_bytes() == exported.int8.path.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["model.int8.onnx"]


@pytest.mark.parametrize("images", ["none", "small", "float"])
def test_images_that_are_not_the_contract_s_are_refused(
    exported: Exported, tmp_path: Path, images: str
) -> None:
    given = {
        "none": exported.views[:0],
        "small": exported.views[:4, :16, :16],
        "float": exported.views[:4].astype(np.float32),
    }[images]
    with pytest.raises(CompileError, match=r"the contract says uint8 \('N', 32, 32, 3\)"):
        OnnxInt8().compile(exported.model, given, exported.contract, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_compiler_is_named() -> None:
    with pytest.raises(CompileError, match="'tflite' is none of onnx-int8, hailo"):
        load_compiler("tflite", Deadline(3600))
