"""Small classifiers written as other tools' exporters write them.

Each builder repeats one habit of an exporter: torch (both), tf2onnx, Keras, ultralytics and
PaddlePaddle. The weights are random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.helper import make_node

SIZE, CHANNELS, LENGTH = 8, 4, 5
BATCH_NORM = ("scale", "shift", "mean", "variance")


def weights(dtype: Any = np.float32) -> list[TensorProto]:
    """The initialisers of :func:`classifier`."""
    draw = np.random.default_rng(0)
    shapes = {"kernel": (CHANNELS, 3, 3, 3), "fc.weight": (LENGTH, CHANNELS)}
    arrays = {name: draw.normal(size=shape) for name, shape in shapes.items()}
    arrays |= {name: np.ones(CHANNELS) for name in BATCH_NORM}
    return [numpy_helper.from_array(values.astype(dtype), name) for name, values in arrays.items()]


def nodes() -> list[NodeProto]:
    """Conv, BatchNormalization, Relu, GlobalAveragePool, Flatten, Gemm."""
    return [
        make_node("Conv", ["image", "kernel"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        make_node("BatchNormalization", ["c", *BATCH_NORM], ["n"], name="norm"),
        make_node("Relu", ["n"], ["r"], name="relu"),
        make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        make_node("Flatten", ["p"], ["f"], name="flatten"),
        make_node("Gemm", ["f", "fc.weight"], ["embedding"], name="fc", transB=1),
    ]


def classifier(
    *,
    opset: int = 17,
    ir_version: int = 8,
    dtype: Any = np.float32,
    graph_nodes: Sequence[NodeProto] | None = None,
) -> ModelProto:
    """float (1, 3, 8, 8) to float (1, 5), with every number of the given dtype."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        list(nodes() if graph_nodes is None else graph_nodes),
        "main_graph",
        [helper.make_tensor_value_info("image", kind, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("embedding", kind, [1, LENGTH])],
        weights(dtype),
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version
    )


def node(model: ModelProto, name: str) -> NodeProto:
    """The node of that name."""
    return next(each for each in model.graph.node if each.name == name)


def insert_before(model: ModelProto, name: str, *added: NodeProto) -> None:
    """Adds nodes in front of one; the last one's output becomes that node's first input."""
    place = [each.name for each in model.graph.node].index(name)
    later = list(model.graph.node)[place:]
    later[0].input[0] = added[-1].output[0]
    del model.graph.node[place:]
    model.graph.node.extend([*added, *later])


def list_initialisers_as_inputs(model: ModelProto, *, first: bool = False) -> ModelProto:
    """As torch with ``keep_initializers_as_inputs``, Keras and Caffe2 exporters with IR 3."""
    listed = [
        helper.make_tensor_value_info(each.name, each.data_type, each.dims)
        for each in model.graph.initializer
    ]
    image = list(model.graph.input)
    del model.graph.input[:]
    model.graph.input.extend([*listed, *image] if first else [*image, *listed])
    return model


def weights_as_constant_nodes() -> ModelProto:
    """As PaddlePaddle: each weight is a Constant node, and these stand before all others."""
    model = classifier()
    constants = [
        make_node("Constant", [], [each.name], name=f"constant_{each.name}", value=each)
        for each in model.graph.initializer
    ]
    later = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend([*constants, *later])
    return model


def shared_weights_by_identity() -> ModelProto:
    """As torch's older exporter: a repeated parameter is an Identity of the first one."""
    model = classifier()
    same = make_node("Identity", ["scale"], ["same"], name="Identity_0")
    later = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([same, *later])
    node(model, "norm").input[4] = "same"
    return model


def float64_constant(*, as_node: bool) -> ModelProto:
    """As tf2onnx: a normalisation computed in float64 between two casts, inside the network."""
    model = classifier()
    half = numpy_helper.from_array(np.array([0.5]), "half")
    added = [
        make_node("Cast", ["image"], ["wide"], name="widen", to=TensorProto.DOUBLE),
        make_node("Mul", ["wide", "half"], ["product"], name="times"),
        make_node("Cast", ["product"], ["narrow"], name="narrow", to=TensorProto.FLOAT),
    ]
    if as_node:
        added.insert(0, make_node("Constant", [], ["half"], name="constant", value=half))
    else:
        model.graph.initializer.append(half)
    insert_before(model, "conv", *added)
    return model


def channels_last() -> ModelProto:
    """As tf2onnx and Keras: NHWC in, a Transpose around a convolution in the middle."""
    model = classifier()
    shape = model.graph.input[0].type.tensor_type.shape.dim
    for dim, value in zip(shape, (1, SIZE, SIZE, 3), strict=True):
        dim.dim_value = value
    first = make_node("Transpose", ["image"], ["nchw"], name="first", perm=[0, 3, 1, 2])
    insert_before(model, "conv", first)
    there = make_node("Transpose", ["r"], ["t"], name="there", perm=[0, 2, 3, 1])
    back = make_node("Transpose", ["t"], ["b"], name="back", perm=[0, 3, 1, 2])
    insert_before(model, "pool", there, back)
    return model


def dropout(*, training: bool) -> ModelProto:
    """As torch and Keras write a Dropout that was not removed."""
    model = classifier()
    model.graph.initializer.append(helper.make_tensor("ratio", TensorProto.FLOAT, [], [0.5]))
    model.graph.initializer.append(helper.make_tensor("training", TensorProto.BOOL, [], [training]))
    added = make_node("Dropout", ["f", "ratio", "training"], ["d"], name="drop")
    insert_before(model, "fc", added)
    return model


def branch() -> ModelProto:
    """As torch's older exporter writes ``squeeze`` with dynamic axes: an If with float64 in it."""

    def body(name: str, value: float) -> GraphProto:
        tensor = numpy_helper.from_array(np.array([value]), "")
        one = make_node("Constant", [], [f"{name}_d"], name=f"{name}_c", value=tensor)
        cast = make_node("Cast", [f"{name}_d"], [f"{name}_f"], name=f"{name}_x", to=1)
        given = helper.make_tensor_value_info(f"{name}_f", TensorProto.FLOAT, [1])
        return helper.make_graph([one, cast], name, [], [given])

    model = classifier()
    model.graph.initializer.append(helper.make_tensor("condition", TensorProto.BOOL, [], [True]))
    choice = make_node(
        "If",
        ["condition"],
        ["chosen"],
        name="If_7",
        then_branch=body("then", 1.0),
        else_branch=body("else", 0.5),
    )
    insert_before(model, "relu", choice, make_node("Mul", ["n", "chosen"], ["m"], name="scaled"))
    return model


def local_function() -> ModelProto:
    """As torch's newer exporter without inlining: a layer is a function of the graph's own."""
    model = classifier()
    domain = "pkg.torch.nn"
    model.functions.append(
        helper.make_function(
            domain, "ReLU", ["x"], ["y"], [make_node("Relu", ["x"], ["y"])],
            [helper.make_opsetid("", 17)],
        )
    )  # fmt: skip
    model.opset_import.append(helper.make_opsetid(domain, 1))
    relu = node(model, "relu")
    relu.op_type, relu.domain = "ReLU", domain
    return model


def training_outputs() -> ModelProto:
    """As torch wrote training mode before opset 14: by the normalisation's further outputs."""
    model = classifier(opset=12)
    node(model, "norm").output.extend(["m1", "v1", "m2", "v2"])
    return model


def training_attribute() -> ModelProto:
    """As torch writes ``training=TrainingMode.TRAINING`` from opset 14 on."""
    model = classifier()
    norm = node(model, "norm")
    norm.attribute.append(helper.make_attribute("training_mode", 1))
    norm.output.extend(["running_mean", "running_variance"])
    return model
