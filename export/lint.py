"""What the Hailo parser would refuse in a graph, before a person approves the model.

The list of operations is a judgement from Hailo's published model zoo (EfficientNet-Lite, ResNet,
MobileNet) and parser messages; the licensed compiler has not been run here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from export.graph import prologue

#: Operations of convolutional classifiers that Hailo's model zoo compiles for hailo8 and hailo8l.
TAKEN = frozenset(
    {"Conv", "Clip", "Relu", "LeakyRelu", "Sigmoid", "HardSwish", "Add", "Mul", "Concat"}
    | {"GlobalAveragePool", "AveragePool", "MaxPool", "ReduceMean", "Flatten", "Reshape"}
    | {"Gemm", "MatMul", "BatchNormalization", "Resize", "Softmax", "Identity", "Constant"}
)
OPSETS = range(11, 18)
_REMEDIES = {
    "Erf": "GELU is not taken: train with ReLU or ReLU6",
    "Gelu": "GELU is not taken: train with ReLU or ReLU6",
    "LayerNormalization": "use BatchNorm, which folds into the convolution",
    "ReduceL2": "leave the L2 norm to the host: return the embedding before it",
    "LpNormalization": "leave the L2 norm to the host: return the embedding before it",
}


@dataclass(frozen=True)
class Finding:
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


def lint(model: onnx.ModelProto) -> list[Finding]:
    """Everything that the Hailo parser is expected to refuse; empty where nothing is."""
    return list(_findings(model))


def _findings(model: onnx.ModelProto) -> Iterator[Finding]:
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset not in OPSETS:
        yield Finding("graph", f"opset {opset}", f"export with opset {OPSETS[0]} to {OPSETS[-1]}")
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if not dims or any(not dim.HasField("dim_value") or dim.dim_value < 1 for dim in dims):
            yield Finding(value.name, "a dynamic shape", "export with a fixed batch of 1")
    nodes = list(model.graph.node)
    names = Counter(node.name for node in nodes)
    if any(not name or count > 1 for name, count in names.items()):
        # The quantiser leaves the prologue out, and the parser cuts it off, by the nodes' names.
        yield Finding("graph", "nodes without a name of their own", "name each node differently")
    behind = nodes[len(prologue(model)) :]
    if not behind:
        yield Finding("graph", "no network", "export the network, not its preparation alone")
    for node in behind:
        foreign = node.domain not in ("", "ai.onnx")
        if node.op_type not in TAKEN or foreign:
            operation = f"{node.domain}.{node.op_type}" if foreign else node.op_type
            remedy = _REMEDIES.get(node.op_type, "replace it by operations that the chip has")
            yield Finding(node.name or node.op_type, f"operation {operation}", remedy)
