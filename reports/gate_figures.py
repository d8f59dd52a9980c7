"""The fidelity gate's figures with their names, units, meanings and limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reports.figures import COSINE, COUNT, SHARE, in_unit

RATIO, PIXELS = "ratio", "pixels"
#: What a limit is: at least, or at most.
LEAST, MOST = "at least", "at most"
Numbers = Mapping[str, float]


@dataclass(frozen=True)
class GateMeaning:
    """What a figure of the gate is called, says, and is held to.

    Attributes:
        limit: Its limit by all figures and thresholds; None where nothing is required of it.
        side: Whether the figure must be at least that, or at most.
        note: What a limit has beside its number.
    """

    name: str
    unit: str
    words: str
    limit: Callable[[Numbers, Numbers], float] | None = None
    side: str = LEAST
    note: str = ""


@dataclass(frozen=True)
class GateFigure:
    """A figure of the gate as the page shows it.

    Attributes:
        key: Its name in ``fidelity.json``.
        limit: In words; empty where nothing is required of it.
        met: Whether the limit is met; None without a limit.
    """

    key: str
    value: float
    meaning: GateMeaning
    text: str
    limit: str
    met: bool | None


def _threshold(name: str) -> Callable[[Numbers, Numbers], float]:
    return lambda figures, thresholds: thresholds[name]


#: By its name in ``fidelity.json``, in the order of the page.
GATE_MEANINGS: Mapping[str, GateMeaning] = {
    "cosine_mean": GateMeaning(
        "Agreement, mean", COSINE,
        "of the compiled model's answers with those before compilation; 1 is the same answer",
        _threshold("cosine_mean"),
    ),
    "cosine_p5": GateMeaning(
        "Agreement, worst 5 % of views", COSINE, "all other views agree better",
        _threshold("cosine_p5"),
    ),
    "cosine_p1": GateMeaning(
        "Agreement, worst 1 % of views", COSINE, "all other views agree better"
    ),
    "cosine_worst": GateMeaning("Agreement, worst view", COSINE, "shown below"),
    "card_cosine_worst": GateMeaning(
        "Agreement, worst card", COSINE, "mean over the views of the card that agrees worst",
        _threshold("card_cosine"),
    ),
    "onnx_top1": GateMeaning(
        "Right card nearest, before compilation", SHARE, "top-1 of the ONNX file"
    ),
    "compiled_top1": GateMeaning(
        "Right card nearest, compiled", SHARE, "top-1 of the file that ships"
    ),
    "pytorch_top1": GateMeaning(
        "Right card nearest, as trained", SHARE, "top-1 by the training job's own evaluation"
    ),
    "top1_drop": GateMeaning(
        "Right card nearest, lost", SHARE, "by compilation, on the same views",
        lambda figures, thresholds: thresholds["top1_drop"]
        + thresholds["standard_errors"] * figures["top1_drop_standard_error"],
        MOST, "with what chance explains",
    ),
    "top1_drop_standard_error": GateMeaning(
        "Right card nearest, lost: standard error", SHARE, "over cards"
    ),
    "onnx_top5": GateMeaning("Right card among five, before compilation", SHARE, "top-5"),
    "compiled_top5": GateMeaning("Right card among five, compiled", SHARE, "top-5"),
    "queries": GateMeaning("Views of known cards", COUNT, "that were looked at"),
    "cards_judged": GateMeaning(
        "Cards judged one by one", COUNT, "four of their views at least were right before"
    ),
    "cards_lost": GateMeaning(
        "Cards lost", COUNT, "cards that are never the nearest any more",
        lambda figures, thresholds: 0, MOST,
    ),
    "onnx_auroc": GateMeaning(
        "Known told from unknown, before compilation", SHARE, "AUROC"
    ),
    "compiled_auroc": GateMeaning(
        "Known told from unknown, compiled", SHARE,
        "AUROC: a known card's view scores above an unknown one's",
        lambda figures, thresholds: figures["onnx_auroc"] - thresholds["auroc_drop"],
    ),
    "gallery_spread": GateMeaning(
        "Spread of the cards", RATIO,
        "mean of 1 − cosine between two cards; 0 is one answer for all",
        _threshold("spread"),
    ),
    "onnx_distinct": GateMeaning(
        "Different cards, before compilation", COUNT, "scans with an embedding of their own"
    ),
    "compiled_distinct": GateMeaning(
        "Different cards, compiled", COUNT, "scans with an embedding of their own",
        lambda figures, thresholds: thresholds["distinct"] * figures["onnx_distinct"],
    ),
    "onnx_cosine_mean": GateMeaning(
        "ONNX file against training, mean", COSINE, "agreement of the exported graph with PyTorch",
        _threshold("onnx_cosine_mean"),
    ),
    "onnx_cosine_worst": GateMeaning("ONNX file against training, worst view", COSINE, "likewise"),
    "optimised_cosine_mean": GateMeaning(
        "Before quantisation, mean", COSINE, "agreement of the compiler's own graph with ONNX",
        _threshold("optimised_cosine_mean"),
    ),
    "channels_as_fed": GateMeaning(
        "Colours as fed", COSINE, "agreement on known scans",
        lambda figures, thresholds: figures["channels_swapped"],
    ),
    "channels_swapped": GateMeaning(
        "Colours exchanged", COSINE, "the same with red and blue exchanged: must be worse"
    ),
    "calibration_mean_shift": GateMeaning(
        "Calibration images, brightness", PIXELS, "farthest from the views, by channel, of 255",
        _threshold("pixel_shift"), MOST,
    ),
    "calibration_std_shift": GateMeaning(
        "Calibration images, contrast", PIXELS, "farthest from the views, by channel, of 255",
        _threshold("pixel_shift"), MOST,
    ),
    "calibration_roughness_ratio": GateMeaning(
        "Calibration images, roughness", RATIO, "times that of the views; noise would be far above",
        _threshold("roughness_ratio"), MOST, "and not below its inverse",
    ),
    "calibration_tint_agreement": GateMeaning(
        "Calibration images, tint", COSINE, "agreement with their scans; -1 is red for blue",
        _threshold("tint_agreement"),
    ),
    "index_cosine_worst": GateMeaning(
        "Index, worst row", COSINE, "agreement of the shipped rows with the shipped model",
        _threshold("index_cosine"),
    ),
    "index_recall": GateMeaning(
        "Index, answers as near as can be", SHARE,
        "of views, whose nearest card the 8-bit rows find as the model's own embeddings do",
    ),
    "added_cards": GateMeaning("Cards added after training", COUNT, "that are only in the index"),
    "added_queries": GateMeaning("Views of added cards", COUNT, "that were looked at"),
    "top1_added": GateMeaning("Right card nearest, added cards", SHARE, "top-1 of their views"),
    "accepted_right_added": GateMeaning(
        "Named right, added cards", SHARE, "of their views, at the threshold"
    ),
    "top1_before": GateMeaning(
        "Right card nearest, without the added cards", SHARE, "of the known cards' views"
    ),
    "accepted_right_before": GateMeaning(
        "Named right, without the added cards", SHARE, "of the known cards' views"
    ),
    "false_accept_rate_before": GateMeaning(
        "Unknown cards named, without the added cards", SHARE, "views of cards outside the set"
    ),
    "threshold_before": GateMeaning(
        "Threshold without the added cards", COSINE, "from which a card is named"
    ),
}  # fmt: skip
#: Ends of intervals: they stand in the figure's own row.
ENDS = ("_low", "_high")


def gate_figures(figures: Numbers, thresholds: Numbers) -> tuple[GateFigure, ...]:
    """The gate's figures, each with its limit.

    Args:
        figures: Of ``fidelity.json``; an interval's ends stand beside their figure.
        thresholds: Of the same, and the gate's own (``export.fidelity.gate.FIXED``).
    """
    return tuple(
        _figure(key, meaning, figures, thresholds)
        for key, meaning in GATE_MEANINGS.items()
        if key in figures
    )


def nameless(figures: Numbers) -> list[str]:
    """Figures that no meaning is known for; a test holds that there is none."""
    ends = {f"{key}{end}" for key in GATE_MEANINGS for end in ENDS}
    return sorted(set(figures) - set(GATE_MEANINGS) - ends)


def _figure(key: str, meaning: GateMeaning, figures: Numbers, thresholds: Numbers) -> GateFigure:
    value = figures[key]
    text = _text(value, meaning.unit)
    low, high = (figures.get(f"{key}{end}") for end in ENDS)
    if low is not None and high is not None:
        text += f" ({_text(low, meaning.unit)} – {_text(high, meaning.unit)})"
    if meaning.limit is None:
        return GateFigure(key, value, meaning, text, "", None)
    limit = meaning.limit(figures, thresholds)
    met = value >= limit if meaning.side == LEAST else value <= limit
    words = f"{meaning.side} {_text(limit, meaning.unit)}"
    if meaning.note:
        words += f", {meaning.note}"
    return GateFigure(key, value, meaning, text, words, met)


def _text(value: float, unit: str) -> str:
    if unit == PIXELS:
        return f"{value:.1f}"
    return f"{value:.3g}" if unit == RATIO else in_unit(value, unit)
