"""``cards export lint`` on graphs as torch, tf2onnx, Keras, ultralytics and Paddle write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tests.cli.command import Done, cards
from tests.export import exporter_graphs as graphs

SOUND: dict[str, Callable[[], ModelProto]] = {
    "torch, opset 11": lambda: graphs.classifier(opset=11, ir_version=6),
    "torch, opset 13": lambda: graphs.classifier(opset=13, ir_version=7),
    "torch, opset 17": graphs.classifier,
    "torch, initialisers as inputs": lambda: graphs.list_initialisers_as_inputs(
        graphs.classifier()
    ),
    "Keras, initialisers as inputs, IR 3": lambda: graphs.list_initialisers_as_inputs(
        graphs.classifier(opset=11, ir_version=3)
    ),
    "initialisers before the image": lambda: graphs.list_initialisers_as_inputs(
        graphs.classifier(), first=True
    ),
    "torch, shared weights": graphs.shared_weights_by_identity,
    "Paddle, weights as nodes": graphs.weights_as_constant_nodes,
}


def saved(model: ModelProto, folder: Path) -> str:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def linted(model: ModelProto, folder: Path) -> Done:
    return cards("export", "lint", saved(model, folder))


@pytest.mark.parametrize("make", SOUND.values(), ids=SOUND)
def test_lint_of_a_sound_graph_finds_nothing(
    make: Callable[[], ModelProto], tmp_path: Path
) -> None:
    done = linted(make(), tmp_path)
    assert done.code == 0, done.out
    assert f"{4 * 27 + 4 * 4 + 5 * 4} parameters" in done.out


@pytest.mark.parametrize("word", ["network", "batch"])
@pytest.mark.parametrize("make", SOUND.values(), ids=SOUND)
def test_graphs_made_of_a_sound_graph_take_the_image_alone(
    make: Callable[[], ModelProto], word: str, tmp_path: Path
) -> None:
    model = make()
    out = tmp_path / "out.onnx"
    done = cards("export", word, saved(model, tmp_path), "--out", str(out))
    assert done.code == 0, done.err
    assert [each.name for each in onnx.load(out).graph.input] == ["image"]
    image = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    results = [
        onnxruntime.InferenceSession(str(path)).run(None, {"image": image})[0]
        for path in (tmp_path / "model.onnx", out)
    ]
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


def half_precision() -> ModelProto:
    return graphs.classifier(dtype=np.float16)


def wide_output() -> ModelProto:
    model = graphs.classifier()
    model.graph.node.append(
        helper.make_node("Identity", ["embedding"], ["wide"], name="out", domain="")
    )
    model.graph.output[0].name = "wide"
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    return model


def whole_number_input() -> ModelProto:
    model = graphs.classifier()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


def sequence_output() -> ModelProto:
    model = graphs.classifier()
    model.graph.node.append(
        helper.make_node("SequenceConstruct", ["embedding"], ["all"], name="sequence")
    )
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_sequence_value_info("all", TensorProto.FLOAT, None)
    )
    return model


def dynamic_batch() -> ModelProto:
    model = graphs.classifier()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "unk__12"
    return model


def computed_statistics() -> ModelProto:
    model = graphs.classifier()
    graphs.insert_before(
        model, "norm", helper.make_node("Relu", ["variance"], ["v"], name="before")
    )
    norm = graphs.node(model, "norm")
    norm.input[0], norm.input[4] = "c", "v"
    return model


def own_relu() -> ModelProto:
    """A function of the graph's own that has the name of a standard operation's domain."""
    model = graphs.local_function()
    model.functions[0].domain, model.functions[0].name = "", "Celu"
    relu = graphs.node(model, "relu")
    relu.domain, relu.op_type = "", "Celu"
    return model


def sparse() -> ModelProto:
    model = graphs.classifier()
    kernel = model.graph.initializer[0]
    values = helper.make_tensor("kernel", TensorProto.FLOAT, [1], [0.5])
    indices = helper.make_tensor("kernel_i", TensorProto.INT64, [1], [3])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, kernel.dims))
    del model.graph.initializer[0]
    return model


FAULTY: dict[str, tuple[Callable[[], ModelProto], list[str]]] = {
    "training mode by attribute": (
        graphs.training_attribute, ["norm: BatchNormalization in training mode"]),
    "training mode by outputs, opset 12": (
        graphs.training_outputs, ["norm: BatchNormalization in training mode"]),
    "Dropout in training mode": (
        lambda: graphs.dropout(training=True), ["drop: Dropout in training mode; export"]),
    "Dropout that does nothing": (
        lambda: graphs.dropout(training=False), ["drop: operation Dropout; export"]),
    "all of float64": (
        lambda: graphs.classifier(dtype=np.float64),
        ["image: 64-bit floats", "kernel: 64-bit weights in 6 places; export", "ONNX Runtime"]),
    "float64 initialiser": (
        lambda: graphs.float64_constant(as_node=False), ["half: 64-bit weights"]),
    "float64 Constant": (lambda: graphs.float64_constant(as_node=True), ["half: 64-bit weights"]),
    "float64 in a branch": (
        graphs.branch, ["If_7: operation If", "else_d: 64-bit weights in 2 places"]),
    "all of float16 (ultralytics half)": (
        half_precision, ["image: 16-bit floats", "kernel: 16-bit weights"]),
    "float64 output": (wide_output, ["wide: 64-bit floats", "ONNX Runtime"]),
    "int64 input": (whole_number_input, ["image: int64", "ONNX Runtime"]),
    "sequence output": (sequence_output, ["all: no tensor"]),
    "dynamic batch (tf2onnx)": (dynamic_batch, ["image: a dynamic shape"]),
    "NHWC inside": (graphs.channels_last, ["there: operation Transpose", "back: operation Trans"]),
    "computed statistics": (
        computed_statistics, ["norm: BatchNormalization by a computed value"]),
    "local function": (
        graphs.local_function, ["relu: operation pkg.torch.nn.ReLU; inline the graph's functions"]),
    "local function of the standard domain": (own_relu, ["relu: operation Celu; inline"]),
    "sparse weights": (sparse, ["kernel: sparse weights"]),
}  # fmt: skip


@pytest.mark.parametrize(("make", "words"), FAULTY.values(), ids=FAULTY)
def test_lint_of_a_faulty_graph_names_the_fault(
    make: Callable[[], ModelProto], words: list[str], tmp_path: Path
) -> None:
    done = linted(make(), tmp_path)
    assert done.code == 1, done
    for word in words:
        assert word in done.out, done.out
    assert " inputs" not in done.out and "unexpected" not in done.err


def test_lint_of_one_dtype_in_many_weights_is_one_finding(tmp_path: Path) -> None:
    done = linted(graphs.classifier(dtype=np.float64), tmp_path)
    assert done.out.count("64-bit weights") == 1, done.out


def test_lint_without_a_listed_fault_reports_what_onnx_runtime_refuses(tmp_path: Path) -> None:
    model = graphs.classifier()
    whole = np.ones((graphs.LENGTH, graphs.CHANNELS), np.int32)  # with a float on the other side
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(whole, "fc.weight"))
    done = linted(model, tmp_path)
    assert done.code == 1
    (finding,) = (line for line in done.out.splitlines() if line.startswith("  "))
    assert finding.startswith("  graph: ONNX Runtime cannot run it ("), finding


def test_lint_of_weights_in_another_file_loads_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(graphs.classifier(), path, save_as_external_data=True, size_threshold=0)
    done = cards("export", "lint", str(path))
    assert done.code == 1
    assert "its values lie in another file" in done.out and "ONNX Runtime" not in done.out
