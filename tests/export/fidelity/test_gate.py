"""The gate passes what is the same model, and stops each mistake that was ever made."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.calibration import CalibrationRecord, record, tints
from export.fidelity.gate import Embeddings, GateInputs, apply_gate
from export.fidelity.thresholds import Thresholds
from export.int8 import OnnxInt8
from recognition.onnx_model import OnnxEmbedder
from recognition.views.camera import camera_views
from tests.export.conftest import CALIBRATION_IMAGES, Exported
from tests.export.student import SEED, changed, embedded, without_normalisation

ROOT = Path(__file__).resolve().parents[3]
Judge = Callable[..., GateInputs]


@pytest.fixture(scope="module")
def queries(exported: Exported) -> np.ndarray:
    """Views that calibrated nothing: 8 of each card."""
    views, _ = camera_views(
        exported.cards.first_scans(exported.contract, scale=2),
        exported.cards.card_ids,
        size=exported.contract.size,
        seed=SEED,
        stream="query",
        per_card=8,
    )
    return views


@pytest.fixture(scope="module")
def collect(exported: Exported, queries: np.ndarray) -> Judge:
    """Gathers inputs about a compiled graph as the compile job does."""

    def collected(
        compiled: Path,
        shown: CalibrationRecord,
        *,
        onnx_model: Path = exported.model,
        fed: Callable[[np.ndarray], np.ndarray] = lambda images: images,
    ) -> GateInputs:
        def embed(model: Path, images: np.ndarray) -> np.ndarray:
            return OnnxEmbedder(model, exported.contract, threads=2).embed(images)

        gallery = exported.gallery()
        known = [0, 3, 7, 11]
        ours = Embeddings(embed(compiled, fed(gallery)), embed(compiled, fed(queries)))
        return GateInputs(
            reference=embedded(exported.student, exported.contract, queries),
            onnx=Embeddings(embed(onnx_model, gallery), embed(onnx_model, queries)),
            compiled=ours,
            gallery_ids=exported.cards.card_ids,
            query_ids=[card for card in exported.cards.card_ids for _ in range(8)],
            known=known,
            swapped=embed(compiled, fed(swapped(gallery[known]))),
            indexed=ours.gallery,
            indexed_ids=exported.cards.card_ids,
            lost=np.zeros(8, np.float32),
            onnx_auroc=0.9,
            compiled_auroc=0.9,
            shown=shown,
            made=record(exported.views[:CALIBRATION_IMAGES]),
            seen=record(queries),
            tints=tints(exported.views[:CALIBRATION_IMAGES]),
            scan_tints=tints(np.repeat(gallery, 4, axis=0)[:CALIBRATION_IMAGES]),
        )

    return collected


def swapped(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images[..., ::-1])


def reasons(inputs: GateInputs, **thresholds: float) -> str:
    result = apply_gate(inputs, Thresholds(**thresholds))
    assert (result.verdict == "failed") == bool(result.reasons)
    return "; ".join(result.reasons)


def quantised(
    exported: Exported, images: np.ndarray, folder: Path
) -> tuple[Path, CalibrationRecord]:
    made = OnnxInt8().compile(exported.model, images, exported.contract, folder)
    return made.path, made.calibration


def test_faithful_build_passes_with_its_figures(exported: Exported, collect: Judge) -> None:
    result = apply_gate(collect(exported.int8.path, exported.int8.calibration), Thresholds())
    assert result.reasons == [] and result.verdict == "passed"
    figures = result.figures
    assert figures["queries"] == 96
    assert 0.99 < figures["cosine_mean"] < 1, "INT8 that differs nowhere was not quantised"
    assert figures["cosine_worst"] <= figures["cosine_p1"] <= figures["cosine_p5"]
    assert figures["compiled_top1"] > 0.2, "the student recognises nothing: top-1 proves nothing"
    assert figures["compiled_top5"] >= figures["compiled_top1"]
    assert figures["channels_as_fed"] > figures["channels_swapped"]
    json.dumps(result.to_dict(), allow_nan=False)


def test_worst_views_are_named(exported: Exported, collect: Judge) -> None:
    inputs = collect(exported.int8.path, exported.int8.calibration)
    worst = apply_gate(inputs, Thresholds()).worst
    cosines = (inputs.compiled.queries * inputs.onnx.queries).sum(axis=1)
    named = [case["query"] for case in worst]
    assert len(set(named)) == 10
    # By value: which of two equal ones comes first is a matter of rounding.
    np.testing.assert_allclose(cosines[named], np.sort(cosines)[:10], atol=1e-6)
    assert worst[0]["card_id"] == inputs.query_ids[worst[0]["query"]]
    assert worst[0]["cosine"] == pytest.approx(cosines.min(), abs=1e-6)


def test_calibration_with_red_and_blue_exchanged(
    exported: Exported, collect: Judge, tmp_path: Path
) -> None:
    """Cosine and top-1 do not see it."""
    path, shown = quantised(exported, swapped(exported.views[:CALIBRATION_IMAGES]), tmp_path)
    inputs = collect(path, shown)
    assert "shown other images than the contract made" in reasons(inputs)
    blind = dataclasses.replace(inputs, made=shown)
    assert "cosine" not in reasons(blind), "cosine sees it after all: drop the docstring"


def test_calibration_on_noise(exported: Exported, collect: Judge, tmp_path: Path) -> None:
    """Top-1 does not see it."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    inputs = collect(*quantised(exported, noise, tmp_path))
    found = reasons(inputs)
    assert "shown other images" in found and "top-1" not in found


def test_calibration_on_images_of_another_brightness(
    exported: Exported, collect: Judge, tmp_path: Path
) -> None:
    """Scaled to [0, 1] and then made bytes again: calibration past the contract."""
    dark = (exported.views[:CALIBRATION_IMAGES] // 255).astype(np.uint8)
    path, shown = quantised(exported, dark, tmp_path)
    inputs = dataclasses.replace(collect(path, shown), made=shown)
    found = reasons(inputs)
    assert "calibration: the images' mean" in found and "cosine" in found


def test_calibration_in_another_layout_is_refused_at_once(
    exported: Exported, tmp_path: Path
) -> None:
    planes = np.ascontiguousarray(exported.views[:8].transpose(0, 3, 1, 2))
    with pytest.raises(Exception, match="calibration images are uint8"):
        quantised(exported, planes, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_red_and_blue_exchanged_at_inference(exported: Exported, collect: Judge) -> None:
    inputs = collect(exported.int8.path, exported.int8.calibration, fed=swapped)
    assert "channel order" in reasons(inputs)
    lenient = {"cosine_mean": -1.0, "cosine_p5": -1.0, "top1_drop": 1.0}
    assert "channel order" in reasons(inputs, **lenient), "only by the threshold on cosine"


def test_normalisation_left_out(exported: Exported, collect: Judge, tmp_path: Path) -> None:
    path = tmp_path / "bare.onnx"
    path.write_bytes(changed(exported.model.read_bytes(), without_normalisation))
    found = reasons(collect(path, exported.int8.calibration))
    assert "mean cosine" in found and "5th percentile" in found


def test_graph_of_other_weights_is_no_export_of_the_student(
    exported: Exported, collect: Judge, tmp_path: Path
) -> None:
    def other(model: onnx.ModelProto) -> None:
        convolution = next(node for node in model.graph.node if node.op_type == "Conv")
        weight = next(t for t in model.graph.initializer if t.name == convolution.input[1])
        values = onnx.numpy_helper.to_array(weight)[::-1]
        weight.CopyFrom(onnx.numpy_helper.from_array(values.copy(), weight.name))

    path = tmp_path / "other.onnx"
    path.write_bytes(changed(exported.model.read_bytes(), other))
    inputs = collect(path, exported.int8.calibration, onnx_model=path)
    assert reasons(inputs).startswith("ONNX against PyTorch: mean cosine")
