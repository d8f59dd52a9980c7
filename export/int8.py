"""INT8 by ONNX Runtime: an 'INT8 ONNX' build, never a HEF and never Hailo's accuracy.

QDQ, unsigned 8-bit activations (per tensor, asymmetric), signed weights of seven bits per channel
(https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).

Seven bits, so that every processor gives the same answers. Without VNNI, x86 adds two products of
an activation and a weight in 16 bits (``VPMADDUBSW``), which saturates: 2 * 255 * 127 is more than
32,767, and 2 * 255 * 64 is less. The demo's student with eight bits had a mean cosine of .998 to
its float graph on a processor with exact sums and .935 on one with AVX2 alone (``docs/export.md``).
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from export.calibration import Pixels, Recorder
from export.compiler import CompiledModel, CompileError
from export.deadline import Deadline
from export.graphs.graph import image_inputs, prologue
from recognition.atomic_files import atomic_file
from recognition.onnx_model import OnnxEmbedder
from registry.compilers import ONNX_INT8
from registry.contract import Contract

FILE = ONNX_INT8.model_file


@dataclass(frozen=True)
class Scheme:
    """How value ranges are found and rounded; the default measured best (``docs/export.md``).

    Attributes:
        calibrator: From the extremes that were seen, a percentile of the values, or the range
            that loses least information.
        per_channel: Weights have a scale for each output channel instead of one a layer.
        seven_bit_weights: Weights are in -64 to 64, which no processor's sums saturate.
        activations: Type of the values between layers.
        options: More of ONNX Runtime's ``extra_options``.
    """

    calibrator: CalibrationMethod = CalibrationMethod.MinMax
    per_channel: bool = True
    seven_bit_weights: bool = True
    activations: QuantType = QuantType.QUInt8
    options: Mapping[str, Any] = field(default_factory=dict)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands images to the calibrator one by one, and records those that it took."""

    def __init__(self, name: str, images: Pixels) -> None:
        self._name = name
        self._rest = iter(images)
        self.shown = Recorder()

    def get_next(self) -> dict[str, Any] | None:
        """The next image, or None at the end."""
        image = next(self._rest, None)
        if image is None:
            return None
        batch = np.ascontiguousarray(image[None])
        self.shown.add(batch)
        return {self._name: batch}


class OnnxInt8:
    """ONNX Runtime's static quantiser as a compiler."""

    name = ONNX_INT8.name

    def __init__(self, scheme: Scheme | None = None) -> None:
        self._scheme = scheme or Scheme()

    @classmethod
    def for_job(cls, deadline: Deadline) -> OnnxInt8:
        """The compiler as the compile job uses it; it takes minutes and needs no deadline."""
        return cls()

    def compile(
        self, model: Path, calibration: Pixels, contract: Contract, output_folder: Path
    ) -> CompiledModel:
        """Quantises the shipped graph; the preparation of the image stays in floating point."""
        wanted = (contract.size, contract.size, 3)
        if calibration.dtype != np.uint8 or calibration.shape[1:] != wanted or not len(calibration):
            raise CompileError(
                f"calibration images are {calibration.dtype} {calibration.shape}, the contract "
                f"says uint8 {('N', *wanted)} with N of at least 1"
            )
        graph = onnx.load(model, load_external_data=False)
        reader = _Reader(image_inputs(graph.graph)[0].name, calibration)
        target = output_folder / FILE
        # It advises a preparation that the export has done already.
        logging.getLogger().setLevel(logging.ERROR)
        with atomic_file(target) as partial:
            quantize_static(
                graph,
                str(partial),
                reader,
                quant_format=QuantFormat.QDQ,
                activation_type=self._scheme.activations,
                weight_type=QuantType.QInt8,
                per_channel=self._scheme.per_channel,
                reduce_range=self._scheme.seven_bit_weights,
                calibrate_method=self._scheme.calibrator,
                nodes_to_exclude=[node.name for node in prologue(graph)],
                extra_options={
                    "ActivationSymmetric": False,
                    "WeightSymmetric": True,
                    **self._scheme.options,
                },
            )
        return CompiledModel(
            path=target,
            stage=ONNX_INT8.stage,
            toolchain={name: importlib.metadata.version(name) for name in ("onnxruntime", "onnx")},
            calibration=reader.shown.record(),
            notes=("INT8 by ONNX Runtime; not a HEF, and its accuracy is not Hailo's",),
        )

    def embedder(self, compiled: CompiledModel, contract: Contract) -> OnnxEmbedder:
        """Runs the quantised graph."""
        return OnnxEmbedder(compiled.path, contract, threads=os.cpu_count() or 1)

    def before_quantisation(self, compiled: CompiledModel, contract: Contract) -> None:
        """It quantises the ONNX graph itself: there is nothing in between."""
