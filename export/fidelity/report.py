"""``fidelity.json``: the gate's result, with the views that moved most as pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from export.calibration import CalibrationRecord, Pixels
from export.fidelity.gate import GateResult
from export.fidelity.gate_images import GateImages
from registry.weight_origins import WeightOrigin

_THUMBNAIL = (66, 92)


def fidelity_report(
    fidelity: GateResult,
    gate_images: GateImages,
    calibration: CalibrationRecord,
    requested: int,
    advised: int,
    trained_top1: float,
    weights: Sequence[WeightOrigin] = (),
) -> dict[str, Any]:
    """The form of ``fidelity.json``: the verdict, each figure, and the worst views as pictures.

    Args:
        fidelity: The gate's result.
        gate_images: The images that it was measured on.
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
    scan_of: dict[str, int] = {}
    for row, card_id in enumerate(gate_images.gallery.card_ids):
        scan_of.setdefault(card_id, row)
    for case in report["worst"]:
        case["view"] = thumbnail(gate_images.queries.image(case["query"]))
        case["scan"] = thumbnail(gate_images.gallery.image(scan_of[case["card_id"]]))
    return report


def thumbnail(image: Pixels) -> str:
    """A uint8 (S, S, 3) image in a card's proportion, as a ``data:`` address of a JPEG."""
    small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    stream = io.BytesIO()
    Image.fromarray(np.asarray(small, dtype=np.uint8)).save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
