"""The shipped graph's twin for servers, which takes many images at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from export.calibration import Pixels
from export.compiler import CompileError
from export.graphs.graph import batched
from recognition.atomic_files import atomic_file

FILE = "model.batch.onnx"
#: Of values of embeddings before their norm; runtimes add up in another order.
_TOLERANCE = 1e-3


def write_batch_graph(graph: onnx.ModelProto, images: Pixels, path: Path) -> Path:
    """Writes the twin, once it gives for a batch what the graph gives for each image.

    Args:
        graph: The shipped graph.
        images: uint8 (N, S, S, 3), two or more.
        path: The file to write.

    Raises:
        CompileError: An operation has the batch written into it, or the two differ.
    """
    try:
        twin = batched(graph)
    except ValueError as error:
        raise CompileError(
            f"model.onnx: no graph for batches can be made of it ({error})"
        ) from None
    one, many = _session(graph), _session(twin)
    name = twin.graph.input[0].name
    singly = np.concatenate(
        [one.run(None, {name: images[row : row + 1]})[0] for row in range(len(images))]
    )
    together = many.run(None, {name: np.ascontiguousarray(images)})[0]
    difference = np.abs(singly - together).max() / max(1.0, float(np.abs(singly).max()))
    if together.shape != singly.shape or not difference <= _TOLERANCE:
        raise CompileError(
            f"{path.name}: a batch of {len(images)} differs from the same images one by one "
            f"(by {difference:.2g}); nothing was written"
        )
    with atomic_file(path) as partial:
        partial.write_bytes(twin.SerializeToString())
    return path


def _session(graph: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
