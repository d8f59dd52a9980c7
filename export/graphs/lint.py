"""What the Hailo parser would refuse in a graph, before a person approves the model.

The list of operations is a judgement from Hailo's published model zoo (EfficientNet-Lite, ResNet,
MobileNet) and parser messages; the licensed compiler has not been run here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from export.graphs.graph import image_inputs, prologue
from registry.contract import Contract

#: Operations of convolutional classifiers that Hailo's model zoo compiles for hailo8 and hailo8l.
TAKEN = frozenset(
    {"Conv", "Clip", "Relu", "LeakyRelu", "Sigmoid", "HardSwish", "Add", "Mul", "Concat"}
    | {"GlobalAveragePool", "AveragePool", "MaxPool", "ReduceMean", "Flatten", "Reshape"}
    | {"Gemm", "MatMul", "BatchNormalization", "Resize", "Softmax", "Identity", "Constant"}
)
OPSETS = range(11, 18)
_WITH_WEIGHTS = frozenset({"Conv", "Gemm", "MatMul", "BatchNormalization"})
_SLIDING = frozenset({"Conv", "AveragePool", "MaxPool"})
_REALS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
#: Types that the chip has not, and what export in float32 replaces.
_WIDTHS: dict[int, str] = {
    onnx.TensorProto.DOUBLE: "64-bit",
    onnx.TensorProto.FLOAT16: "16-bit",
    onnx.TensorProto.BFLOAT16: "16-bit",
}
_EVALUATION = "export in evaluation mode (model.eval())"
_FIXED_SHAPES = "export with fixed shapes, so that it is computed at export"
_REMEDIES = {
    "Erf": "GELU is not taken: train with ReLU or ReLU6",
    "Gelu": "GELU is not taken: train with ReLU or ReLU6",
    "LayerNormalization": "use BatchNorm, which folds into the convolution",
    "ReduceL2": "leave the L2 norm to the host: return the embedding before it",
    "LpNormalization": "leave the L2 norm to the host: return the embedding before it",
    "Dropout": f"{_EVALUATION}, which leaves it out",
    "Transpose": "keep one layout inside: export channels first (tf2onnx: --inputs-as-nchw)",
    "QuantizeLinear": "export the float graph; the compiler quantises",
    "DequantizeLinear": "export the float graph; the compiler quantises",
    **dict.fromkeys(("If", "Loop", "Scan", "Shape"), _FIXED_SHAPES),
}


@dataclass(frozen=True)
class LintFinding:
    """One reason for a refusal.

    Attributes:
        where: Node, input or graph.
        cause: What is not taken.
        remedy: What to do about it.
    """

    where: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.cause}; {self.remedy}"


def lint(model: onnx.ModelProto, contract: Contract | None = None) -> list[LintFinding]:
    """Everything that the Hailo parser is expected to refuse; empty where nothing is.

    Args:
        model: A graph as it ships; its weights need not be loaded.
        contract: What it must take and give, where that is known.
    """
    graph = model.graph
    findings = [*_of_graph(model), *_of_values(graph), *_of_weights(model), *_of_types(model)]
    if contract is not None:
        findings += _of_contract(graph, contract)
    prepared = {name for node in prologue(model) for name in node.output}
    constants = _constants(graph)
    functions = {(function.domain, function.name) for function in model.functions}
    for node in graph.node:
        if not set(node.output) & prepared:
            findings += _of_node(node, constants, functions)
    return findings


def has_external_data(model: onnx.ModelProto) -> bool:
    """Whether a tensor of the graph, its subgraphs or functions names another file."""
    return any(t.data_location == onnx.TensorProto.EXTERNAL for _, t in _tensors(model))


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """These nodes and those of their subgraphs."""
    for node in nodes:
        yield node
        for graph in _subgraphs(node):
            yield from _nodes(graph.node)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from _nodes(model.graph.node)
    for function in model.functions:
        yield from _nodes(function.node)


def _tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Every constant of a model by its name: initialisers and Constant nodes, subgraphs' too."""
    graphs = [model.graph, *(g for node in _all_nodes(model) for g in _subgraphs(node))]
    for graph in graphs:
        yield from ((tensor.name, tensor) for tensor in graph.initializer)
        for sparse in graph.sparse_initializer:
            yield sparse.values.name, sparse.values
            yield sparse.values.name, sparse.indices
    for node in _all_nodes(model):
        where = next(iter(node.output), node.name)
        for attribute in node.attribute:
            for tensor in (attribute.t, *attribute.tensors):
                if tensor.ByteSize():
                    yield where, tensor
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                if sparse.ByteSize():
                    yield where, sparse.values
                    yield where, sparse.indices


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto | None]:
    """The values that do not depend on the image, with their tensor where there is one."""
    found: dict[str, onnx.TensorProto | None] = {t.name: t for t in graph.initializer}
    found |= {sparse.values.name: None for sparse in graph.sparse_initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            tensor = next((a.t for a in node.attribute if a.name == "value"), None)
            found |= dict.fromkeys(node.output, tensor)
        elif node.op_type == "Identity" and set(node.input) <= found.keys():
            # torch writes it for a parameter that two layers share.
            found |= {name: found[node.input[0]] for name in node.output if node.input}
    return found


def _of_graph(model: onnx.ModelProto) -> Iterator[LintFinding]:
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset not in OPSETS:
        yield LintFinding(
            "graph", f"opset {opset}", f"export with opset {OPSETS[0]} to {OPSETS[-1]}"
        )
    names = Counter(node.name for node in model.graph.node)
    if any(not name or count > 1 for name, count in names.items()):
        # The quantiser leaves the prologue out, and the parser cuts it off, by the nodes' names.
        yield LintFinding(
            "graph", "nodes without a name of their own", "name each node differently"
        )
    constants = _constants(model.graph)
    computed = [node for node in model.graph.node if not set(node.output) <= constants.keys()]
    if len(computed) == len(prologue(model)):
        yield LintFinding("graph", "no network", "export the network, not its preparation alone")
    for kind, values in (("inputs", image_inputs(model.graph)), ("outputs", model.graph.output)):
        if len(values) != 1:
            yield LintFinding("graph", f"{len(values)} {kind}", "a card model has one of each")


def _of_values(graph: onnx.GraphProto) -> Iterator[LintFinding]:
    for values, kinds, remedy, fits, shape in (
        (image_inputs(graph), (onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT),
         "a card model takes uint8 or float32", _is_image, "a card model takes one colour image"),
        (graph.output, (onnx.TensorProto.FLOAT,),
         "a card model gives float32", _is_vector, "a card model gives one vector"),
    ):  # fmt: skip
        for value in values:
            if not value.type.HasField("tensor_type"):
                yield LintFinding(value.name, "no tensor", remedy)
                continue
            kind, dims = value.type.tensor_type.elem_type, value.type.tensor_type.shape.dim
            if not dims or any(not d.HasField("dim_value") or d.dim_value < 1 for d in dims):
                yield LintFinding(value.name, "a dynamic shape", "export with a fixed batch of 1")
            elif len(values) == 1 and not fits([dim.dim_value for dim in dims]):
                found = f"shape {[dim.dim_value for dim in dims]}"
                yield LintFinding(value.name, found, shape)
            elif dims[0].dim_value != 1:
                found = f"a batch of {dims[0].dim_value}"
                yield LintFinding(value.name, found, "export with a fixed batch of 1")
            if kind in _WIDTHS:
                yield LintFinding(value.name, f"{_WIDTHS[kind]} floats", "export in float32")
            elif kind not in kinds:
                yield LintFinding(value.name, _type_name(kind), remedy)


def _is_image(shape: list[int]) -> bool:
    """Whether it is that of colour images, channels first or last."""
    return len(shape) == 4 and 3 in (shape[1], shape[3])


def _is_vector(shape: list[int]) -> bool:
    """Whether each image has one vector; a pool's output has two more axes, of length 1."""
    return len(shape) == 2 or (len(shape) == 4 and sorted(shape[1:])[:2] == [1, 1])


def _of_types(model: onnx.ModelProto) -> Iterator[LintFinding]:
    """One finding for each type, at the first place: a graph has one type in all its weights."""
    places: dict[tuple[str, str], list[str]] = {}
    for where, tensor in _tensors(model):
        if tensor.data_type in _WIDTHS:
            places.setdefault((_WIDTHS[tensor.data_type], "weights"), []).append(where)
    for node in _all_nodes(model):
        # Cast names its type "to", what makes numbers (EyeLike, RandomNormal …) "dtype".
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype") and attribute.i in _WIDTHS:
                where = node.name or node.op_type
                places.setdefault((_WIDTHS[attribute.i], "floats"), []).append(where)
    for (width, kind), names in places.items():
        count = f" in {len(names)} places" if len(names) > 1 else ""
        yield LintFinding(
            names[0], f"{width} {kind}{count}", "export in float32; the compiler rounds"
        )


def _of_weights(model: onnx.ModelProto) -> Iterator[LintFinding]:
    for sparse in model.graph.sparse_initializer:
        yield LintFinding(sparse.values.name, "sparse weights", "save them as dense tensors")
    for where, tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield LintFinding(where, "its values lie in another file", "save one file with all")
            return  # so do the others
        if tensor.data_type in _REALS:
            try:
                values = onnx.numpy_helper.to_array(tensor)
            except (ValueError, TypeError):
                yield LintFinding(where, "its values are not as many as its shape says",
                                  "export it again")  # fmt: skip
                continue
            if not np.isfinite(values).all():
                yield LintFinding(where, "a weight that is no number", "train it again")


def _of_contract(graph: onnx.GraphProto, contract: Contract) -> Iterator[LintFinding]:
    size = contract.size
    for values, kind, shape in (
        (image_inputs(graph), onnx.TensorProto.UINT8, [1, size, size, 3]),
        (graph.output, onnx.TensorProto.FLOAT, [1, contract.embedding_dim]),
    ):
        for value in values:
            found = value.type.tensor_type
            dims = [dim.dim_value for dim in found.shape.dim]
            if 0 not in dims and (found.elem_type, dims) != (kind, shape):
                yield LintFinding(
                    value.name,
                    f"{_type_name(found.elem_type)} {dims}",
                    f"the contract says {_type_name(kind)} {shape}",
                )


def _type_name(kind: int) -> str:
    known = kind in onnx.TensorProto.DataType.values()
    return onnx.TensorProto.DataType.Name(kind).lower() if known else f"element type {kind}"


def _of_node(
    node: onnx.NodeProto,
    constants: Mapping[str, onnx.TensorProto | None],
    functions: Collection[tuple[str, str]],
) -> Iterator[LintFinding]:
    where = node.name or node.op_type
    foreign = node.domain not in ("", "ai.onnx")
    operation = f"{node.domain}.{node.op_type}" if foreign else node.op_type
    if (node.domain, node.op_type) in functions:
        remedy = "inline the graph's functions (onnx.inliner)"
        yield LintFinding(where, f"operation {operation}", remedy)
    elif not foreign and _in_training_mode(node, constants):
        yield LintFinding(where, f"{operation} in training mode", _EVALUATION)
    elif node.op_type not in TAKEN or foreign:
        remedy = _REMEDIES.get(node.op_type, "replace it by operations that the chip has")
        yield LintFinding(where, f"operation {operation}", remedy)
    elif node.op_type in _WITH_WEIGHTS and not _weights_of(node) <= constants.keys():
        yield LintFinding(
            where, f"{node.op_type} by a computed value", "its weights must be constants"
        )
    elif (axes := _spatial_axes(node, constants)) not in (None, 2):
        remedy = "an image model works along height and width alone"
        yield LintFinding(where, f"{node.op_type} along {axes} spatial axes", remedy)
    elif node.op_type in ("Reshape", "Resize") and not set(node.input[1:]) - {""} <= set(constants):
        yield LintFinding(where, f"{node.op_type} to a computed shape", "give it a constant shape")


def _spatial_axes(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto | None]
) -> int | None:
    """Along how many axes a convolution or pool slides; None where that cannot be told."""
    if node.op_type not in _SLIDING:
        return None
    kernel = next((each.ints for each in node.attribute if each.name == "kernel_shape"), None)
    if kernel is not None:
        return len(kernel)
    weight = constants.get(node.input[1]) if len(node.input) > 1 else None
    return None if weight is None else len(weight.dims) - 2


def _weights_of(node: onnx.NodeProto) -> set[str]:
    # The bias of a Conv or Gemm may be computed, the statistics of a normalisation may not.
    return set(node.input[1:] if node.op_type == "BatchNormalization" else node.input[1:2])


def _in_training_mode(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto | None]
) -> bool:
    """Whether a node computes as in training: by the batch's statistics, or at random."""
    if node.op_type == "BatchNormalization":
        # Before opset 14, and with some exporters after it, further outputs are what says so.
        attribute = any(each.name == "training_mode" and each.i for each in node.attribute)
        return attribute or any(node.output[1:])
    if node.op_type != "Dropout" or not any(node.input[2:]):
        return False
    tensor = constants.get(node.input[2])
    if tensor is None:
        return True  # computed, so it may be
    try:
        return bool(onnx.numpy_helper.to_array(tensor).any())
    except (ValueError, TypeError):
        return True
