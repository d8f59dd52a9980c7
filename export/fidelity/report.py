"""The gate's result for people: ``fidelity.json`` with pictures, and the same as an HTML page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from export.calibration import CalibrationRecord, Pixels
from export.fidelity.gate import GateResult
from export.fidelity.gate_images import GateImages
from registry.untrusted.text import html_text
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


def fidelity_page(report: Mapping[str, Any], name: str, model: str) -> str:
    """The report as one HTML page that needs no other file.

    Args:
        report: Of :func:`fidelity_report`.
        name: The student's name.
        model: The compiled model's file.
    """
    passed = report["verdict"] == "passed"
    reasons = "".join(f"<li>{html_text(reason)}</li>" for reason in report["reasons"])
    thresholds = report["thresholds"]
    figures = "".join(
        f"<tr><td>{html_text(key)}</td><td>{_number(value)}</td></tr>"
        for key, value in sorted(report["figures"].items())
    )
    limits = "".join(
        f"<tr><td>{html_text(key)}</td><td>{_number(value)}</td></tr>"
        for key, value in sorted(thresholds.items())
    )
    worst = "".join(
        f"<figure><img alt='camera view' src='{html_text(case['view'])}'>"
        f"<img alt='scan' src='{html_text(case['scan'])}'>"
        f"<figcaption>{html_text(case['card_id'])}<br>cosine {case['cosine']:.4f}</figcaption>"
        "</figure>"
        for case in report["worst"]
    )
    weights = "".join(
        f"<tr><td>{html_text(row['name'])}<br>{html_text(row['sha256'][:16])}…</td>"
        f"<td>{html_text(row['licence'])}</td></tr>"
        for row in report["weights"]
    )
    descent = f"<h2>Descends from</h2><table>{weights}</table>" if weights else ""
    calibration = report["calibration"]
    warning = f" ({html_text(calibration['warning'])})" if calibration["warning"] else ""
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{html_text(name)}: {report["verdict"]}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1e2026; margin: 2rem auto; max-width: 60rem }}
h1 span {{ color: {"#1c8448" if passed else "#be282c"} }}
.tables {{ display: flex; flex-wrap: wrap; gap: 3rem }}
td {{ padding: .1rem 1rem .1rem 0; border-bottom: 1px solid #e4e4e0 }}
td + td {{ text-align: right; font-variant-numeric: tabular-nums }}
figure {{ display: inline-block; margin: 0 1rem 1rem 0; width: 150px; font-size: 12px }}
figure img {{ margin-right: 4px; border-radius: 3px }}
figcaption {{ overflow-wrap: anywhere }}
</style>
<h1>{html_text(name)}: <span>{report["verdict"]}</span></h1>
<p>{html_text(model)} against PyTorch and ONNX, on views that nothing was trained or calibrated
on.</p>
<ul>{reasons}</ul>
<div class="tables">
<div><h2>Figures</h2><table>{figures}</table></div>
<div><h2>Limits</h2><table>{limits}</table>
<h2>Calibration</h2><p>{calibration["images"]} images{warning}<br>
mean {_three(calibration["mean"])}, deviation {_three(calibration["std"])} of 255<br>
SHA-256 {html_text(calibration["sha256"][:16])}…</p>
{descent}</div>
</div>
<h2>The views that the compiled model moved most</h2>
<p>Left the camera view, right the scan.</p>
{worst}
</html>
"""


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.5g}"


def _three(values: Any) -> str:
    return ", ".join(f"{value:.1f}" for value in values)
