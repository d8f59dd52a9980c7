"""What the Hailo parser would refuse in a graph, before a person approves the model.

The list of operations is a judgement from Hailo's published model zoo (EfficientNet-Lite, ResNet,
MobileNet) and parser messages; the licensed compiler has not been run here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from export.graph import prologue
from registry.contract import Contract

#: Operations of convolutional classifiers that Hailo's model zoo compiles for hailo8 and hailo8l.
TAKEN = frozenset(
    {"Conv", "Clip", "Relu", "LeakyRelu", "Sigmoid", "HardSwish", "Add", "Mul", "Concat"}
    | {"GlobalAveragePool", "AveragePool", "MaxPool", "ReduceMean", "Flatten", "Reshape"}
    | {"Gemm", "MatMul", "BatchNormalization", "Resize", "Softmax", "Identity", "Constant"}
)
OPSETS = range(11, 18)
_WITH_WEIGHTS = frozenset({"Conv", "Gemm", "MatMul"})
_HALVES = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
_REALS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
_REMEDIES = {
    "Erf": "GELU is not taken: train with ReLU or ReLU6",
    "Gelu": "GELU is not taken: train with ReLU or ReLU6",
    "LayerNormalization": "use BatchNorm, which folds into the convolution",
    "ReduceL2": "leave the L2 norm to the host: return the embedding before it",
    "LpNormalization": "leave the L2 norm to the host: return the embedding before it",
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
    findings = [*_of_graph(model), *_of_values(graph), *_of_weights(graph)]
    if contract is not None:
        findings += _of_contract(graph, contract)
    prepared = len(prologue(model))
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {name for n in graph.node if n.op_type == "Constant" for name in n.output}
    for node in list(graph.node)[prepared:]:
        findings += _of_node(node, constants)
    return findings


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
    if len(model.graph.node) == len(prologue(model)):
        yield LintFinding("graph", "no network", "export the network, not its preparation alone")
    for what, values in (("inputs", model.graph.input), ("outputs", model.graph.output)):
        if len(values) != 1:
            yield LintFinding("graph", f"{len(values)} {what}", "a card model has one of each")


def _of_values(graph: onnx.GraphProto) -> Iterator[LintFinding]:
    for value in (*graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if not dims or any(not dim.HasField("dim_value") or dim.dim_value < 1 for dim in dims):
            yield LintFinding(value.name, "a dynamic shape", "export with a fixed batch of 1")


def _of_weights(graph: onnx.GraphProto) -> Iterator[LintFinding]:
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield LintFinding(
                tensor.name, "its values lie in another file", "save one file with all"
            )
            return  # so do the others
        if tensor.data_type in _HALVES:
            yield LintFinding(
                tensor.name, "16-bit weights", "export in float32; the compiler rounds"
            )
        elif tensor.data_type in _REALS:
            try:
                values = onnx.numpy_helper.to_array(tensor)
            except (ValueError, TypeError):
                yield LintFinding(tensor.name, "its values are not as many as its shape says",
                              "export it again")  # fmt: skip
                continue
            if not np.isfinite(values).all():
                yield LintFinding(tensor.name, "a weight that is no number", "train it again")


def _of_contract(graph: onnx.GraphProto, contract: Contract) -> Iterator[LintFinding]:
    size = contract.size
    for values, kind, shape in (
        (graph.input, onnx.TensorProto.UINT8, [1, size, size, 3]),
        (graph.output, onnx.TensorProto.FLOAT, [1, contract.embedding_dim]),
    ):
        for value in values:
            found = value.type.tensor_type
            dims = [dim.dim_value for dim in found.shape.dim]
            if 0 not in dims and (found.elem_type, dims) != (kind, shape):
                names = onnx.TensorProto.DataType
                yield LintFinding(
                    value.name,
                    f"{names.Name(found.elem_type).lower()} {dims}",
                    f"the contract says {names.Name(kind).lower()} {shape}",
                )


def _of_node(node: onnx.NodeProto, constants: set[str]) -> Iterator[LintFinding]:
    where = node.name or node.op_type
    foreign = node.domain not in ("", "ai.onnx")
    if node.op_type not in TAKEN or foreign:
        operation = f"{node.domain}.{node.op_type}" if foreign else node.op_type
        remedy = _REMEDIES.get(node.op_type, "replace it by operations that the chip has")
        yield LintFinding(where, f"operation {operation}", remedy)
    elif node.op_type in _WITH_WEIGHTS and not set(node.input[1:2]) <= constants:
        yield LintFinding(
            where, f"{node.op_type} by a computed value", "its weights must be constants"
        )
    elif node.op_type in ("Reshape", "Resize") and not set(node.input[1:]) - {""} <= constants:
        yield LintFinding(where, f"{node.op_type} to a computed shape", "give it a constant shape")
