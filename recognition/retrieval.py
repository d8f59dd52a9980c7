"""Retrieval figures: how often the right card comes first, and what happens to unknown cards.

The gallery holds embeddings of clean scans; queries are embeddings of unseen camera views. All
similarities are cosines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recognition.acceptance.false_accepts import FALSE_ACCEPTS
from recognition.acceptance.rounding_noise import FLOAT_NOISE
from recognition.acceptance.rule import AcceptanceRule
from recognition.acceptance.threshold import (
    ChosenThreshold,
    choose_threshold,
    threshold_between,
)
from recognition.clustered_intervals import (
    Clusters,
    Interval,
    auroc_interval,
    mean_interval,
    rate_interval,
)
from recognition.evaluation_metrics import ArtworkMetrics, Evaluation, FramesMetrics
from recognition.search.frames import FRAMES, in_frames
from recognition.search.gallery import CHUNK, TIE, Floats, Gallery, OwnCard, checked_rows
from recognition.search.match_score import MatchScore

Doubles = NDArray[np.float64]

#: The score that ships: ``bench/rejection.py`` compares candidates, docs/training.md has figures.
SCORE = MatchScore()
#: Points of a curve: one for each twentieth of the known cards' queries that is accepted.
_CURVE_POINTS = 21


def evaluate(
    gallery: ArrayLike,
    gallery_ids: Sequence[str],
    queries: ArrayLike,
    query_ids: Sequence[str],
    unseen_validation: ArrayLike,
    unseen_test: ArrayLike,
    *,
    unseen_gallery: ArrayLike | None = None,
    unseen_gallery_ids: Sequence[str] | None = None,
    unseen_test_ids: Sequence[str] | None = None,
    unseen_validation_ids: Sequence[str] | None = None,
    strangers: ArrayLike | None = None,
    stranger_ids: Sequence[str] | None = None,
    artworks: Mapping[str, str] | None = None,
    printing_margin: float = 0.0,
    false_accepts: float = FALSE_ACCEPTS,
    score: MatchScore = SCORE,
    noise: float = FLOAT_NOISE,
    chunk: int = CHUNK,
) -> Evaluation:
    """Measures recognition of known cards and rejection of unseen ones.

    Args:
        gallery: (G, D) embeddings of the known cards' clean scans; normalised here.
        gallery_ids: Card id of each row.
        queries: (Q, D) embeddings of unseen views of known cards.
        query_ids: Card id of each query, each of them in the gallery.
        unseen_validation: (U, D) views of cards outside the gallery; they set the threshold.
        unseen_test: (V, D) views of other cards outside the gallery; they are reported.
        unseen_gallery: (H, D) clean scans of the test part's cards, for ``top1_unseen``.
        unseen_gallery_ids: Card id of each of its rows.
        unseen_test_ids: Card id of each row of ``unseen_test``.
        unseen_validation_ids: Card id of each row of ``unseen_validation``; without them its rows
            count as so many cards.
        strangers: (S, D) views of cards of another set that is outside the gallery; they set the
            threshold together with ``unseen_validation``.
        stranger_ids: Card id of each of its rows, none of them one of ``unseen_validation_ids``.
        artworks: By card id the name of the artwork that it is a printing of.
        printing_margin: Of the rule (:class:`recognition.acceptance.rule.AcceptanceRule`).
        false_accepts: The false-accept rate in (0, 1) that the threshold is to hold.
        score: What acceptance compares with the threshold.
        noise: How much a cosine of these embeddings depends on the machine that computes it;
            ``recognition.acceptance.rounding_noise.QUANTISED_NOISE`` for an 8-bit network.
        chunk: Queries compared at once; bounds the memory.

    Raises:
        ValueError: Nothing to measure, shapes or ids that do not fit, or rows without direction.
    """
    base = Gallery(gallery, gallery_ids, "gallery", artworks)
    known = checked_rows(queries, query_ids, "queries", base.dimensions)
    own_unseen = checked_rows(
        unseen_validation, unseen_validation_ids, "unseen_validation", base.dimensions
    )
    test = checked_rows(unseen_test, unseen_test_ids, "unseen_test", base.dimensions)
    views = _UnknownViews(own_unseen, unseen_validation_ids)
    added = _stranger_views(views, strangers, stranger_ids, base.dimensions)
    wide = _wide_gallery(base, gallery_ids, unseen_gallery, unseen_gallery_ids, unseen_test_ids)

    def choose(own: _UnknownViews, more: _UnknownViews | None, by: MatchScore) -> _Choice:
        def one(part: _UnknownViews) -> tuple[Doubles, ChosenThreshold]:
            scores = by.of(base.best(part.rows, by.ranks, chunk))
            return scores, choose_threshold(scores, part.ids, false_accepts, noise, by)

        return _chosen(own, one(own), more, one(more) if more else None, noise, by)

    choice = choose(views, added, score)
    cosine = choose(views, added, MatchScore()) if score.weight else choice
    thresholds = {1: choice.chosen.threshold}
    parts = _in_frames(known, query_ids, test, unseen_test_ids, views)
    if parts is not None:
        several_added = added.in_frames() if added else None
        found = choose(parts.outside, several_added, score).chosen
        thresholds[FRAMES] = found.threshold
    rule = AcceptanceRule(thresholds, score, printing_margin)
    several = _several_frames(base, wide, parts, rule, found, chunk) if parts else None

    own = base.own_cards(known, query_ids, chunk)
    best_known, best_test = (base.best(rows, score.ranks, chunk) for rows in (known, test))
    accepted, false = rule.accepts(best_known), rule.accepts(best_test)
    right = accepted & (own.rank == 1)
    scores_known, scores_test = score.of(best_known), score.of(best_test)
    of_known, of_test = Clusters(query_ids, len(known)), Clusters(unseen_test_ids, len(test))
    top1_unseen = interval_unseen = None
    if wide is not None and unseen_test_ids is not None:
        first = wide.own_cards(test, unseen_test_ids, chunk).rank == 1
        top1_unseen, interval_unseen = float(first.mean()), rate_interval(first, of_test)
    chosen = choice.chosen
    return Evaluation(
        top1=float((own.rank == 1).mean()),
        top5=float((own.rank <= 5).mean()),
        mean_average_precision=float((1 / own.rank).mean()),
        queries=len(known),
        gallery=len(base.given),
        cards=len(base.cards),
        auroc=auroc(scores_known, scores_test, TIE),
        threshold=chosen.threshold,
        cosine_threshold=cosine.chosen.threshold,
        false_accept_target=false_accepts,
        false_accept_estimate=chosen.estimate,
        false_accept_bound=chosen.bound,
        false_accept_rate=float(false.mean()),
        true_accept_rate=float(accepted.mean()),
        accepted_right=float(right.mean()),
        intra_distance=float(1 - own.own.mean(dtype=np.float64)),
        inter_distance=float(1 - own.others.mean(dtype=np.float64)),
        mean_similarity=float(own.own.mean(dtype=np.float64)),
        mean_best_other=float(own.other.mean(dtype=np.float64)),
        unseen_validation=chosen.views,
        threshold_cards=chosen.cards,
        unseen_test=len(test),
        unseen_cards=of_test.count,
        top1_interval=rate_interval(own.rank == 1, of_known),
        top5_interval=rate_interval(own.rank <= 5, of_known),
        mean_average_precision_interval=mean_interval(1 / own.rank, of_known),
        auroc_interval=auroc_interval(scores_known, of_known, scores_test, of_test, TIE),
        false_accept_rate_interval=rate_interval(false, of_test),
        accepted_right_interval=rate_interval(right, of_known),
        intra_distance_interval=mean_interval(1 - own.own, of_known),
        inter_distance_interval=mean_interval(1 - own.others, of_known),
        rule=rule,
        top1_unseen=top1_unseen,
        top1_unseen_interval=interval_unseen,
        three_frames=several,
        artworks=_artwork_figures(base, own, accepted, rule, of_known),
        strangers_rate=choice.strangers_rate,
        strangers_interval=choice.strangers_interval,
        curve=_curve(scores_known, own.rank == 1, scores_test),
        warnings=(chosen.warning,) if chosen.warning else (),
    )


def auroc(positives: ArrayLike, negatives: ArrayLike, tie: float = 0.0) -> float:
    """Area under the ROC curve by the rank statistic (Mann and Whitney); ties count half.

    Args:
        positives: Scores of known cards' queries.
        negatives: Scores of unknown cards' queries.
        tie: Scores that differ by no more than this are equal.

    Raises:
        ValueError: One side is empty.
    """
    above = np.sort(np.asarray(negatives, dtype=np.float64))
    known = np.asarray(positives, dtype=np.float64)
    if not len(above) or not len(known):
        raise ValueError("auroc needs scores of both known and unseen queries")
    below = np.searchsorted(above, known - tie, side="left").sum(dtype=np.int64)
    up_to = np.searchsorted(above, known + tie, side="right").sum(dtype=np.int64)
    return float((below + up_to) / 2 / (len(above) * len(known)))


@dataclass(frozen=True)
class _UnknownViews:
    """Views of cards outside the gallery, and the card of each where that is known."""

    rows: Floats
    ids: Sequence[str] | None

    def in_frames(self) -> _UnknownViews | None:
        """Several frames as one view each; None where no card has so many, or none is named."""
        if self.ids is None:
            return None
        rows, ids = in_frames(self.rows, self.ids)
        return _UnknownViews(rows, ids) if ids else None


@dataclass(frozen=True)
class _Choice:
    """The chosen threshold, and how well added strangers would have predicted it."""

    chosen: ChosenThreshold
    strangers_rate: float | None = None
    strangers_interval: Interval | None = None


def _chosen(
    own: _UnknownViews,
    by_own: tuple[Doubles, ChosenThreshold],
    more: _UnknownViews | None,
    by_more: tuple[Doubles, ChosenThreshold] | None,
    noise: float,
    score: MatchScore,
) -> _Choice:
    """Added strangers make the threshold surer where they predict, and are left out elsewhere.

    They predict where the threshold that they alone would give lets no more of the set's own
    unknown views pass than was meant. Many easy ones must not outweigh a few own ones: never do
    more of those pass than was meant, whatever all of them together would allow.
    """
    scores, chosen = by_own
    if more is None or by_more is None:
        return _Choice(chosen)
    more_scores, alone = by_more
    passing = scores >= alone.threshold
    rate = float(passing.mean())
    interval = rate_interval(passing, Clusters(own.ids, len(passing)))
    if rate <= chosen.target:
        ids = [*(own.ids or ()), *(more.ids or ())]
        both = np.concatenate([scores, more_scores])
        pooled = choose_threshold(both, ids, chosen.target, noise, score)
        meant = math.floor(chosen.target * len(scores) + 1e-9)
        chosen = pooled.at_least(threshold_between(scores, meant, noise, score), both, ids)
    return _Choice(chosen, rate, interval)


@dataclass(frozen=True)
class _Frames:
    """Queries of several frames each."""

    known: Floats
    known_ids: list[str]
    test: Floats
    test_ids: list[str]
    outside: _UnknownViews


def _in_frames(
    known: Floats,
    known_ids: Sequence[str],
    test: Floats,
    test_ids: Sequence[str] | None,
    outside: _UnknownViews,
) -> _Frames | None:
    """None where a part does not say which views are of one card, or has too few of each."""
    several = outside.in_frames()
    if test_ids is None or several is None:
        return None
    (known, a), (test, b) = in_frames(known, known_ids), in_frames(test, test_ids)
    return _Frames(known, a, test, b, several) if a and b else None


def _several_frames(
    base: Gallery,
    wide: Gallery | None,
    parts: _Frames,
    rule: AcceptanceRule,
    chosen: ChosenThreshold,
    chunk: int,
) -> FramesMetrics:
    ranks = rule.score.ranks
    of_known = Clusters(parts.known_ids, len(parts.known))
    of_test = Clusters(parts.test_ids, len(parts.test))
    first = base.own_cards(parts.known, parts.known_ids, chunk).rank == 1
    right = first & rule.accepts(base.best(parts.known, ranks, chunk), FRAMES)
    false = rule.accepts(base.best(parts.test, ranks, chunk), FRAMES)
    unseen = None if wide is None else wide.own_cards(parts.test, parts.test_ids, chunk).rank == 1
    return FramesMetrics(
        frames=FRAMES,
        queries=len(parts.known),
        unseen_test=len(parts.test),
        top1=float(first.mean()),
        top1_interval=rate_interval(first, of_known),
        accepted_right=float(right.mean()),
        accepted_right_interval=rate_interval(right, of_known),
        false_accept_rate=float(false.mean()),
        false_accept_rate_interval=rate_interval(false, of_test),
        threshold=chosen.threshold,
        false_accept_bound=chosen.bound,
        top1_unseen=None if unseen is None else float(unseen.mean()),
        top1_unseen_interval=None if unseen is None else rate_interval(unseen, of_test),
    )


def _stranger_views(
    own: _UnknownViews,
    strangers: ArrayLike | None,
    stranger_ids: Sequence[str] | None,
    dimensions: int,
) -> _UnknownViews | None:
    if strangers is None:
        return None
    if stranger_ids is None or own.ids is None:
        raise ValueError("strangers, stranger_ids and unseen_validation_ids must be given together")
    if set(stranger_ids) & set(own.ids):
        raise ValueError("strangers: a card is also one of unseen_validation")
    return _UnknownViews(
        checked_rows(strangers, stranger_ids, "strangers", dimensions), stranger_ids
    )


def _wide_gallery(
    base: Gallery,
    gallery_ids: Sequence[str],
    added: ArrayLike | None,
    added_ids: Sequence[str] | None,
    test_ids: Sequence[str] | None,
) -> Gallery | None:
    """The gallery with the test part's cards; None where those are not given."""
    if added is None and added_ids is None:
        return None
    if added is None or added_ids is None or test_ids is None:
        raise ValueError(
            "unseen_gallery, unseen_gallery_ids and unseen_test_ids must be given together"
        )
    if set(added_ids) & set(gallery_ids):
        raise ValueError("unseen_gallery: a card is also in the gallery, so it is not unseen")
    rows = checked_rows(added, added_ids, "unseen_gallery", base.dimensions)
    return Gallery(
        np.concatenate([base.given, rows]), [*gallery_ids, *added_ids], "gallery with unseen cards"
    )


def _artwork_figures(
    base: Gallery,
    own: OwnCard,
    accepted: NDArray[np.bool_],
    rule: AcceptanceRule,
    of_known: Clusters,
) -> ArtworkMetrics | None:
    shared = base.printings > 1
    if not shared.any():
        return None
    first = own.artwork_rank == 1
    named = accepted & first & (own.margin >= rule.printing_margin)
    right, wrong = named & (own.rank == 1), named & (own.rank != 1)
    rates = {
        "top1": first,
        "accepted_right": accepted & first,
        "printing_named": right,
        "printing_wrong": wrong,
    }
    return ArtworkMetrics(
        artworks=base.artworks,
        cards=int(shared.sum()),
        **{name: float(hits.mean()) for name, hits in rates.items()},  # type: ignore[arg-type]
        **{f"{name}_interval": rate_interval(hits, of_known) for name, hits in rates.items()},  # type: ignore[arg-type]
    )


def _curve(
    known: NDArray[np.float64], first: NDArray[np.bool_], test: NDArray[np.float64]
) -> tuple[tuple[float, float, float], ...]:
    """What other thresholds bring, from all known queries accepted to none or next to none."""
    shares = np.linspace(0, 1, _CURVE_POINTS)
    thresholds = np.unique(np.quantile(known, shares))
    return tuple(
        (
            float(threshold),
            float((test >= threshold).mean()),
            float(((known >= threshold) & first).mean()),
        )
        for threshold in thresholds
    )
