"""The figures of an evaluation, and their forms in files.

They are computed by :mod:`recognition.retrieval`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from recognition.acceptance.rule import AcceptanceRule
from recognition.clustered_intervals import Interval


@dataclass(frozen=True)
class FramesMetrics:
    """The figures of queries that are several frames of one card each.

    Attributes:
        frames: Views that one query is the mean of.
        queries: Number of the known cards' queries.
        unseen_test: Number of queries behind ``false_accept_rate``.
        threshold: Chosen like the one for a single frame, by as many frames.
        false_accept_bound: As of a single frame.
    """

    frames: int
    queries: int
    unseen_test: int
    top1: float
    top1_interval: Interval
    accepted_right: float
    accepted_right_interval: Interval
    false_accept_rate: float
    false_accept_rate_interval: Interval
    threshold: float
    false_accept_bound: float
    top1_unseen: float | None = None
    top1_unseen_interval: Interval | None = None


@dataclass(frozen=True)
class ArtworkMetrics:
    """The figures of the two levels of an answer, where cards are printings of one artwork.

    Attributes:
        artworks: Artworks in the gallery.
        cards: Cards that share theirs with another.
        top1: Share of the known cards' queries whose artwork is nearest.
        accepted_right: Share accepted, and the artwork right.
        printing_named: Share accepted, the printing named, and that right.
        printing_wrong: Share accepted, the artwork right, and the wrong printing named.
    """

    artworks: int
    cards: int
    top1: float
    top1_interval: Interval
    accepted_right: float
    accepted_right_interval: Interval
    printing_named: float
    printing_named_interval: Interval
    printing_wrong: float
    printing_wrong_interval: Interval


@dataclass(frozen=True)
class Evaluation:
    """What an embedding is worth on held-out views. Rates are in [0, 1].

    Every figure with an ``…_interval`` has its 95 % interval over cards, not over views: see
    :mod:`recognition.clustered_intervals`.

    Attributes:
        top1: Share of the known cards' queries whose own card has the highest similarity. An
            equal similarity of another card, within 1e-6, counts as a miss.
        top5: Share whose card is among the best five, counted likewise.
        mean_average_precision: Mean of 1 / rank of the own card: a query has one right card.
        queries: Number of the known cards' queries.
        gallery: Number of gallery rows.
        cards: Number of distinct cards in the gallery.
        auroc: Probability that a known card's query has a higher score than an unseen card's query
            (test part); ties count half.
        threshold: Score from which a match is accepted, chosen by views of unknown cards
            (:mod:`recognition.acceptance.threshold`).
        cosine_threshold: The same if the score were the best cosine.
        false_accept_target: The false-accept rate that was aimed at.
        false_accept_estimate: Upper end of a one-sided 95 % interval of the false-accept rate, by a
            bootstrap over the cards that chose the threshold; at most the target.
        false_accept_bound: The same without assumptions: what these cards show.
        false_accept_rate: Share of the test part's unseen queries accepted at that threshold.
        true_accept_rate: Share of the known cards' queries accepted, right or wrong.
        accepted_right: Share of the known cards' queries accepted and right.
        intra_distance: Mean of 1 − cosine between a known card's query and its own card.
        inter_distance: Mean of 1 − cosine between that query and every other card.
        mean_similarity: Mean cosine between a known card's query and its own card.
        mean_best_other: Mean cosine between that query and the best other card.
        unseen_validation: Number of queries behind ``threshold``.
        threshold_cards: Number of cards behind those.
        unseen_test: Number of queries behind ``false_accept_rate``.
        unseen_cards: Number of cards behind those.
        top1_unseen: Zero-shot: top-1 of the test part's unseen queries once the clean scans of
            their cards have joined the gallery; None where those were not given.
        rule: What decides about an answer: score, thresholds by the number of frames, margin.
        curve: Rows of threshold, false-accept rate (test part), accepted and right: what another
            threshold would bring.
        three_frames: Of queries that are three frames of a card; None where cards have fewer views.
        artworks: Both levels of an answer; None where no two cards share an artwork.
        strangers_rate: Share of the validation part's own unseen queries accepted at the threshold
            that the added strangers alone would give: above the target where strangers are easier
            to reject than the set's own cards. None without added strangers.
        warnings: What limits the meaning of these figures, one sentence each.
    """

    top1: float
    top5: float
    mean_average_precision: float
    queries: int
    gallery: int
    cards: int
    auroc: float
    threshold: float
    cosine_threshold: float
    false_accept_target: float
    false_accept_estimate: float
    false_accept_bound: float
    false_accept_rate: float
    true_accept_rate: float
    accepted_right: float
    intra_distance: float
    inter_distance: float
    mean_similarity: float
    mean_best_other: float
    unseen_validation: int
    threshold_cards: int
    unseen_test: int
    unseen_cards: int
    top1_interval: Interval
    top5_interval: Interval
    mean_average_precision_interval: Interval
    auroc_interval: Interval
    false_accept_rate_interval: Interval
    accepted_right_interval: Interval
    intra_distance_interval: Interval
    inter_distance_interval: Interval
    rule: AcceptanceRule
    top1_unseen: float | None = None
    top1_unseen_interval: Interval | None = None
    three_frames: FramesMetrics | None = None
    artworks: ArtworkMetrics | None = None
    strangers_rate: float | None = None
    strangers_interval: Interval | None = None
    curve: tuple[tuple[float, float, float], ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The form of ``evaluation.json``: plain numbers; what was not measured is left out."""
        return _plain(self)

    def metrics(self) -> dict[str, float]:
        """Every finite metric by name: an interval as ``…_low`` and ``…_high``, and a group's
        figures with its name before theirs (``three_frames_top1``)."""
        document = self.to_dict()
        for name in ("rule", "curve", "warnings"):
            document.pop(name)
        flat = _flat(document)
        return {name: value for name, value in flat.items() if math.isfinite(value)}

    def acceptance(self) -> dict[str, Any]:
        """The form of ``acceptance`` in a manifest: the rule, and what was measured of it."""
        return {
            **self.rule.to_dict(),
            "target": self.false_accept_target,
            "estimate": self.false_accept_estimate,
            "bound": self.false_accept_bound,
            "cards": self.threshold_cards,
            "views": self.unseen_validation,
            "false_accept_rate": self.false_accept_rate,
            "false_accept_rate_interval": list(self.false_accept_rate_interval),
            "accepted_right": self.accepted_right,
            "curve": [list(point) for point in self.curve],
        }


def _plain(item: Any) -> dict[str, Any]:
    """A dataclass of figures as JSON takes it; what is None is left out."""
    document: dict[str, Any] = {}
    for each in fields(item):
        value = getattr(item, each.name)
        if isinstance(value, AcceptanceRule):
            document[each.name] = value.to_dict()
        elif isinstance(value, FramesMetrics | ArtworkMetrics):
            document[each.name] = _plain(value)
        elif isinstance(value, tuple):
            document[each.name] = [list(v) if isinstance(v, tuple) else v for v in value]
        elif value is not None:
            document[each.name] = value
    return document


def _flat(document: Mapping[str, Any]) -> dict[str, float]:
    flat: dict[str, float] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}_{inner}": each for inner, each in _flat(value).items()}
        elif isinstance(value, list):
            metric = name.removesuffix("_interval")
            flat[f"{metric}_low"], flat[f"{metric}_high"] = value
        else:
            flat[name] = float(value)
    return flat
