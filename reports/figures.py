"""Measured figures with their names, units and meanings, from an evaluation or from metadata."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.versions.metadata import metric_key

#: Metadata keeps four digits: two sources that agree differ by no more.
ROUNDING = 5.1e-5


@dataclass(frozen=True)
class Meaning:
    """What a figure is called, and what it says."""

    name: str
    unit: str
    words: str


SHARE, COSINE, COUNT = "share", "cosine", "count"
#: By its name in ``evaluation.json``.
MEANINGS: Mapping[str, Meaning] = {
    "accepted_right": Meaning(
        "Named right", SHARE, "views of known cards that a device names, and names right"
    ),
    "true_accept_rate": Meaning(
        "Named", SHARE, "views of known cards that a device names at all, right or wrong"
    ),
    "false_accept_rate": Meaning(
        "Unknown cards named", SHARE, "views of cards outside the set that are named all the same"
    ),
    "top1": Meaning(
        "Right card nearest", SHARE, "top-1: before the threshold decides whether to answer"
    ),
    "top5": Meaning("Right card among five", SHARE, "top-5: before the threshold decides"),
    "top1_unseen": Meaning(
        "Right card nearest, new cards", SHARE, "cards that were never trained on, once indexed"
    ),
    "auroc": Meaning(
        "Known told from unknown", SHARE, "AUROC: a known card's view scores above an unknown one's"
    ),
    "threshold": Meaning("Threshold", COSINE, "similarity from which a card is named"),
    "false_accept_target": Meaning(
        "Unknown cards named, target", SHARE, "what the threshold was chosen for"
    ),
    "false_accept_bound": Meaning(
        "Unknown cards named, bound", SHARE, "95 % sure, over the cards that chose the threshold"
    ),
    "validation_top1": Meaning(
        "Right card nearest, validation", SHARE, "on the views that settings are chosen by"
    ),
    "similarity": Meaning("Similarity to the teacher", COSINE, "mean, on unseen views"),
    "three_frames_accepted_right": Meaning(
        "Named right, three frames", SHARE, "when a device looks at three frames of a card"
    ),
    "three_frames_false_accept_rate": Meaning(
        "Unknown cards named, three frames", SHARE, "when a device looks at three frames"
    ),
    "artworks_accepted_right": Meaning(
        "Artwork named right", SHARE, "where printings of one artwork count as one"
    ),
    "artworks_printing_wrong": Meaning(
        "Wrong printing named", SHARE, "the artwork is right, another printing of it is named"
    ),
    "queries": Meaning("Views of known cards", COUNT, "that were looked at"),
    "cards": Meaning("Known cards", COUNT, "in the gallery"),
    "unseen_test": Meaning("Views of unknown cards", COUNT, "that were looked at"),
    "unseen_cards": Meaning("Unknown cards", COUNT, "cards that these views are of"),
    "unseen_validation": Meaning("Views that chose the threshold", COUNT, "of other unknown cards"),
    "threshold_cards": Meaning("Cards that chose the threshold", COUNT, "other unknown cards"),
}
#: An interval's name in earlier evaluations.
_EARLIER = {"false_accept_rate": "false_accept_interval"}
#: By our name, the metadata key that is not made from it.
_KEYS = {"similarity": "BestSimilarity"}


@dataclass(frozen=True)
class Figure:
    """A measured figure.

    Attributes:
        key: Its name in ``evaluation.json``.
        low: Lower end of its 95 % interval; None where it has none.
        high: Upper end.
    """

    key: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def meaning(self) -> Meaning:
        """Its name, unit and meaning."""
        return MEANINGS[self.key]

    @property
    def text(self) -> str:
        """The value as the page shows it."""
        return in_unit(self.value, self.meaning.unit)

    @property
    def interval(self) -> str:
        """The interval as the page shows it; empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        unit = self.meaning.unit
        return f"{in_unit(self.low, unit)} – {in_unit(self.high, unit)}"


def in_unit(value: float, unit: str) -> str:
    """A figure as text.

    >>> in_unit(0.9412, SHARE), in_unit(0.61253, COSINE), in_unit(17592, COUNT)
    ('94.12 %', '0.6125', '17,592')
    """
    if unit == SHARE:
        return f"{value * 100:.2f} %"
    return f"{value:,.0f}" if unit == COUNT else f"{value:.4f}"


def from_evaluation(document: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures of ``evaluation.json``; what is not a finite number is left out."""
    flat = dict(document)
    for group in ("three_frames", "artworks"):
        inner = document.get(group)
        if isinstance(inner, Mapping):
            flat |= {f"{group}_{name}": value for name, value in inner.items()}
    validation = document.get("validation")
    if isinstance(validation, Mapping):
        flat["validation_top1"] = validation.get("top1")
    found = {}
    for key in MEANINGS:
        value = _finite(flat.get(key))
        if value is None:
            continue
        ends = flat.get(f"{key}_interval", flat.get(_EARLIER.get(key, "")))
        low = high = None
        if isinstance(ends, list | tuple) and len(ends) == 2:
            low, high = (_finite(end) for end in ends)
        found[key] = Figure(key, value, low, high)
    return found


def from_metadata(metadata: Mapping[str, str]) -> dict[str, Figure]:
    """The figures that a version's metadata has."""
    found = {}
    for key in MEANINGS:
        name = _KEYS.get(key, metric_key(key))
        value, low, high = (_finite(metadata.get(f"{name}{end}")) for end in ("", "Low", "High"))
        if value is not None:
            found[key] = Figure(key, value, low, high)
    return found


def contradictions(evaluation: Mapping[str, Figure], metadata: Mapping[str, Figure]) -> list[str]:
    """Figures that the registry and the model's own evaluation state differently."""
    return [
        f"{MEANINGS[key].name}: the registry says {figure.value:g}, the evaluation "
        f"{evaluation[key].value:g}"
        for key, figure in metadata.items()
        if key in evaluation
        and not math.isclose(figure.value, evaluation[key].value, rel_tol=0, abs_tol=ROUNDING)
    ]


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
