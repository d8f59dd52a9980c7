"""Retrieval figures: how often the right card comes first, and what happens to unknown cards.

The gallery holds embeddings of clean scans; queries are embeddings of unseen camera views. All
similarities are cosines. A card may have several rows in the gallery: its similarity is that of
its best row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recognition.acceptance import (
    FALSE_ACCEPTS,
    FLOAT_NOISE,
    TIE,
    acceptance_threshold,
    false_accept_warning,
)
from recognition.clustered_intervals import (
    Clusters,
    Interval,
    auroc_interval,
    mean_interval,
    rate_interval,
    statistic_interval,
)

Floats = NDArray[np.float32]

CHUNK = 1024


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
        auroc: Probability that a known card's query has a higher best similarity than an unseen
            card's query (test part); ties count half.
        threshold: Similarity from which a match is accepted, chosen so that no more than
            ``false_accept_target`` of the validation part's unseen queries are
            (:mod:`recognition.acceptance`).
        false_accept_target: The share that was aimed at.
        false_accept_rate: Share of the test part's unseen queries accepted at that threshold.
        true_accept_rate: Share of the known cards' queries accepted, right or wrong.
        accepted_right: Share of the known cards' queries accepted and right.
        intra_distance: Mean of 1 − cosine between a known card's query and its own card.
        inter_distance: Mean of 1 − cosine between that query and every other card.
        mean_similarity: Mean cosine between a known card's query and its own card.
        mean_best_other: Mean cosine between that query and the best other card.
        unseen_validation: Number of queries behind ``threshold``.
        unseen_test: Number of queries behind ``false_accept_rate``.
        unseen_cards: Number of cards behind those.
        top1_unseen: Zero-shot: top-1 of the test part's unseen queries once the clean scans of
            their cards have joined the gallery; None where those were not given.
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
    false_accept_target: float
    false_accept_rate: float
    true_accept_rate: float
    accepted_right: float
    intra_distance: float
    inter_distance: float
    mean_similarity: float
    mean_best_other: float
    unseen_validation: int
    unseen_test: int
    unseen_cards: int
    top1_interval: Interval
    top5_interval: Interval
    mean_average_precision_interval: Interval
    auroc_interval: Interval
    threshold_interval: Interval
    false_accept_interval: Interval
    accepted_right_interval: Interval
    intra_distance_interval: Interval
    inter_distance_interval: Interval
    top1_unseen: float | None = None
    top1_unseen_interval: Interval | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The form of ``evaluation.json``: plain numbers; what was not measured is left out."""
        document: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None:
                document[item.name] = list(value) if isinstance(value, tuple) else value
        return document

    def metrics(self) -> dict[str, float]:
        """Every finite metric by name, an interval as ``…_low`` and ``…_high``."""
        flat: dict[str, float] = {}
        for name, value in self.to_dict().items():
            if name == "warnings":
                continue
            if isinstance(value, list):
                what = name.removesuffix("_interval")
                flat[f"{what}_low"], flat[f"{what}_high"] = value
            else:
                flat[name] = float(value)
        return {name: value for name, value in flat.items() if math.isfinite(value)}


@dataclass(frozen=True)
class Matches:
    """The best cards for each query, best first.

    Attributes:
        card_ids: (queries, k) card ids.
        similarities: float32 (queries, k) cosines.
    """

    card_ids: NDArray[np.str_]
    similarities: Floats


def l2_normalise(embeddings: ArrayLike) -> Floats:
    """Divides each row (N, D), or one vector (D,), by its length; float32.

    Raises:
        ValueError: A value is not finite, or a row is all zeros: it has no direction.
    """
    values = np.asarray(embeddings, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ValueError("embeddings: a value is not finite (NaN or infinite)")
    # In double precision, so that very small or large rows keep their direction.
    lengths = np.linalg.norm(values.astype(np.float64), axis=-1, keepdims=True)
    if (lengths == 0).any():
        raise ValueError("embeddings: a row is all zeros and has no direction")
    return np.asarray(values / lengths, dtype=np.float32)


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
    false_accepts: float = FALSE_ACCEPTS,
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
        false_accepts: Share in (0, 1) of validation queries that the threshold may accept.
        noise: How much a cosine of these embeddings depends on the machine that computes it;
            ``recognition.acceptance.QUANTISED_NOISE`` for an 8-bit network.
        chunk: Queries compared at once; bounds the memory.

    Raises:
        ValueError: Nothing to measure, shapes or ids that do not fit, or rows without direction.
    """
    base = _Gallery(gallery, gallery_ids, "gallery")
    known = _rows(queries, query_ids, "queries", base.dimensions)
    outside = _rows(unseen_validation, None, "unseen_validation", base.dimensions)
    test = _rows(unseen_test, unseen_test_ids, "unseen_test", base.dimensions)

    own, other, others, rank = base.ranks(known, query_ids, chunk)
    best_known = np.maximum(own, other)
    best_outside = base.best(outside, chunk)
    best_test = base.best(test, chunk)
    threshold = acceptance_threshold(best_outside, false_accepts, noise)
    warning = false_accept_warning(false_accepts, len(outside))
    accepted = best_known >= threshold
    false = best_test >= threshold
    of_known = Clusters(query_ids, len(known))
    of_outside = Clusters(unseen_validation_ids, len(outside))
    of_test = Clusters(unseen_test_ids, len(test))

    top1_unseen = interval_unseen = None
    given = (unseen_gallery is not None, unseen_gallery_ids is not None)
    if any(given):
        if unseen_gallery is None or unseen_gallery_ids is None or unseen_test_ids is None:
            raise ValueError(
                "unseen_gallery, unseen_gallery_ids and unseen_test_ids must be given together"
            )
        if set(unseen_gallery_ids) & set(gallery_ids):
            raise ValueError("unseen_gallery: a card is also in the gallery, so it is not unseen")
        added = _rows(unseen_gallery, unseen_gallery_ids, "unseen_gallery", base.dimensions)
        wide = _Gallery(
            np.concatenate([base.given, added]),
            [*gallery_ids, *unseen_gallery_ids],
            "gallery with unseen cards",
        )
        *_, unseen_rank = wide.ranks(test, unseen_test_ids, chunk)
        top1_unseen = float((unseen_rank == 1).mean())
        interval_unseen = rate_interval(unseen_rank == 1, of_test)

    return Evaluation(
        top1=float((rank == 1).mean()),
        top5=float((rank <= 5).mean()),
        mean_average_precision=float((1 / rank).mean()),
        queries=len(known),
        gallery=len(base.given),
        cards=len(base.cards),
        auroc=auroc(best_known, best_test, TIE),
        threshold=threshold,
        false_accept_target=false_accepts,
        false_accept_rate=float(false.mean()),
        true_accept_rate=float(accepted.mean()),
        accepted_right=float((accepted & (rank == 1)).mean()),
        intra_distance=float(1 - own.mean(dtype=np.float64)),
        inter_distance=float(1 - others.mean(dtype=np.float64)),
        mean_similarity=float(own.mean(dtype=np.float64)),
        mean_best_other=float(other.mean(dtype=np.float64)),
        unseen_validation=len(outside),
        unseen_test=len(test),
        unseen_cards=of_test.count,
        top1_interval=rate_interval(rank == 1, of_known),
        top5_interval=rate_interval(rank <= 5, of_known),
        mean_average_precision_interval=mean_interval(1 / rank, of_known),
        auroc_interval=auroc_interval(best_known, of_known, best_test, of_test, TIE),
        threshold_interval=statistic_interval(
            best_outside,
            of_outside,
            lambda values: acceptance_threshold(values, false_accepts, noise),
        ),
        false_accept_interval=rate_interval(false, of_test),
        accepted_right_interval=rate_interval(accepted & (rank == 1), of_known),
        intra_distance_interval=mean_interval(1 - own, of_known),
        inter_distance_interval=mean_interval(1 - others, of_known),
        top1_unseen=top1_unseen,
        top1_unseen_interval=interval_unseen,
        warnings=(warning,) if warning else (),
    )


def best_matches(
    gallery: ArrayLike,
    gallery_ids: Sequence[str],
    queries: ArrayLike,
    k: int = 5,
    chunk: int = CHUNK,
) -> Matches:
    """The k most similar cards of each query; equal similarities in the order of the ids.

    Raises:
        ValueError: As :func:`evaluate`, or k below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    base = _Gallery(gallery, gallery_ids, "gallery")
    rows = _rows(queries, None, "queries", base.dimensions)
    ids, values = [], []
    for _, scores in base.scores(rows, chunk):
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        ids.append(base.cards[order])
        values.append(np.take_along_axis(scores, order, axis=1))
    return Matches(np.concatenate(ids), np.concatenate(values))


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
    ours = np.asarray(positives, dtype=np.float64)
    if not len(above) or not len(ours):
        raise ValueError("auroc needs scores of both known and unseen queries")
    below = np.searchsorted(above, ours - tie, side="left").sum(dtype=np.int64)
    up_to = np.searchsorted(above, ours + tie, side="right").sum(dtype=np.int64)
    return float((below + up_to) / 2 / (len(above) * len(ours)))


class _Gallery:
    """Gallery rows sorted by card, so that a card's best row is one ``maximum.reduceat``."""

    def __init__(self, embeddings: ArrayLike, card_ids: Sequence[str], name: str) -> None:
        self.given = _rows(embeddings, card_ids, name, None)
        ids = np.asarray(card_ids, dtype=np.str_)
        order = np.argsort(ids, kind="stable")
        self.cards, self._starts = np.unique(ids[order], return_index=True)
        self._columns = np.ascontiguousarray(self.given[order].T)
        self.dimensions = self.given.shape[1]
        self._name = name

    def scores(self, queries: Floats, chunk: int) -> Iterator[tuple[slice, Floats]]:
        """For each chunk of queries its place and float32 (chunk, cards) similarities."""
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1, not {chunk}")
        single = len(self.cards) == len(self.given)
        for start in range(0, len(queries), chunk):
            rows = slice(start, min(start + chunk, len(queries)))
            products = queries[rows] @ self._columns
            if not single:
                products = np.maximum.reduceat(products, self._starts, axis=1)
            # Rounding carries a cosine beyond 1; nothing may be above what no threshold exceeds.
            yield rows, np.clip(products, -1.0, 1.0, out=products)

    def best(self, queries: Floats, chunk: int) -> Floats:
        """Similarity (queries,) of the best card."""
        best = np.empty(len(queries), dtype=np.float32)
        for rows, scores in self.scores(queries, chunk):
            best[rows] = scores.max(axis=1)
        return best

    def ranks(
        self, queries: Floats, query_ids: Sequence[str], chunk: int
    ) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
        """Of each query: similarity of its own card, of the best other one, the mean over the
        others, and its own card's rank from 1."""
        wanted = np.asarray(query_ids, dtype=np.str_)
        column = np.minimum(np.searchsorted(self.cards, wanted), len(self.cards) - 1)
        missing = self.cards[column] != wanted
        if missing.any():
            raise ValueError(
                f"query of card {wanted[missing][0]}: that card is not in the {self._name}"
            )
        own = np.empty(len(queries), dtype=np.float32)
        other = np.full(len(queries), -1.0, dtype=np.float32)
        others = np.full(len(queries), -1.0, dtype=np.float32)
        rank = np.empty(len(queries), dtype=np.int64)
        for rows, scores in self.scores(queries, chunk):
            at = column[rows][:, None]
            mine = np.take_along_axis(scores, at, axis=1)
            own[rows] = mine[:, 0]
            rank[rows] = (scores >= mine - np.float32(TIE)).sum(axis=1)
            if len(self.cards) > 1:
                others[rows] = (scores.sum(axis=1) - mine[:, 0]) / (len(self.cards) - 1)
                np.put_along_axis(scores, at, -np.inf, axis=1)
                other[rows] = scores.max(axis=1)
        return own, other, others, rank


def _rows(
    embeddings: ArrayLike, card_ids: Sequence[str] | None, name: str, dimensions: int | None
) -> Floats:
    values = np.asarray(embeddings, dtype=np.float32)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"{name}: expected (rows, dimensions) with at least one row, got shape {values.shape}"
        )
    if card_ids is not None and len(card_ids) != len(values):
        raise ValueError(f"{name}: {len(values)} rows but {len(card_ids)} card ids")
    if dimensions is not None and values.shape[1] != dimensions:
        raise ValueError(f"{name}: {values.shape[1]} dimensions, the gallery has {dimensions}")
    try:
        return l2_normalise(values)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
