"""What the fidelity gate requires; the deployment's settings may say otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class GateError(ValueError):
    """Inputs that do not belong together, so that nothing can be judged."""


@dataclass(frozen=True)
class Thresholds:
    """What must be reached. A recipe may say all of them; a deployment's settings say all but
    ``spread`` and ``distinct``.

    Attributes:
        onnx_cosine_mean: Mean cosine of ONNX to PyTorch.
        optimised_cosine_mean: Mean cosine of the compiler's graph before quantisation to ONNX,
            where the compiler can run it.
        cosine_mean: Mean cosine of the compiled model to ONNX.
        cosine_p5: Its fifth percentile.
        card_cosine: Least mean cosine over the views of any one card.
        top1_drop: How far top-1 may fall, as a fraction, beyond the chance in the sample.
        auroc_drop: How far the AUROC of known against unknown cards may fall.
        spread: Least mean distance (1 - cosine) between two cards' embeddings.
        distinct: Least number of different embeddings in the gallery, as a share of those that
            ONNX gives it (two prints of one picture may share one in both).
        pixel_shift: How far mean and deviation of the calibration images, by channel, may be
            from those of the query views, of 255.
        roughness_ratio: How many times rougher or smoother than the query views they may be.
    """

    onnx_cosine_mean: float = 0.9999
    optimised_cosine_mean: float = 0.999
    cosine_mean: float = 0.99
    cosine_p5: float = 0.98
    card_cosine: float = 0.9
    top1_drop: float = 0.005
    auroc_drop: float = 0.01
    spread: float = 1e-4
    distinct: float = 0.99
    pixel_shift: float = 12.0
    roughness_ratio: float = 1.5

    @classmethod
    def from_recipe(cls, gate: Mapping[str, Any]) -> Thresholds:
        """Reads the recipe's ``gate``.

        Raises:
            GateError: A key that is no threshold, or a value that is no number.
        """
        known = set(cls.__dataclass_fields__)
        unknown = sorted(set(gate) - known)
        if unknown:
            raise GateError(f"gate: {', '.join(unknown)} is none of {', '.join(sorted(known))}")
        values = {}
        for key, value in gate.items():
            try:
                values[key] = float(value)
            except (TypeError, ValueError):
                values[key] = math.nan
            if not math.isfinite(values[key]):  # every comparison with NaN would pass or fail
                raise GateError(f"gate: {key} is {value!r}, must be a number")
        return cls(**values)
