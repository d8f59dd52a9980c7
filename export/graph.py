"""What a shipped graph consists of: the preparation of the image, and the network behind it."""

from __future__ import annotations

import math

import onnx

#: What may stand before the first convolution: cast, layout and normalisation. Hailo's parser
#: starts behind it, the compiler normalises on the chip, and ONNX Runtime's quantiser leaves it
#: in floating point.
PROLOGUE = frozenset({"Cast", "Transpose", "Mul", "Add", "Sub", "Div", "Constant"})


def prologue(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes at a graph's beginning that do nothing but prepare the image."""
    nodes = []
    for node in model.graph.node:
        if node.op_type not in PROLOGUE:
            break
        nodes.append(node)
    return nodes


def parameter_count(model: onnx.ModelProto) -> int:
    """Numbers in the weights and biases of the network that ships.

    The contract's mean and deviation are not counted, and neither are scalars such as the bounds
    of a Clip: nobody trained them.
    """
    prepared = {name for node in prologue(model) for name in node.input}
    return sum(
        math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
        and tensor.dims
        and tensor.name not in prepared
    )
