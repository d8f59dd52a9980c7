"""The fidelity gate: is the compiled model still the model that was approved?

Pure: embeddings in, a verdict with its reasons out. No single metric suffices. Cosine does not see
calibration on images with swapped channels, top-1 does not see calibration on noise; so the gate
also holds the contract itself: what the quantiser was shown, the channel order by known images, and
that the index is of the very model that ships.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.calibration import CalibrationRecord
from export.fidelity.thresholds import GateError, Thresholds
from recognition.clustered_intervals import Clusters
from recognition.search.gallery import best_matches

Floats = NDArray[np.float32]
PASSED, FAILED = "passed", "failed"
_WORST = 10
#: One-sided 95 %.
_Z = 1.645
#: Embeddings that agree so far are one embedding.
_DECIMALS = 6
#: A card of which ONNX names fewer views right says nothing about its loss.
_FEWEST_RIGHT = 4
#: Index rows of the shipped model differ from its embeddings by rounding to 8 bits: rows of normal
#: numbers have 1 - 3e-5, one with a value ten times as large as all others 1 - 4e-4.
_SAME = 0.999
#: Share of the answers that a search of the index must not lose, and by what cosine it may.
_RECALL, _LOST = 0.999, 1e-3
#: Of 255: keeps the ratio of two flat sets of images finite.
_LEAST = 0.1
#: Agreement of tints, -1 to 1, below which red and blue are exchanged; chance alone, as with cards
#: that are all grey, stays above it, and two sets of cards had .68 to .81.
_EXCHANGED = -0.3
#: The limits that are no setting, by the names that the report has for them.
FIXED = {
    "index_cosine": _SAME,
    "tint_agreement": _EXCHANGED,
    "standard_errors": _Z,
}


@dataclass(frozen=True)
class Embeddings:
    """One runtime's embeddings, rows of length 1.

    Attributes:
        gallery: float32 (G, D), of the clean scans.
        queries: float32 (Q, D), of the held-out views.
    """

    gallery: Floats
    queries: Floats


@dataclass(frozen=True)
class GateInputs:
    """Everything that the gate compares.

    Attributes:
        reference: float32 (Q, D): PyTorch's embeddings of the query views.
        onnx: Of the graph that was compiled.
        compiled: Of the file that ships.
        optimised: float32 (Q, D): of the compiler's graph before it was quantised; None where it
            cannot be run.
        gallery_ids: Card id of each gallery row.
        query_ids: Card id of each query.
        known: Rows of the gallery whose images were embedded again, red and blue exchanged.
        swapped: float32 (len(known), D): the compiled model's embeddings of those.
        indexed: float32 (G, D): the rows of the index that ships.
        indexed_ids: Card id of each of them, by the index.
        lost: (S,): by how much the index's answer to some of the queries is less similar than the
            nearest row of ``compiled`` (:mod:`export.fidelity.index_recall`).
        onnx_auroc: Of known against unknown cards.
        compiled_auroc: The same by the file that ships.
        shown: Statistics of the images that the quantiser saw.
        made: The same of the images that the contract's preprocessing made for it.
        seen: Statistics of the query views.
        tints: float (K,): mean red minus blue, of 255, of some of the images that were made.
        scan_tints: The same of their cards' scans.
    """

    reference: Floats
    onnx: Embeddings
    compiled: Embeddings
    gallery_ids: Sequence[str]
    query_ids: Sequence[str]
    known: Sequence[int]
    swapped: Floats
    indexed: Floats
    indexed_ids: Sequence[str]
    lost: Floats
    onnx_auroc: float
    compiled_auroc: float
    shown: CalibrationRecord
    made: CalibrationRecord
    seen: CalibrationRecord
    tints: NDArray[np.float64]
    scan_tints: NDArray[np.float64]
    optimised: Floats | None = None


@dataclass
class GateResult:
    """The gate's verdict and everything that led to it (``fidelity.json``)."""

    thresholds: Thresholds
    figures: dict[str, float] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    worst: list[dict[str, Any]] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """``passed`` or ``failed``."""
        return FAILED if self.reasons else PASSED

    def to_dict(self) -> dict[str, Any]:
        """The form of ``fidelity.json``."""
        return {
            "verdict": self.verdict,
            "reasons": self.reasons,
            "figures": self.figures,
            "thresholds": asdict(self.thresholds),
            "worst": self.worst,
        }


def apply_gate(inputs: GateInputs, thresholds: Thresholds) -> GateResult:
    """Compares a compiled model with the approved one.

    Raises:
        GateError: Rows and ids differ in number.
    """
    _check_shapes(inputs)
    result = GateResult(thresholds)
    _check_cosines(inputs, result)
    _check_cards(inputs, result)
    _check_recognition(inputs, result)
    _check_rejection(inputs, result)
    _check_spread(inputs, result)
    _check_distinctness(inputs, result)
    _check_channels(inputs, result)
    _check_calibration(inputs, result)
    _check_index(inputs, result)
    return result


def cosines(one: Floats, other: Floats) -> NDArray[np.float64]:
    """Cosine of each pair of rows; rows have length 1."""
    # In double precision, without copies of galleries in it.
    product: NDArray[np.float64] = np.einsum("ij,ij->i", one, other, dtype=np.float64)
    return product


def _check_shapes(inputs: GateInputs) -> None:
    queries = {len(inputs.reference), len(inputs.query_ids)}
    galleries = {len(inputs.indexed), len(inputs.indexed_ids), len(inputs.gallery_ids)}
    for embeddings in (inputs.onnx, inputs.compiled):
        queries.add(len(embeddings.queries))
        galleries.add(len(embeddings.gallery))
    if inputs.optimised is not None:
        queries.add(len(inputs.optimised))
    known = len(inputs.known)
    if not known or len(inputs.swapped) != known or not len(inputs.lost):
        raise GateError(
            f"gate: {len(inputs.swapped)} embeddings of {known} known images, and "
            f"{len(inputs.lost)} answers of the index"
        )
    if len(queries) != 1 or len(galleries) != 1 or 0 in queries | galleries:
        raise GateError(
            f"gate: {sorted(queries)} queries and {sorted(galleries)} gallery rows were given; "
            "each runtime must embed the same images"
        )


def _check_cosines(inputs: GateInputs, result: GateResult) -> None:
    to_torch = cosines(inputs.onnx.queries, inputs.reference)
    to_onnx = cosines(inputs.compiled.queries, inputs.onnx.queries)
    mean, p5 = float(to_onnx.mean()), float(np.percentile(to_onnx, 5))
    result.figures |= {
        "onnx_cosine_mean": float(to_torch.mean()),
        "onnx_cosine_worst": float(to_torch.min()),
        "cosine_mean": mean,
        "cosine_p5": p5,
        "cosine_p1": float(np.percentile(to_onnx, 1)),
        "cosine_worst": float(to_onnx.min()),
    }
    _require(result, "onnx_cosine_mean", "ONNX against PyTorch: mean cosine", "onnx_cosine_mean")
    if inputs.optimised is not None:
        optimised = float(cosines(inputs.optimised, inputs.onnx.queries).mean())
        result.figures["optimised_cosine_mean"] = optimised
        words = "the compiler's graph before quantisation against ONNX: mean cosine"
        _require(result, "optimised_cosine_mean", words, "optimised_cosine_mean")
    _require(result, "cosine_mean", "compiled against ONNX: mean cosine", "cosine_mean")
    _require(result, "cosine_p5", "compiled against ONNX: 5th percentile of cosine", "cosine_p5")
    for row in np.argsort(to_onnx)[:_WORST]:
        result.worst.append(
            {
                "query": int(row),
                "card_id": inputs.query_ids[row],
                "cosine": float(to_onnx[row]),
            }
        )


def _check_cards(inputs: GateInputs, result: GateResult) -> None:
    """A mean over all views hides one card that is lost."""
    agreement = cosines(inputs.compiled.queries, inputs.onnx.queries)
    clusters = Clusters(inputs.query_ids, len(agreement))
    means = clusters.sums(agreement) / clusters.sums(np.ones(len(agreement)))
    worst = int(means.argmin())
    result.figures["card_cosine_worst"] = float(means[worst])
    name = inputs.query_ids[int(np.argmax(clusters.of == worst))]
    _require(
        result,
        "card_cosine_worst",
        f"compiled against ONNX: mean cosine of card {name}",
        "card_cosine",
    )


def _require(result: GateResult, figure: str, words: str, threshold: str) -> None:
    value, limit = result.figures[figure], getattr(result.thresholds, threshold)
    if not value >= limit:
        result.reasons.append(f"{words} is {value:.4f}, at least {limit} is required")


def _check_recognition(inputs: GateInputs, result: GateResult) -> None:
    """Top-1 and top-5, each against the gallery that the same model made."""
    truth = np.asarray(inputs.query_ids)
    hits = {}
    for name, embeddings in (("onnx", inputs.onnx), ("compiled", inputs.compiled)):
        matches = best_matches(embeddings.gallery, inputs.gallery_ids, embeddings.queries, k=5)
        found = np.asarray(matches.card_ids) == truth[:, None]
        hits[name] = found[:, 0]
        result.figures[f"{name}_top1"] = float(found[:, 0].mean())
        result.figures[f"{name}_top5"] = float(found.any(axis=1).mean())
    difference = hits["onnx"].astype(float) - hits["compiled"].astype(float)
    drop = float(difference.mean())
    # Queries are paired: only those that one model gets right and the other wrong count. Views of
    # one card are no independent trials.
    clusters = Clusters(inputs.query_ids, len(difference))
    cards = max(2, clusters.count)
    off = clusters.sums(difference - drop)
    error = math.sqrt(cards / (cards - 1) * float((off**2).sum())) / len(difference)
    result.figures |= {
        "queries": float(len(difference)),
        "top1_drop": drop,
        "top1_drop_standard_error": error,
    }
    allowed = result.thresholds.top1_drop + _Z * error
    if not drop <= allowed:
        result.reasons.append(
            f"top-1 falls by {drop:.4f} ± {error:.4f} on {len(difference)} queries, "
            f"{result.thresholds.top1_drop} is allowed"
        )
    right = {name: clusters.sums(hit.astype(float)) for name, hit in hits.items()}
    judged = right["onnx"] >= _FEWEST_RIGHT
    lost = np.flatnonzero(judged & (right["compiled"] == 0))
    result.figures |= {"cards_judged": float(judged.sum()), "cards_lost": float(len(lost))}
    if len(lost):
        names = [str(truth[int(np.argmax(clusters.of == card))]) for card in lost[:3]]
        result.reasons.append(
            f"{len(lost)} of {judged.sum()} cards are never named right any more: "
            f"{', '.join(names)}{' …' if len(lost) > 3 else ''}"
        )


def _check_rejection(inputs: GateInputs, result: GateResult) -> None:
    """A model that still ranks well may no longer reject unknown cards."""
    drop = inputs.onnx_auroc - inputs.compiled_auroc
    result.figures |= {
        "onnx_auroc": inputs.onnx_auroc,
        "compiled_auroc": inputs.compiled_auroc,
    }
    if not drop <= result.thresholds.auroc_drop:
        result.reasons.append(
            f"AUROC of known against unknown cards falls by {drop:.4f}, "
            f"{result.thresholds.auroc_drop} is allowed"
        )


def _check_spread(inputs: GateInputs, result: GateResult) -> None:
    """A model that gives every card one embedding agrees with itself and recognises nothing."""
    count = len(inputs.compiled.gallery)
    if count < 2:
        return
    total = inputs.compiled.gallery.sum(axis=0, dtype=np.float64)
    mean_cosine = float((total @ total - count) / (count * (count - 1)))
    result.figures["gallery_spread"] = 1 - mean_cosine
    if not 1 - mean_cosine >= result.thresholds.spread:
        result.reasons.append(
            f"the gallery's embeddings collapse: mean distance {1 - mean_cosine:.2e}, at least "
            f"{result.thresholds.spread} is required"
        )


def _check_distinctness(inputs: GateInputs, result: GateResult) -> None:
    """Cards that the compiled model merges are lost, even where few queries ask for them."""
    for name, embeddings in (("onnx", inputs.onnx), ("compiled", inputs.compiled)):
        different = np.unique(embeddings.gallery.round(_DECIMALS), axis=0)
        result.figures[f"{name}_distinct"] = float(len(different))
    before, after = result.figures["onnx_distinct"], result.figures["compiled_distinct"]
    if not after >= result.thresholds.distinct * before:
        result.reasons.append(
            f"the gallery's embeddings merge: {after:.0f} different ones of {before:.0f}, at least "
            f"{result.thresholds.distinct:.0%} are required"
        )


def _check_channels(inputs: GateInputs, result: GateResult) -> None:
    known = np.asarray(inputs.known)
    onnx_rows = inputs.onnx.gallery[known]
    right = float(cosines(inputs.compiled.gallery[known], onnx_rows).mean())
    wrong = float(cosines(inputs.swapped, onnx_rows).mean())
    result.figures |= {"channels_as_fed": right, "channels_swapped": wrong}
    # Equal only where the cards are all grey, which then says nothing about the order.
    if not right >= wrong:
        result.reasons.append(
            f"channel order: known images agree better with red and blue exchanged ({wrong:.4f}) "
            f"than as fed ({right:.4f})"
        )


def _check_calibration(inputs: GateInputs, result: GateResult) -> None:
    """The quantiser was shown what the contract made, and that looks like what is recognised."""
    if inputs.shown.sha256 != inputs.made.sha256:
        result.reasons.append(
            "calibration: the quantiser was shown other images than the contract made "
            f"({inputs.shown.sha256[:12]}… instead of {inputs.made.sha256[:12]}…)"
        )
    for statistic in ("mean", "std"):
        shifts = [
            abs(a - b)
            for a, b in zip(
                getattr(inputs.shown, statistic), getattr(inputs.seen, statistic), strict=True
            )
        ]
        result.figures[f"calibration_{statistic}_shift"] = max(shifts)
        if not max(shifts) <= result.thresholds.pixel_shift:
            result.reasons.append(
                f"calibration: the images' {statistic} is {max(shifts):.0f} of 255 from the query "
                f"views', at most {result.thresholds.pixel_shift:.0f} is allowed"
            )
    lengths = float(np.linalg.norm(inputs.tints) * np.linalg.norm(inputs.scan_tints))
    tint = float(inputs.tints @ inputs.scan_tints) / max(lengths, _LEAST)
    result.figures["calibration_tint_agreement"] = tint
    if not tint >= _EXCHANGED:
        result.reasons.append(
            "calibration: the images agree better with their cards' scans with red and blue "
            f"exchanged than as they are (agreement of tints {tint:.2f})"
        )
    ratio = (inputs.shown.roughness + _LEAST) / (inputs.seen.roughness + _LEAST)
    result.figures["calibration_roughness_ratio"] = ratio
    if not max(ratio, 1 / ratio) <= result.thresholds.roughness_ratio:
        result.reasons.append(
            f"calibration: the images are {ratio:.2g} times as rough as the query views, at most "
            f"{result.thresholds.roughness_ratio} times or its inverse is allowed"
        )


def _check_index(inputs: GateInputs, result: GateResult) -> None:
    """An index of another model answers, and wrongly."""
    if inputs.indexed.shape != inputs.compiled.gallery.shape:
        worst = -1.0
    else:
        worst = float(cosines(inputs.indexed, inputs.compiled.gallery).min())
    result.figures["index_cosine_worst"] = worst
    if not worst >= _SAME:
        result.reasons.append(
            f"index: its rows are not the embeddings of the model that ships (cosine {worst:.4f})"
        )
    rows = zip(inputs.indexed_ids, inputs.gallery_ids, strict=True)
    wrong = [row for row, (named, right) in enumerate(rows) if named != right]
    if wrong:
        result.reasons.append(
            f"index: {len(wrong)} of its {len(inputs.indexed)} rows hold another card's id, row "
            f"{wrong[0]} for example {inputs.indexed_ids[wrong[0]]} instead of "
            f"{inputs.gallery_ids[wrong[0]]}"
        )
    result.figures["index_recall"] = float((inputs.lost <= 0).mean())
    kept = float((inputs.lost <= _LOST).mean())
    if not kept >= _RECALL:
        result.reasons.append(
            f"index: {kept:.1%} of its answers are as similar as the nearest card, at least "
            f"{_RECALL:.1%} is required"
        )
