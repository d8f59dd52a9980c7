"""The fidelity gate: is the compiled model still the model that was approved?

Pure: embeddings in, a verdict with its reasons out. No single figure suffices. Cosine does not see
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
from recognition.retrieval import best_matches

Floats = NDArray[np.float32]
PASSED, FAILED = "passed", "failed"
_WORST = 10
#: One-sided 95 %.
_Z = 1.645
#: Embeddings that agree so far are one embedding.
_DECIMALS = 6
#: A card of which ONNX names fewer views right says nothing about its loss.
_FEWEST_RIGHT = 4
#: An index row is the model's own where rounding alone tells them apart.
_SAME = 1 - 1e-4
#: Share of its own rows that a graph finds again, at least; another's finds next to none.
_RECALL = 0.99
#: Of 255: keeps the ratio of two flat sets of images finite.
_LEAST = 0.1
#: Agreement of tints, -1 to 1, below which red and blue are exchanged; chance alone, as with cards
#: that are all grey, stays above it, and two sets of cards had .68 to .81.
_EXCHANGED = -0.3


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
class Evidence:
    """Everything that is judged.

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
        answers: (len(known),): cosine of what the index's graph finds for the compiled model's
            embedding of each known image; 1 where it finds the very row.
        onnx_auroc: Of known against unknown cards.
        compiled_auroc: The same by the file that ships.
        shown: What the quantiser was shown.
        made: What was made by the contract to show it.
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
    answers: Sequence[float]
    onnx_auroc: float
    compiled_auroc: float
    shown: CalibrationRecord
    made: CalibrationRecord
    seen: CalibrationRecord
    tints: NDArray[np.float64]
    scan_tints: NDArray[np.float64]
    optimised: Floats | None = None


@dataclass
class Fidelity:
    """The gate's word, with everything that it rests on (``fidelity.json``)."""

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


def judge(evidence: Evidence, thresholds: Thresholds) -> Fidelity:
    """Judges a compiled model.

    Raises:
        GateError: Rows and ids differ in number.
    """
    _check_shapes(evidence)
    result = Fidelity(thresholds)
    _judge_cosines(evidence, result)
    _judge_cards(evidence, result)
    _judge_recognition(evidence, result)
    _judge_rejection(evidence, result)
    _judge_spread(evidence, result)
    _judge_distinctness(evidence, result)
    _judge_channels(evidence, result)
    _judge_calibration(evidence, result)
    _judge_index(evidence, result)
    return result


def cosines(one: Floats, other: Floats) -> NDArray[np.float64]:
    """Cosine of each pair of rows; rows have length 1."""
    # In double precision, without copies of galleries in it.
    product: NDArray[np.float64] = np.einsum("ij,ij->i", one, other, dtype=np.float64)
    return product


def _check_shapes(evidence: Evidence) -> None:
    queries = {len(evidence.reference), len(evidence.query_ids)}
    galleries = {len(evidence.indexed), len(evidence.indexed_ids), len(evidence.gallery_ids)}
    for embeddings in (evidence.onnx, evidence.compiled):
        queries.add(len(embeddings.queries))
        galleries.add(len(embeddings.gallery))
    if evidence.optimised is not None:
        queries.add(len(evidence.optimised))
    known = len(evidence.known)
    if not known or {len(evidence.swapped), len(evidence.answers)} != {known}:
        raise GateError(
            f"gate: {len(evidence.swapped)} embeddings and {len(evidence.answers)} answers of "
            f"{known} known images"
        )
    if len(queries) != 1 or len(galleries) != 1 or 0 in queries | galleries:
        raise GateError(
            f"gate: {sorted(queries)} queries and {sorted(galleries)} gallery rows were given; "
            "each runtime must embed the same images"
        )


def _judge_cosines(evidence: Evidence, result: Fidelity) -> None:
    to_torch = cosines(evidence.onnx.queries, evidence.reference)
    to_onnx = cosines(evidence.compiled.queries, evidence.onnx.queries)
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
    if evidence.optimised is not None:
        optimised = float(cosines(evidence.optimised, evidence.onnx.queries).mean())
        result.figures["optimised_cosine_mean"] = optimised
        words = "the compiler's graph before quantisation against ONNX: mean cosine"
        _require(result, "optimised_cosine_mean", words, "optimised_cosine_mean")
    _require(result, "cosine_mean", "compiled against ONNX: mean cosine", "cosine_mean")
    _require(result, "cosine_p5", "compiled against ONNX: 5th percentile of cosine", "cosine_p5")
    for row in np.argsort(to_onnx)[:_WORST]:
        result.worst.append(
            {
                "query": int(row),
                "card_id": evidence.query_ids[row],
                "cosine": float(to_onnx[row]),
            }
        )


def _judge_cards(evidence: Evidence, result: Fidelity) -> None:
    """A mean over all views hides one card that is lost."""
    agreement = cosines(evidence.compiled.queries, evidence.onnx.queries)
    clusters = Clusters(evidence.query_ids, len(agreement))
    means = clusters.sums(agreement) / clusters.sums(np.ones(len(agreement)))
    worst = int(means.argmin())
    result.figures["card_cosine_worst"] = float(means[worst])
    name = evidence.query_ids[int(np.argmax(clusters.of == worst))]
    _require(
        result,
        "card_cosine_worst",
        f"compiled against ONNX: mean cosine of card {name}",
        "card_cosine",
    )


def _require(result: Fidelity, figure: str, words: str, threshold: str) -> None:
    value, limit = result.figures[figure], getattr(result.thresholds, threshold)
    if not value >= limit:
        result.reasons.append(f"{words} is {value:.4f}, at least {limit} is required")


def _judge_recognition(evidence: Evidence, result: Fidelity) -> None:
    """Top-1 and top-5, each against the gallery that the same model made."""
    truth = np.asarray(evidence.query_ids)
    hits = {}
    for name, embeddings in (("onnx", evidence.onnx), ("compiled", evidence.compiled)):
        matches = best_matches(embeddings.gallery, evidence.gallery_ids, embeddings.queries, k=5)
        found = np.asarray(matches.card_ids) == truth[:, None]
        hits[name] = found[:, 0]
        result.figures[f"{name}_top1"] = float(found[:, 0].mean())
        result.figures[f"{name}_top5"] = float(found.any(axis=1).mean())
    difference = hits["onnx"].astype(float) - hits["compiled"].astype(float)
    drop = float(difference.mean())
    # Queries are paired: only those that one model gets right and the other wrong count. Views of
    # one card are no independent trials.
    clusters = Clusters(evidence.query_ids, len(difference))
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


def _judge_rejection(evidence: Evidence, result: Fidelity) -> None:
    """A model that still ranks may have lost what tells a stranger."""
    drop = evidence.onnx_auroc - evidence.compiled_auroc
    result.figures |= {
        "onnx_auroc": evidence.onnx_auroc,
        "compiled_auroc": evidence.compiled_auroc,
    }
    if not drop <= result.thresholds.auroc_drop:
        result.reasons.append(
            f"AUROC of known against unknown cards falls by {drop:.4f}, "
            f"{result.thresholds.auroc_drop} is allowed"
        )


def _judge_spread(evidence: Evidence, result: Fidelity) -> None:
    """A model that gives every card one embedding agrees with itself and recognises nothing."""
    count = len(evidence.compiled.gallery)
    if count < 2:
        return
    total = evidence.compiled.gallery.sum(axis=0, dtype=np.float64)
    mean_cosine = float((total @ total - count) / (count * (count - 1)))
    result.figures["gallery_spread"] = 1 - mean_cosine
    if not 1 - mean_cosine >= result.thresholds.spread:
        result.reasons.append(
            f"the gallery's embeddings collapse: mean distance {1 - mean_cosine:.2e}, at least "
            f"{result.thresholds.spread} is required"
        )


def _judge_distinctness(evidence: Evidence, result: Fidelity) -> None:
    """Cards that the compiled model merges are lost, even where few queries ask for them."""
    for name, embeddings in (("onnx", evidence.onnx), ("compiled", evidence.compiled)):
        different = np.unique(embeddings.gallery.round(_DECIMALS), axis=0)
        result.figures[f"{name}_distinct"] = float(len(different))
    before, after = result.figures["onnx_distinct"], result.figures["compiled_distinct"]
    if not after >= result.thresholds.distinct * before:
        result.reasons.append(
            f"the gallery's embeddings merge: {after:.0f} different ones of {before:.0f}, at least "
            f"{result.thresholds.distinct:.0%} are required"
        )


def _judge_channels(evidence: Evidence, result: Fidelity) -> None:
    known = np.asarray(evidence.known)
    theirs = evidence.onnx.gallery[known]
    right = float(cosines(evidence.compiled.gallery[known], theirs).mean())
    wrong = float(cosines(evidence.swapped, theirs).mean())
    result.figures |= {"channels_as_fed": right, "channels_swapped": wrong}
    # Equal only where the cards are all grey, which then says nothing about the order.
    if not right >= wrong:
        result.reasons.append(
            f"channel order: known images agree better with red and blue exchanged ({wrong:.4f}) "
            f"than as fed ({right:.4f})"
        )


def _judge_calibration(evidence: Evidence, result: Fidelity) -> None:
    """The quantiser was shown what the contract made, and that looks like what is recognised."""
    if evidence.shown.sha256 != evidence.made.sha256:
        result.reasons.append(
            "calibration: the quantiser was shown other images than the contract made "
            f"({evidence.shown.sha256[:12]}… instead of {evidence.made.sha256[:12]}…)"
        )
    for what in ("mean", "std"):
        shifts = [
            abs(a - b)
            for a, b in zip(
                getattr(evidence.shown, what), getattr(evidence.seen, what), strict=True
            )
        ]
        result.figures[f"calibration_{what}_shift"] = max(shifts)
        if not max(shifts) <= result.thresholds.pixel_shift:
            result.reasons.append(
                f"calibration: the images' {what} is {max(shifts):.0f} of 255 from the query "
                f"views', at most {result.thresholds.pixel_shift:.0f} is allowed"
            )
    lengths = float(np.linalg.norm(evidence.tints) * np.linalg.norm(evidence.scan_tints))
    tint = float(evidence.tints @ evidence.scan_tints) / max(lengths, _LEAST)
    result.figures["calibration_tint_agreement"] = tint
    if not tint >= _EXCHANGED:
        result.reasons.append(
            "calibration: the images agree better with their cards' scans with red and blue "
            f"exchanged than as they are (agreement of tints {tint:.2f})"
        )
    ratio = (evidence.shown.roughness + _LEAST) / (evidence.seen.roughness + _LEAST)
    result.figures["calibration_roughness_ratio"] = ratio
    if not max(ratio, 1 / ratio) <= result.thresholds.roughness_ratio:
        result.reasons.append(
            f"calibration: the images are {ratio:.2g} times as rough as the query views, at most "
            f"{result.thresholds.roughness_ratio} times or its inverse is allowed"
        )


def _judge_index(evidence: Evidence, result: Fidelity) -> None:
    """An index of another model answers, and wrongly."""
    if evidence.indexed.shape != evidence.compiled.gallery.shape:
        worst = -1.0
    else:
        worst = float(cosines(evidence.indexed, evidence.compiled.gallery).min())
    result.figures["index_cosine_worst"] = worst
    if not worst >= _SAME:
        result.reasons.append(
            f"index: its rows are not the embeddings of the model that ships (cosine {worst:.4f})"
        )
    rows = zip(evidence.indexed_ids, evidence.gallery_ids, strict=True)
    wrong = [row for row, (named, right) in enumerate(rows) if named != right]
    if wrong:
        result.reasons.append(
            f"index: {len(wrong)} of its {len(evidence.indexed)} rows bear another card's id, row "
            f"{wrong[0]} for example {evidence.indexed_ids[wrong[0]]} instead of "
            f"{evidence.gallery_ids[wrong[0]]}"
        )
    recall = float((np.asarray(evidence.answers) >= _SAME).mean())
    result.figures["index_recall"] = recall
    if not recall >= _RECALL:
        result.reasons.append(
            f"index: its graph finds {recall:.1%} of the rows that it is asked for, at least "
            f"{_RECALL:.1%} is required"
        )
