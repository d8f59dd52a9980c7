"""What the fidelity gate requires: the thresholds of compile settings, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.compilation.gate_thresholds import GateThresholds


class GateError(ValueError):
    """Inputs that do not belong together, so that nothing can be judged."""


@dataclass(frozen=True)
class Thresholds(GateThresholds):
    """All thresholds of the gate: those that a deployment chooses, and two that it does not.

    Attributes:
        spread: Least mean distance (1 - cosine) between two cards' embeddings.
        distinct: Least number of different embeddings in the gallery, as a share of those that
            ONNX gives it (two prints of one picture may share one in both).
    """

    spread: float = 1e-4
    distinct: float = 0.99

    @classmethod
    def from_settings(cls, gate: Mapping[str, Any]) -> Thresholds:
        """Reads ``gate`` of the compile settings.

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
