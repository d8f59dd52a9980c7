"""Whether ONNX Runtime loads a graph: it refuses types and operations that it has no code for."""

from __future__ import annotations

import onnx
import onnxruntime

from export.graphs.lint import LintFinding, has_external_data
from registry.untrusted.text import printable

_LONGEST = 200
_FATAL = 4


def runtime_findings(model: onnx.ModelProto) -> list[LintFinding]:
    """What ONNX Runtime refuses in a graph; empty where it loads.

    A device's CPU, the INT8 build and the fidelity gate run the graph by ONNX Runtime, with the
    same settings as here. Weights in another file are not looked at: a graph must not name files
    to read, and the lint reports them.

    Args:
        model: A graph as it ships.
    """
    if has_external_data(model):
        return []
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    try:
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        cause = printable(" ".join(str(error).split()))[:_LONGEST]
        return [
            LintFinding(
                "graph",
                f"ONNX Runtime cannot run it ({cause})",
                "export in float32, in evaluation mode, with standard operations",
            )
        ]
    return []
