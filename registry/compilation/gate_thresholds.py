"""What the fidelity gate requires where a deployment says nothing else.

The one place of these numbers: the deployment's settings, the gate itself and the check after the
ONNX export read them from here; ``cdk.json`` and ``docs/export.md`` show them, and tests compare.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: Keys of a threshold's metadata: the lowest and the highest value that a setting may have.
LOW, HIGH = "low", "high"


def _threshold(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={LOW: low, HIGH: high})


@dataclass(frozen=True)
class GateThresholds:
    """The thresholds that a deployment may choose (``cards.compile.gate``).

    Attributes:
        onnx_cosine_mean: Least mean cosine of ONNX to PyTorch embeddings of the same views.
        optimised_cosine_mean: The same of the compiler's graph before quantisation to ONNX, where
            the compiler can run it.
        cosine_mean: The same of the compiled model to ONNX.
        cosine_p5: Least fifth percentile of that cosine.
        card_cosine: Least mean of that cosine over the views of any one card.
        top1_drop: How far top-1 may fall, as a fraction of the queries, beyond the sampling error.
        auroc_drop: How far the AUROC of known against unknown cards may fall.
        pixel_shift: How far the calibration images' mean and deviation, by channel, may be from
            the query views', of 255.
        roughness_ratio: How many times rougher or smoother than the query views they may be.
    """

    onnx_cosine_mean: float = _threshold(0.9999, -1, 1)
    optimised_cosine_mean: float = _threshold(0.999, -1, 1)
    cosine_mean: float = _threshold(0.99, -1, 1)
    cosine_p5: float = _threshold(0.98, -1, 1)
    card_cosine: float = _threshold(0.9, -1, 1)
    top1_drop: float = _threshold(0.005, 0, 1)
    auroc_drop: float = _threshold(0.01, 0, 1)
    pixel_shift: float = _threshold(12.0, 0, 255)
    roughness_ratio: float = _threshold(1.5, 1, 100)
