"""Which runtime runs a model, and which version of it is here."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING

from registry.compilers import compiler_of_file
from registry.contract import Contract

if TYPE_CHECKING:
    from recognition.embedding_model import EmbeddingModel

ONNX_RUNTIME, HAILO_RUNTIME = "ONNX Runtime", "HailoRT"
#: Cores for the model on the processor; as many as there are by default.
THREADS_VARIABLE = "CARDS_EDGE_THREADS"


def runtime_of(model_file: str) -> str:
    """The runtime that runs a model, by the ending of its file."""
    kind = compiler_of_file(model_file)
    return HAILO_RUNTIME if kind and not kind.runs_on_onnx_runtime else ONNX_RUNTIME


def runtime_version(runtime: str) -> str:
    """Name and version of a runtime as it is installed, for example ``ONNX Runtime 1.32.0``."""
    if runtime == HAILO_RUNTIME:
        try:
            import hailo_platform  # the system's packages bring it

            return f"{runtime} {hailo_platform.__version__}"
        except (ImportError, AttributeError):
            return f"{runtime} missing"
    try:
        return f"{runtime} {importlib.metadata.version('onnxruntime')}"
    except importlib.metadata.PackageNotFoundError:
        return f"{runtime} missing"


def threads() -> int:
    """Cores for the model on the processor."""
    given = os.environ.get(THREADS_VARIABLE, "")
    return int(given) if given.isdecimal() and int(given) else os.cpu_count() or 1


def load_model(model: Path, contract: Contract) -> EmbeddingModel:
    """Loads a model on its runtime.

    Raises:
        OnnxModelError: ONNX Runtime refuses it.
        HailoError: HailoRT or the chip refuses it.
    """
    if runtime_of(model.name) == HAILO_RUNTIME:
        from edge.runtimes.hailo import HailoEmbedder

        return HailoEmbedder(model, contract)
    from recognition.onnx_model import OnnxEmbedder

    return OnnxEmbedder(model, contract, threads(), parallel="operators")
