"""What a shipped graph consists of: the preparation of the image, and the network behind it.

Two other graphs are derived from the shipped one, so that there is one set of weights: the network
alone, as Hailo's parser takes it, and a twin that takes many images at a time, for servers.
"""

from __future__ import annotations

import math

import onnx

#: What may stand before the first convolution: cast, layout and normalisation. Hailo's parser
#: starts behind it, the compiler normalises on the chip, and ONNX Runtime's quantiser leaves it
#: in floating point.
PROLOGUE = frozenset({"Cast", "Transpose", "Mul", "Add", "Sub", "Div", "Constant"})
#: Operations whose shape is part of the graph.
_FIXED = frozenset({"Reshape", "Expand", "Tile"})
#: Name of the free dimension.
BATCH = "batch"


def prologue(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes at a graph's beginning that do nothing but prepare the image."""
    nodes = []
    for node in model.graph.node:
        if node.op_type not in PROLOGUE:
            break
        nodes.append(node)
    return nodes


def network(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network alone: normalised float32 (1, 3, S, S) in, the embedding before its norm out.

    What Hailo's parser gets. The preparation in front of it is done on the chip, from the contract.

    Args:
        model: A shipped graph; it is not changed.

    Raises:
        ValueError: There is nothing behind the preparation, or it takes more than one image.
    """
    prepared = prologue(model)
    behind = list(model.graph.node)[len(prepared) :]
    known = {tensor.name for tensor in model.graph.initializer}
    known |= {name for node in behind for name in node.output}
    taken = {name for node in behind for name in node.input if name and name not in known}
    if len(taken) != 1 or len(model.graph.input) != 1:
        raise ValueError(f"the network takes {len(taken)} images, a card model takes one")
    size = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    (name,) = taken
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.node[: len(prepared)]
    used = {name for node in behind for name in node.input}
    weights = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del cut.graph.initializer[:]
    cut.graph.initializer.extend(weights)
    cut.graph.input[0].CopyFrom(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, size, size])
    )
    onnx.checker.check_model(cut)
    return cut


def batched(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with a free batch: uint8 (N, S, S, 3) in, float32 (N, D) out, for servers.

    Args:
        model: A shipped graph; it is not changed.

    Raises:
        ValueError: An operation has the batch of 1 written into it.
    """
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    for node in twin.graph.node:
        if node.op_type in _FIXED:
            raise ValueError(f"{node.name}: {node.op_type} fixes the batch; flatten instead")
    for value in (*twin.graph.input, *twin.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    # What was inferred for one image is wrong for many.
    del twin.graph.value_info[:]
    onnx.checker.check_model(twin)
    return twin


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
