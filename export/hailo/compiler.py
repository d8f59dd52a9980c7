"""Hailo's Dataflow Compiler (DFC 3.x) as a compiler.

Not yet run against the real compiler, which is licensed and in no registry: the calls follow its
published interface (hailo_model_zoo v2.18) and are tested against a stand-in that refuses what the
real one refuses.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.array_file import ArrayFileError, read_array
from export.calibration import CalibrationRecord, Pixels, require_images
from export.compiler import CompiledModel, CompileError
from export.deadline import Deadline
from export.graphs.graph import network
from export.graphs.lint import lint
from export.hailo.process import run_worker
from export.hailo.script import has_gpu, model_script, optimisation_level, used_level
from export.hailo.worker import EMBEDDINGS, HAR, HEF, IMAGES, SDK, SHOWN, VERSION
from recognition.atomic_files import atomic_file
from recognition.hef import HefError, read_hef, require_card_model
from recognition.search.gallery import l2_normalise
from registry.compilers import HAILO
from registry.contract import Contract

ARCHITECTURE = HAILO.stage
LOG = "compile.log"
#: A step that says nothing is still reported on so often.
HEARTBEAT_SECONDS = 60.0


class Hailo:
    """The Dataflow Compiler: parse, optimise, quantise with normalisation on the chip, compile.

    Args:
        deadline: When the compiler is stopped, whatever it does then.
        heartbeat_seconds: How often a long step is reported on.
    """

    name = HAILO.name

    def __init__(self, deadline: Deadline, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._deadline, self._heartbeat = deadline, heartbeat_seconds

    @classmethod
    def for_job(cls, deadline: Deadline) -> Hailo:
        """The compiler as the compile job uses it."""
        return cls(deadline)

    def compile(
        self, model: Path, calibration: Pixels, contract: Contract, output_folder: Path
    ) -> CompiledModel:
        """Compiles the network behind the preparation of the image; leaves HEF, HAR and log."""
        require_images(calibration)
        graph = onnx.load(model, load_external_data=False)
        findings = lint(graph)
        if findings:
            raise CompileError(f"{model.name}: {'; '.join(map(str, findings))}")
        level = optimisation_level(len(calibration), has_gpu())
        (output_folder / LOG).unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix="cards-hailo-") as scratch:
            folder = Path(scratch)
            request = _request(graph, calibration, contract, level, folder)
            log = run_worker(request, output_folder / LOG, self._deadline, self._heartbeat)
            try:
                hef = require_card_model(read_hef(folder / HEF), contract)
            except HefError as error:
                raise CompileError(f"the compiler's own output: {error}") from error
            for name in (HEF, HAR):
                with atomic_file(output_folder / name) as partial:
                    shutil.copyfile(folder / name, partial)
            version = (folder / VERSION).read_text(encoding="utf-8")
            shown = CalibrationRecord.from_dict(json.loads((folder / SHOWN).read_text("utf-8")))
        used = used_level(level, log)
        notes = [f"optimisation level {used}"]
        if used < level:
            notes.append(f"the compiler reduced the optimisation level from {level} to {used}")
        return CompiledModel(
            path=output_folder / HEF,
            stage=ARCHITECTURE,
            toolchain={SDK: version, "hef_sdk": hef.sdk_version, "optimisation_level": str(used)},
            calibration=shown,
            notes=tuple(notes),
            companions=(HAR, LOG),
        )

    def embedder(self, compiled: CompiledModel, contract: Contract) -> Emulator:
        """Runs the quantised model in the compiler's emulator, as the chip would."""
        return self._emulator(compiled, "SDK_QUANTIZED")

    def before_quantisation(self, compiled: CompiledModel, contract: Contract) -> Emulator:
        """Runs the graph as the compiler optimised it, in full precision."""
        return self._emulator(compiled, "SDK_FP_OPTIMIZED")

    def _emulator(self, compiled: CompiledModel, mode: str) -> Emulator:
        har = compiled.path.with_name(HAR)
        return Emulator(har, mode, self._deadline, self._heartbeat)


class Emulator:
    """The compiler's emulation of a network, in the compiler's process.

    Args:
        har: The archive that the compiler left, its log beside it.
        mode: Name of its ``InferenceContext``: before quantisation, or after.
        deadline: As the compiler's.
        heartbeat_seconds: As the compiler's.

    Raises:
        CompileError: The archive is not there: the emulator runs in the job that compiled.
    """

    def __init__(self, har: Path, mode: str, deadline: Deadline, heartbeat_seconds: float) -> None:
        if not har.is_file():
            raise CompileError(
                f"{har.name} is missing: the Hailo emulator runs a model in the job that "
                "compiled it"
            )
        self._har, self._mode = har, mode
        self._deadline, self._heartbeat = deadline, heartbeat_seconds

    def embed(self, images: Pixels) -> NDArray[np.float32]:
        """uint8 (N, S, S, 3) to float32 (N, D), rows of length 1.

        Raises:
            CompileError: The emulator fails, or gives what is no embedding.
        """
        with tempfile.TemporaryDirectory(prefix="cards-hailo-") as scratch:
            folder = Path(scratch)
            np.save(folder / IMAGES, images, allow_pickle=False)
            request = {
                "task": "embed",
                "har": str(self._har),
                "mode": self._mode,
                "folder": str(folder),
            }
            run_worker(request, self._har.with_name(LOG), self._deadline, self._heartbeat)
            try:
                answer: NDArray[np.float32] = read_array(
                    folder / EMBEDDINGS, np.float32, (len(images), None)
                )
            except ArrayFileError as error:
                raise CompileError(f"the emulator's answer: {error}; see {LOG}") from None
        try:
            return l2_normalise(answer)
        except ValueError as error:
            raise CompileError(
                f"{self._har.name} ({self._mode}): {error}; the compiled network is of no use, see "
                f"{LOG} and calibrate with more of the contract's images"
            ) from None


def _request(
    graph: onnx.ModelProto, calibration: Pixels, contract: Contract, level: int, folder: Path
) -> dict[str, Any]:
    """What the worker needs, its files written."""
    try:
        cut = network(graph)
    except ValueError as error:
        raise CompileError(
            f"the graph cannot be cut for the parser: {error}; export it again"
        ) from None
    onnx.save(cut, folder / "network.onnx")
    np.save(folder / "calibration.npy", calibration, allow_pickle=False)
    return {
        "task": "compile",
        "architecture": ARCHITECTURE,
        "network": str(folder / "network.onnx"),
        "start": cut.graph.input[0].name,
        "end": cut.graph.node[-1].name,
        "shape": [1, 3, contract.size, contract.size],
        "script": model_script(contract, len(calibration), level),
        "calibration": str(folder / "calibration.npy"),
        "folder": str(folder),
    }
