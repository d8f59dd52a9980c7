"""The rules of the gate, on embeddings alone: what each threshold allows, and what it stops."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.calibration import CalibrationRecord
from export.fidelity.gate import Embeddings, GateInputs, apply_gate
from export.fidelity.thresholds import GateError, Thresholds
from recognition.search.gallery import l2_normalise
from registry.compilation.gate_thresholds import GateThresholds
from tests.export.fidelity.test_gate import ROOT, reasons
from tests.properties import examples


def synthetic(cards: int = 20, per_card: int = 10, seed: int = 0) -> GateInputs:
    """Three runtimes that agree, with queries near their cards."""
    rng = np.random.default_rng(seed)
    gallery = l2_normalise(rng.normal(size=(cards, 32)))
    queries = l2_normalise(
        np.repeat(gallery, per_card, axis=0) + 0.05 * rng.normal(size=(cards * per_card, 32))
    )
    ids = [f"card-{card}" for card in range(cards)]
    calibration = CalibrationRecord(1024, "a" * 64, (120.0, 110.0, 100.0), (60.0, 60.0, 60.0), 8.0)
    return GateInputs(
        reference=queries,
        onnx=Embeddings(gallery, queries),
        compiled=Embeddings(gallery, queries),
        gallery_ids=ids,
        query_ids=[card for card in ids for _ in range(per_card)],
        known=range(cards),
        swapped=l2_normalise(gallery + 0.2 * rng.normal(size=gallery.shape)),
        indexed=gallery,
        indexed_ids=ids,
        lost=np.zeros(len(queries), np.float32),
        onnx_auroc=0.9,
        compiled_auroc=0.9,
        shown=calibration,
        made=calibration,
        seen=calibration,
        tints=np.linspace(-9, 12, 8),
        scan_tints=np.linspace(-12, 15, 8),
    )


def compiled_to(inputs: GateInputs, compiled: Embeddings) -> GateInputs:
    """Another compiled model, with its own index."""
    return dataclasses.replace(inputs, compiled=compiled, indexed=compiled.gallery)


@pytest.mark.parametrize("everywhere", [True, False], ids=["already-in-pytorch", "by-compiling"])
def test_model_that_collapses_to_one_point(everywhere: bool) -> None:
    inputs = synthetic()
    point = np.zeros(32, np.float32)
    point[0] = 1
    one = Embeddings(np.tile(point, (20, 1)), np.tile(point, (200, 1)))
    if everywhere:  # then every cosine is 1 and no top-1 falls
        inputs = dataclasses.replace(inputs, reference=one.queries, onnx=one, swapped=one.gallery)
    found = reasons(compiled_to(inputs, one))
    assert "collapse" in found
    assert ("cosine" in found) != everywhere


def merged(embeddings: Embeddings, cards: int) -> Embeddings:
    """The first cards' gallery rows become the last one's."""
    gallery = embeddings.gallery.copy()
    gallery[:cards] = gallery[-1]
    return Embeddings(gallery, embeddings.queries)


def test_cards_that_compiling_merges() -> None:
    """Cosine, top-1 and spread need not see it: nobody asks for these cards."""
    inputs = synthetic(cards=200, per_card=1)
    few = compiled_to(
        inputs, Embeddings(merged(inputs.compiled, 6).gallery, inputs.compiled.queries)
    )
    asked = range(6, 200)
    few = dataclasses.replace(
        few,
        reference=few.reference[asked],
        onnx=Embeddings(few.onnx.gallery, few.onnx.queries[asked]),
        compiled=Embeddings(few.compiled.gallery, few.compiled.queries[asked]),
        query_ids=few.query_ids[6:],
    )
    result = apply_gate(few, Thresholds())
    assert [reason.split(":")[0] for reason in result.reasons] == ["the gallery's embeddings merge"]
    assert "194 different ones of 200" in result.reasons[0]


def test_prints_that_are_alike_in_both_are_no_fault() -> None:
    inputs = synthetic(cards=200, per_card=1)
    alike = merged(inputs.onnx, 6)
    both = compiled_to(dataclasses.replace(inputs, onnx=alike), alike)
    result = apply_gate(both, Thresholds())
    assert result.reasons == [] and result.figures["compiled_distinct"] == 194


def with_lost(inputs: GateInputs, lost: Sequence[int]) -> GateInputs:
    """The compiled model answers these queries with another card."""
    queries = inputs.compiled.queries.copy()
    queries[list(lost)] = inputs.compiled.gallery[-1]
    compiled = Embeddings(inputs.compiled.gallery, queries)
    return dataclasses.replace(inputs, compiled=compiled)


LENIENT = {"cosine_mean": -1.0, "cosine_p5": -1.0, "card_cosine": -1.0, "top1_drop": 0.005}


@pytest.mark.parametrize(("lost", "stopped"), [(0, False), (1, False), (4, False), (20, True)])
def test_top1_may_fall_by_the_threshold_and_the_chance_in_the_sample(
    lost: int, stopped: bool
) -> None:
    """With a query of each card, the chance is that of independent trials."""
    inputs = synthetic(cards=200, per_card=1)
    result = apply_gate(with_lost(inputs, range(lost)), Thresholds(**LENIENT))
    drop = lost / 200
    error = math.sqrt(drop * (1 - drop) / 199)
    assert result.figures["top1_drop"] == pytest.approx(drop)
    assert result.figures["top1_drop_standard_error"] == pytest.approx(error)
    assert bool(result.reasons) == stopped == (drop > 0.005 + 1.645 * error)
    if stopped:
        assert "top-1 falls by 0.1000 ± 0.0213 on 200 queries" in result.reasons[0]


def test_views_of_one_card_are_no_independent_trials() -> None:
    """Two lost cards of twenty are less sure than twenty lost views all over."""
    inputs = synthetic()
    spread = apply_gate(with_lost(inputs, range(0, 200, 10)), Thresholds(**LENIENT)).figures
    packed = apply_gate(with_lost(inputs, range(20)), Thresholds(**LENIENT)).figures
    # The last card's own views cannot be lost to it.
    assert packed["top1_drop"] == pytest.approx(0.1) == pytest.approx(spread["top1_drop"], abs=0.01)
    assert packed["top1_drop_standard_error"] > 3 * spread["top1_drop_standard_error"]


def test_card_that_is_never_named_any_more() -> None:
    """Ten of two thousand views: no mean sees them."""
    inputs = synthetic(cards=200)
    lenient = {**LENIENT, "top1_drop": 1.0}
    assert reasons(with_lost(inputs, range(30, 39)), **lenient) == ""
    assert "1 of 200 cards are never named right any more: card-3" in reasons(
        with_lost(inputs, range(30, 40)), **lenient
    )
    few = synthetic(cards=200, per_card=3)
    assert reasons(with_lost(few, range(9, 12)), **lenient) == "", "three views say too little"


def test_card_whose_views_move() -> None:
    inputs = synthetic(cards=200)
    queries = inputs.compiled.queries.copy()
    away = np.random.default_rng(1).normal(size=queries[:10].shape)
    queries[:10] = l2_normalise(queries[:10] + 0.15 * away)
    moved = dataclasses.replace(inputs, compiled=Embeddings(inputs.compiled.gallery, queries))
    found = reasons(moved)
    assert found.startswith("compiled against ONNX: mean cosine of card card-0 is 0.")
    assert ";" not in found, "another figure sees it, too"


def test_gate_fails_where_unknown_cards_are_no_longer_rejected() -> None:
    inputs = synthetic()
    assert reasons(dataclasses.replace(inputs, compiled_auroc=0.891)) == ""
    for auroc in (0.889, float("nan")):
        found = reasons(dataclasses.replace(inputs, compiled_auroc=auroc))
        assert found.startswith("AUROC of known against unknown cards falls by")


def test_index_of_another_model() -> None:
    inputs = synthetic()
    other = inputs.indexed.copy()
    other[5] = other[6]
    shuffled = np.roll(inputs.indexed, 1, axis=0)
    for indexed in (other, shuffled, inputs.indexed[:, :16]):
        found = reasons(dataclasses.replace(inputs, indexed=indexed))
        assert found.startswith("index: its rows are not the embeddings of the model that ships")


def test_index_rows_with_other_card_ids_fail() -> None:
    """Every embedding is right, and every answer wrong."""
    inputs = synthetic()
    ids = list(inputs.indexed_ids)
    ids[4], ids[9] = ids[9], ids[4]
    found = reasons(dataclasses.replace(inputs, indexed_ids=ids))
    assert found == (
        "index: 2 of its 20 rows hold another card's id, row 4 for example card-9 instead of card-4"
    )


@pytest.mark.parametrize(("missed", "stopped"), [(0, False), (2, False), (3, True), (2000, True)])
def test_index_whose_search_finds_other_cards(missed: int, stopped: bool) -> None:
    lost = np.array([0.3] * missed + [0.0] * (2000 - missed), np.float32)
    result = apply_gate(dataclasses.replace(synthetic(), lost=lost), Thresholds())
    assert result.figures["index_recall"] == 1 - missed / 2000
    assert bool(result.reasons) == stopped
    if stopped:
        assert "of its answers are as similar as the nearest card" in result.reasons[0]


def test_search_that_prefers_one_of_two_equal_cards_is_no_fault() -> None:
    lost = np.full(100, 5e-4, np.float32)
    result = apply_gate(dataclasses.replace(synthetic(), lost=lost), Thresholds())
    assert not result.reasons and result.figures["index_recall"] == 0


@pytest.mark.parametrize(
    ("tints_", "scan_tints", "stopped"),
    [
        ([-14, 14, 3], [12, -9, -8], True),
        ([14, -14, 3], [12, -9, -8], False),
        ([-14, -12, -13], [14, 12, 13], True),
        ([0, 0, 0], [12, -9, -8], False),
        ([0.4, -0.3, 0.2], [0, 0, 0], False),
    ],
    ids=["exchanged", "as they are", "one tint for all", "grey views", "grey scans"],
)
def test_calibration_whose_red_is_the_scans_blue(
    tints_: list[float], scan_tints: list[float], stopped: bool
) -> None:
    """Statistics over all images need not see it: cards of all colours are as red as blue."""
    inputs = dataclasses.replace(
        synthetic(), tints=np.asarray(tints_, float), scan_tints=np.asarray(scan_tints, float)
    )
    assert ("with red and blue exchanged" in reasons(inputs)) == stopped


def test_grey_cards_say_nothing_about_calibration_either() -> None:
    """A scanner's noise against a camera's: chance, some hundred times."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        noise, other = rng.normal(0, 6, 256), rng.normal(0, 0.5, 256)
        assert reasons(dataclasses.replace(synthetic(), tints=noise, scan_tints=other)) == ""


def test_compilers_graph_before_quantisation_is_checked_where_it_can_run() -> None:
    inputs = synthetic()
    same = dataclasses.replace(inputs, optimised=inputs.onnx.queries)
    result = apply_gate(same, Thresholds())
    assert result.reasons == []
    assert result.figures["optimised_cosine_mean"] == pytest.approx(1)
    assert "optimised_cosine_mean" not in apply_gate(inputs, Thresholds()).figures
    noise = np.random.default_rng(0).normal(size=inputs.onnx.queries.shape)
    moved = l2_normalise(inputs.onnx.queries + 0.02 * noise)
    found = reasons(dataclasses.replace(inputs, optimised=moved))
    assert found.startswith("the compiler's graph before quantisation against ONNX: mean cosine")


def test_queries_are_paired() -> None:
    """Queries that both models miss say nothing about what compiling did."""
    inputs = with_lost(synthetic(), range(50))
    both = dataclasses.replace(inputs, onnx=inputs.compiled, reference=inputs.compiled.queries)
    figures = apply_gate(both, Thresholds()).figures
    assert figures["onnx_top1"] == pytest.approx(0.75)
    assert figures["top1_drop"] == figures["top1_drop_standard_error"] == 0


def test_grey_cards_say_nothing_about_the_channel_order() -> None:
    inputs = synthetic()
    assert reasons(dataclasses.replace(inputs, swapped=inputs.compiled.gallery)) == ""


def test_channel_order_follows_from_some_of_the_cards() -> None:
    inputs = synthetic()
    assert reasons(dataclasses.replace(inputs, known=[4, 7], swapped=inputs.swapped[[4, 7]])) == ""
    turned = dataclasses.replace(
        inputs,
        compiled=Embeddings(inputs.swapped, inputs.compiled.queries),
        indexed=inputs.swapped,
        known=[4, 7],
        swapped=inputs.compiled.gallery[[4, 7]],
    )
    assert "channel order" in reasons(turned)


@pytest.mark.parametrize("figure", ["mean", "std"])
@pytest.mark.parametrize(("shift", "stopped"), [(11.0, False), (13.0, True)])
def test_calibration_must_look_like_the_queries(figure: str, shift: float, stopped: bool) -> None:
    inputs = synthetic()
    values = (*getattr(inputs.seen, figure)[:2], getattr(inputs.seen, figure)[2] - shift)
    other = dataclasses.replace(inputs.shown, **{figure: values})
    found = reasons(dataclasses.replace(inputs, shown=other, made=other))
    assert (f"the images' {figure}" in found) == stopped


@pytest.mark.parametrize(
    ("roughness", "stopped"), [(5.5, False), (11.5, False), (5, True), (13, True)]
)
def test_calibration_must_be_as_rough_as_the_queries(roughness: float, stopped: bool) -> None:
    inputs = synthetic()
    other = dataclasses.replace(inputs.shown, roughness=roughness)
    found = reasons(dataclasses.replace(inputs, shown=other, made=other))
    assert ("times as rough as the query views" in found) == stopped == bool(found)


def test_embedding_that_is_no_number_fails() -> None:
    inputs = synthetic()
    queries = inputs.onnx.queries.copy()
    queries[3] = np.nan
    broken = dataclasses.replace(inputs, reference=queries)
    assert "ONNX against PyTorch" in reasons(broken)


@settings(max_examples=examples(40), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0, 0.5))
def test_more_noise_is_never_judged_more_kindly(seed: int, noise: float) -> None:
    inputs = synthetic(cards=8, per_card=3, seed=seed)
    shift = np.random.default_rng(seed).normal(size=inputs.onnx.queries.shape)

    def noisy(amount: float) -> dict[str, float]:
        queries = l2_normalise(inputs.onnx.queries + amount * shift)
        compiled = Embeddings(inputs.compiled.gallery, queries)
        return apply_gate(dataclasses.replace(inputs, compiled=compiled), Thresholds()).figures

    little, much = noisy(noise / 4), noisy(noise)
    for figure in ("cosine_mean", "cosine_p5", "cosine_worst"):
        assert much[figure] <= little[figure] + 1e-6


@pytest.mark.parametrize(
    "change",
    [
        {"query_ids": ["card-0"]},
        {"gallery_ids": ["card-0"]},
        {"reference": np.zeros((1, 32), np.float32)},
        {"indexed": np.zeros((1, 32), np.float32)},
        {"indexed_ids": ["card-0"]},
        {"optimised": np.zeros((1, 32), np.float32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_rows_that_do_not_belong_together_are_not_judged(change: dict[str, object]) -> None:
    with pytest.raises(GateError, match="must embed the same images"):
        apply_gate(dataclasses.replace(synthetic(), **change), Thresholds())


@pytest.mark.parametrize(
    "change",
    [{"swapped": np.zeros((1, 32), np.float32)}, {"known": []}, {"lost": np.zeros(0, np.float32)}],
)
def test_known_images_are_counted(change: dict[str, object]) -> None:
    with pytest.raises(GateError, match="known images"):
        apply_gate(dataclasses.replace(synthetic(), **change), Thresholds())


def test_thresholds_come_from_the_compile_settings() -> None:
    assert Thresholds.from_settings({"cosine_mean": 0.9, "top1_drop": "0.02"}) == Thresholds(
        cosine_mean=0.9, top1_drop=0.02
    )
    with pytest.raises(GateError, match="cosine_maen is none of"):
        Thresholds.from_settings({"cosine_maen": 0.9})
    with pytest.raises(GateError, match="gate: "):
        Thresholds.from_settings({"cosine_mean": "high"})
    for value in (float("nan"), float("inf"), "nan"):
        with pytest.raises(GateError, match="cosine_mean"):
            Thresholds.from_settings({"cosine_mean": value})


def test_documented_limits_are_the_default_thresholds() -> None:
    """``docs/export.md`` names each setting in the row that shows its limit."""
    text = (ROOT / "docs" / "export.md").read_text()
    shown = dict(re.findall(r"`(\w+)` = ([0-9.]+)", text))
    assert {name: float(value) for name, value in shown.items()} == dataclasses.asdict(
        GateThresholds()
    )
