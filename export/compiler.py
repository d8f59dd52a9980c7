"""The interface of a compiler: what it is given, what it makes, how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from export.calibration import CalibrationRecord, Pixels
from export.deadline import Deadline
from recognition.embedding_model import EmbeddingModel
from registry.contract import Contract


class CompileError(RuntimeError):
    """A model that a compiler refuses; one line with the cause and the remedy."""


class CompileFault(CompileError):
    """A failure of the machine and not of the model; a retry may succeed."""


@dataclass(frozen=True)
class CompiledModel:
    """What a compiler made.

    Attributes:
        path: The file that ships.
        stage: Of the name of the version that it becomes.
        toolchain: Version by tool.
        calibration: Statistics of the images that the quantiser saw.
        notes: Remarks for the report.
        companions: Names of files beside it that the registry keeps with it.
    """

    path: Path
    stage: str
    toolchain: dict[str, str]
    calibration: CalibrationRecord
    notes: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()


class Compiler(Protocol):
    """A compiler for the device."""

    name: str

    @classmethod
    def for_job(cls, deadline: Deadline) -> Compiler:
        """The compiler as the compile job uses it.

        Args:
            deadline: When its long steps must end.
        """
        ...

    def compile(
        self, model: Path, calibration: Pixels, contract: Contract, output_folder: Path
    ) -> CompiledModel:
        """Compiles the shipped ONNX graph.

        Args:
            model: The graph that takes uint8 NHWC.
            calibration: uint8 (N, S, S, 3), made by the contract.
            contract: The preprocessing.
            output_folder: Folder for the result.

        Raises:
            CompileError: The compiler refuses the model, or is not there.
        """
        ...

    def embedder(self, compiled: CompiledModel, contract: Contract) -> EmbeddingModel:
        """Loads the compiled model so that it can embed images."""
        ...

    def before_quantisation(
        self, compiled: CompiledModel, contract: Contract
    ) -> EmbeddingModel | None:
        """The same for the compiler's graph before quantisation; None if it cannot be run."""
        ...
