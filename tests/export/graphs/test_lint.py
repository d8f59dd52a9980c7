"""The lint finds what the Hailo parser is expected to refuse, and nothing in a student."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from export.graphs.graph import parameter_count, prologue
from export.graphs.lint import lint
from registry.contract import Contract
from tests.export.conftest import Exported


def test_student_has_no_findings(exported: Exported) -> None:
    assert lint(onnx.load(exported.model)) == []


def replace_clip(kind: str, domain: str = "") -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == "Clip")
        node.op_type, node.domain = kind, domain
        del node.input[1:]

    return change


def batch_of_eight(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 8


def a_film(model: ModelProto) -> None:
    shape = model.graph.input[0].type.tensor_type.shape
    shape.dim.add().dim_value = 16


def grey(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 1


def a_map(model: ModelProto) -> None:
    shape = model.graph.output[0].type.tensor_type.shape
    for _ in "hw":
        shape.dim.add().dim_value = 7


def as_pooled(model: ModelProto) -> None:
    shape = model.graph.output[0].type.tensor_type.shape
    for _ in "hw":
        shape.dim.add().dim_value = 1


def test_vector_with_the_axes_of_a_pool_is_none_the_less_one(exported: Exported) -> None:
    model = onnx.load(exported.model)
    as_pooled(model)
    assert lint(model) == []


def no_batch(model: ModelProto) -> None:
    del model.graph.output[0].type.tensor_type.shape.dim[0]


def convolution(axes: int, says: bool = True) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == "Conv")
        kernel = next(each for each in node.attribute if each.name == "kernel_shape")
        if says:
            kernel.ints[:] = [3] * axes
        else:
            node.attribute.remove(kernel)
        shape = (*numpy_helper.to_array(weight(model)).shape[:2], *[1] * axes)
        weight(model).CopyFrom(
            numpy_helper.from_array(np.zeros(shape, np.float32), weight(model).name)
        )

    return change


def film_pool(model: ModelProto) -> None:
    replace_clip("MaxPool")(model)
    node = next(node for node in model.graph.node if node.op_type == "MaxPool")
    node.attribute.append(helper.make_attribute("kernel_shape", [1, 2, 2]))


def dynamic_batch(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"


def unknown_output(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.ClearField("shape")


def opset_18(model: ModelProto) -> None:
    model.opset_import[0].version = 18


def l2_inside(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("LpNormalization", ["embedding"], ["l2"], name="l2"))


def same_names(model: ModelProto) -> None:
    for node in model.graph.node:
        node.name = ""


def no_network(model: ModelProto) -> None:
    del model.graph.node[4:]


def two_inputs(model: ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def two_outputs(model: ModelProto) -> None:
    more = helper.make_tensor_value_info(model.graph.node[-2].output[0], TensorProto.FLOAT, [1, 1])
    model.graph.output.append(more)


def weight(model: ModelProto) -> TensorProto:
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    return next(t for t in model.graph.initializer if t.name == node.input[1])


def not_a_number(model: ModelProto) -> None:
    values = numpy_helper.to_array(weight(model)).copy()
    values[0, 0, 0, 0] = float("nan")
    weight(model).CopyFrom(numpy_helper.from_array(values, weight(model).name))


def halves(model: ModelProto) -> None:
    values = numpy_helper.to_array(weight(model)).astype("float16")
    weight(model).CopyFrom(numpy_helper.from_array(values, weight(model).name))


def too_few(model: ModelProto) -> None:
    weight(model).raw_data = weight(model).raw_data[:-4]


def elsewhere(model: ModelProto) -> None:
    weight(model).data_location = TensorProto.EXTERNAL


def computed_weights(model: ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    node.input[1] = node.input[0]


def computed_shape(model: ModelProto) -> None:
    model.graph.node.append(
        helper.make_node("Reshape", ["embedding", "embedding"], ["flat"], name="flatten")
    )


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        (replace_clip("Erf"), "Clip", "operation Erf; GELU is not taken"),
        (replace_clip("Gelu"), "Clip", "operation Gelu; GELU is not taken"),
        (replace_clip("LayerNormalization"), "Clip", "use BatchNorm"),
        (replace_clip("NonZero"), "Clip", "operation NonZero; replace it"),
        (replace_clip("Conv", "com.microsoft"), "Clip", "operation com.microsoft.Conv"),
        (dynamic_batch, "image", "a dynamic shape; export with a fixed batch of 1"),
        (batch_of_eight, "image", "a batch of 8; export with a fixed batch of 1"),
        (a_film, "image", "shape [1, 32, 32, 3, 16]; a card model takes one colour image"),
        (grey, "image", "shape [1, 32, 32, 1]; a card model takes one colour image"),
        (a_map, "embedding", "shape [1, 768, 7, 7]; a card model gives one vector"),
        (no_batch, "embedding", "shape [768]; a card model gives one vector"),
        (
            convolution(3),
            "Conv",
            "Conv along 3 spatial axes; an image model works along height",
        ),
        (convolution(1), "Conv", "Conv along 1 spatial axes"),
        (convolution(3, says=False), "Conv", "Conv along 3 spatial axes"),
        (film_pool, "Clip", "MaxPool along 3 spatial axes"),
        (unknown_output, "embedding", "a dynamic shape"),
        (opset_18, "graph", "opset 18; export with opset 11 to 17"),
        (l2_inside, "l2", "leave the L2 norm to the host"),
        (same_names, "graph", "nodes without a name of their own"),
        (no_network, "graph", "no network"),
        (two_inputs, "graph", "2 inputs; a card model has one of each"),
        (two_outputs, "graph", "2 outputs; a card model has one of each"),
        (not_a_number, "onnx::Conv", "a weight that is no number; train it again"),
        (halves, "onnx::Conv", "16-bit weights; export in float32"),
        (too_few, "onnx::Conv", "its values are not as many as its shape says; export it again"),
        (elsewhere, "onnx::Conv", "its values lie in another file; save one file"),
        (computed_weights, "Conv", "Conv by a computed value; its weights must be constants"),
        (computed_shape, "flatten", "Reshape to a computed shape; give it a constant shape"),
    ],
)
def test_each_fault_is_found_with_its_remedy(
    exported: Exported, change: Callable[[ModelProto], None], where: str, words: str
) -> None:
    model = onnx.load(exported.model)
    change(model)
    (finding,) = lint(model)
    assert where in finding.where
    assert words in str(finding)


def test_input_and_output_of_the_graph_are_the_contract_s(exported: Exported) -> None:
    model = onnx.load(exported.model)
    assert lint(model, exported.contract) == []
    other = Contract(size=64, embedding_dim=512)
    assert [str(finding) for finding in lint(model, other)] == [
        "image: uint8 [1, 32, 32, 3]; the contract says uint8 [1, 64, 64, 3]",
        "embedding: float [1, 768]; the contract says float [1, 512]",
    ]
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    (finding,) = lint(model, exported.contract)
    assert finding.cause == "float [1, 32, 32, 3]"


def test_preparation_ends_where_the_network_begins(exported: Exported) -> None:
    model = onnx.load(exported.model)
    assert [node.op_type for node in prologue(model)] == ["Cast", "Transpose", "Mul", "Add"]
    later = model.graph.node.add()
    later.CopyFrom(helper.make_node("Mul", ["embedding", "embedding"], ["square"], name="late"))
    assert len(prologue(model)) == 4


def test_scalars_and_the_preparation_are_no_parameters(exported: Exported) -> None:
    model = onnx.load(exported.model)
    before = parameter_count(model)
    model.graph.initializer.append(helper.make_tensor("bound", TensorProto.FLOAT, [], [6.0]))
    model.graph.initializer.append(helper.make_tensor("shape", TensorProto.INT64, [2], [1, -1]))
    assert parameter_count(model) == before
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [2, 3], [0.0] * 6))
    assert parameter_count(model) == before + 6
