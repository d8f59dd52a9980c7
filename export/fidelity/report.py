"""``fidelity.json``: the gate's result for machines; its page is :mod:`export.fidelity.page`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from export.calibration import CalibrationRecord
from export.fidelity.gate import GateResult
from registry.weight_origins import WeightOrigin


def fidelity_report(
    fidelity: GateResult,
    calibration: CalibrationRecord,
    requested: int,
    advised: int,
    trained_top1: float,
    weights: Sequence[WeightOrigin] = (),
) -> dict[str, Any]:
    """The form of ``fidelity.json``: the verdict, each figure, and the views that moved most.

    Args:
        fidelity: The gate's result.
        calibration: Statistics of the images that the quantiser saw.
        requested: How many images the compile settings asked for.
        advised: How many the compiler should have; fewer are worth a warning.
        trained_top1: What the training job measured with PyTorch.
        weights: Published weights that the student descends from.
    """
    report = fidelity.to_dict()
    report["figures"] |= {"pytorch_top1": trained_top1}
    few = calibration.images < advised
    report["calibration"] = {
        **calibration.to_dict(),
        "requested": requested,
        "warning": f"fewer than the {advised} images that are advised" if few else None,
    }
    report["weights"] = [origin.to_dict() for origin in weights]
    return report
