"""What a shipped graph consists of: the preparation of the image, and the network behind it.

Two other graphs are derived from the shipped one, so that there is one set of weights: the network
alone, as Hailo's parser takes it, and a twin that takes many images at a time, for servers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx

#: What may stand before the first convolution: cast, layout and normalisation. Hailo's parser
#: starts behind it, the compiler normalises on the chip, and ONNX Runtime's quantiser leaves it
#: in floating point.
PROLOGUE = frozenset({"Cast", "Transpose", "Mul", "Add", "Sub", "Div"})
#: Operations whose shape is part of the graph.
_FIXED = frozenset({"Reshape", "Expand", "Tile"})
#: Types of trained numbers.
FLOATS = frozenset(
    {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE}
    | {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
)
#: Name of the free dimension.
BATCH = "batch"


def image_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller must give.

    Older exporters, and all of IR version 3, list the initialisers among the inputs, too: their
    values are in the file, so they are no inputs of the model.
    """
    values = {tensor.name for tensor in graph.initializer}
    values |= {sparse.values.name for sparse in graph.sparse_initializer}
    return [value for value in graph.input if value.name not in values]


def names_read(node: onnx.NodeProto) -> set[str]:
    """The values that a node reads, those that its subgraphs (If, Loop, Scan) read included."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            inside = {value.name for value in graph.input}
            inside |= {tensor.name for tensor in graph.initializer}
            inside |= {name for each in graph.node for name in each.output}
            read = {name for each in graph.node for name in names_read(each)}
            read |= {value.name for value in graph.output}
            names |= read - inside
    return names


def prologue(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes at a graph's beginning that do nothing but prepare the image.

    Nodes that do not depend on the image may stand between them (PaddlePaddle writes each weight
    as a Constant node there); they are no part of the preparation.
    """
    nodes = []
    prepared = {value.name for value in image_inputs(model.graph)}
    for node in model.graph.node:
        if not names_read(node) & prepared:
            continue
        if node.op_type not in PROLOGUE or node.domain not in ("", "ai.onnx"):
            break
        nodes.append(node)
        prepared |= set(node.output)
    return nodes


def network(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network alone: normalised float32 (1, 3, S, S) in, the embedding before its norm out.

    What Hailo's parser gets. The preparation in front of it is done on the chip, from the contract.

    Args:
        model: A shipped graph; it is not changed.

    Raises:
        ValueError: There is nothing behind the preparation, or it takes more than one image.
    """
    prepared = {name for node in prologue(model) for name in node.output}
    images = image_inputs(model.graph)
    read = {value.name for value in model.graph.output}
    behind: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        # What only the preparation reads goes with it.
        if not set(node.output) & prepared and set(node.output) & read:
            behind.insert(0, node)
            read |= names_read(node)
    taken = {name for node in behind for name in names_read(node)}
    taken &= prepared | {value.name for value in images}
    if len(taken) != 1 or len(images) != 1:
        raise ValueError(f"the network takes {len(taken)} images, a card model takes one")
    dims = images[0].type.tensor_type.shape.dim
    if len(dims) != 4:
        raise ValueError(f"{images[0].name} has {len(dims)} dimensions, a card model takes four")
    (name,) = taken
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    _list_only(cut, [
        onnx.helper.make_tensor_value_info(
            # The side is the third dimension of NHWC and of NCHW.
            name, onnx.TensorProto.FLOAT, [1, 3, dims[2].dim_value, dims[2].dim_value]
        )
    ])  # fmt: skip
    del cut.graph.node[:]
    cut.graph.node.extend(behind)
    used = read | {name for node in behind for name in names_read(node)}
    weights = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del cut.graph.initializer[:]
    cut.graph.initializer.extend(weights)
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
    _list_only(twin, image_inputs(model.graph))
    for value in (*twin.graph.input, *twin.graph.output):
        if not value.type.tensor_type.shape.dim:
            raise ValueError(f"{value.name}: has no dimensions, so no batch")
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    # What was inferred for one image is wrong for many.
    del twin.graph.value_info[:]
    onnx.checker.check_model(twin)
    return twin


def _list_only(model: onnx.ModelProto, inputs: Sequence[onnx.ValueInfoProto]) -> None:
    """Makes these the inputs; a caller cannot replace a weight any more."""
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    # Version 3 of the format demands every initialiser among the inputs.
    model.ir_version = max(model.ir_version, 4)


def parameter_count(model: onnx.ModelProto) -> int:
    """Numbers in the weights and biases of the network that ships.

    The contract's mean and deviation are not counted, and neither are scalars such as the bounds
    of a Clip: nobody trained them. Weights are initialisers or, by PaddlePaddle, Constant nodes.
    """
    prepared = {name for node in prologue(model) for name in node.input}
    tensors = [(tensor.name, tensor) for tensor in model.graph.initializer]
    tensors += [
        (node.output[0], attribute.t)
        for node in model.graph.node
        if node.op_type == "Constant" and node.output
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    return sum(
        math.prod(tensor.dims)
        for name, tensor in tensors
        if tensor.data_type in FLOATS and tensor.dims and name not in prepared
    )
