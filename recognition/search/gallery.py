"""Embeddings of known cards' scans, and the cosines of queries with them, card by card.

A card may have several rows: its cosine is that of its best row. Cards may be printings of one
artwork: where artworks are told apart, an artwork's cosine is that of its best card.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

CHUNK = 1024
#: Cosines nearer than this are equal: two identical embeddings, multiplied in different places of
#: one matrix product, differ by some 1e-7.
TIE = 1e-6


@dataclass(frozen=True)
class Matches:
    """The best cards for each query, best first.

    Attributes:
        card_ids: (queries, k) card ids.
        similarities: float32 (queries, k) cosines.
    """

    card_ids: NDArray[np.str_]
    similarities: Floats


@dataclass(frozen=True)
class OwnCard:
    """Where the own card of each query stands among all cards.

    Attributes:
        own: float32 (Q,) cosine of the own card.
        other: Of the best other card; −1 where there is none.
        others: Mean over the other cards; −1 where there are none.
        rank: int64 (Q,) the own card's rank from 1; an equal cosine of another card, within 1e-6,
            is before it.
        artwork_rank: The same among artworks.
        margin: float32 (Q,): of the nearest card over the best other printing of its artwork;
            infinite where its artwork has no other.
        nearest: int64 (Q,) number of the nearest card.
    """

    own: Floats
    other: Floats
    others: Floats
    rank: Numbers
    artwork_rank: Numbers
    margin: Floats
    nearest: Numbers


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


def checked_rows(
    embeddings: ArrayLike, card_ids: Sequence[str] | None, name: str, dimensions: int | None
) -> Floats:
    """Rows (N, D) of length 1, float32.

    Args:
        embeddings: The rows.
        card_ids: One a row; None where rows have no ids.
        name: What an error calls them.
        dimensions: D; None for any.

    Raises:
        ValueError: No rows, another number of ids or dimensions, or a row without direction.
    """
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


class Gallery:
    """Gallery rows sorted by card, so that a card's best row is one ``maximum.reduceat``.

    Args:
        embeddings: (G, D); normalised here.
        card_ids: Card id of each row.
        name: What an error calls it.
        artworks: By card id the name of its artwork; a card that is not in it has one of its own.
    """

    def __init__(
        self,
        embeddings: ArrayLike,
        card_ids: Sequence[str],
        name: str = "gallery",
        artworks: Mapping[str, str] | None = None,
    ) -> None:
        self.given = checked_rows(embeddings, card_ids, name, None)
        ids = np.asarray(card_ids, dtype=np.str_)
        order = np.argsort(ids, kind="stable")
        self.cards, self._starts = np.unique(ids[order], return_index=True)
        self._columns = np.ascontiguousarray(self.given[order].T)
        self.dimensions = self.given.shape[1]
        self._name = name
        named = artworks or {}
        # A card's own artwork is named as no group is.
        words = [f"g {named[card]}" if card in named else f"c {card}" for card in self.cards]
        self.artwork_of = np.unique(words, return_inverse=True)[1].astype(np.int64)
        self.artworks = int(self.artwork_of.max()) + 1
        self.printings = np.bincount(self.artwork_of)[self.artwork_of]
        self._by_artwork = np.argsort(self.artwork_of, kind="stable")
        self._artwork_starts = np.searchsorted(
            self.artwork_of[self._by_artwork], np.arange(self.artworks)
        )

    def scores(self, queries: Floats, chunk: int = CHUNK) -> Iterator[tuple[slice, Floats]]:
        """For each chunk of queries its place and float32 (chunk, cards) cosines."""
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

    def best(self, queries: Floats, ranks: int, chunk: int = CHUNK) -> Floats:
        """Cosines (queries, at most ``ranks``) of the nearest artworks, best first."""
        best = np.empty((len(queries), min(ranks, self.artworks)), dtype=np.float32)
        for rows, scores in self.scores(queries, chunk):
            best[rows] = self.nearest_artworks(scores, ranks)
        return best

    def nearest_artworks(self, scores: Floats, ranks: int) -> Floats:
        """The ``ranks`` largest cosines of artworks in each row of :meth:`scores`, best first."""
        return _largest(self._of_artworks(scores), min(ranks, self.artworks))

    def own_cards(self, queries: Floats, query_ids: Sequence[str], chunk: int = CHUNK) -> OwnCard:
        """Where each query's own card stands.

        Raises:
            ValueError: A query is of a card that is not in the gallery.
        """
        count = len(queries)
        column = self._columns_of(query_ids)
        own = np.empty(count, dtype=np.float32)
        other = np.full(count, -1.0, dtype=np.float32)
        others = np.full(count, -1.0, dtype=np.float32)
        margin = np.full(count, np.inf, dtype=np.float32)
        rank, artwork_rank, nearest = (np.empty(count, dtype=np.int64) for _ in range(3))
        for rows, scores in self.scores(queries, chunk):
            columns = column[rows][:, None]
            own_scores = np.take_along_axis(scores, columns, axis=1)
            own[rows] = own_scores[:, 0]
            rank[rows] = (scores >= own_scores - np.float32(TIE)).sum(axis=1)
            nearest[rows] = scores.argmax(axis=1)
            artwork_rank[rows] = rank[rows]
            if self.artworks < len(self.cards):
                art = self._of_artworks(scores)
                own_artwork = np.take_along_axis(art, self.artwork_of[columns], axis=1)
                artwork_rank[rows] = (art >= own_artwork - np.float32(TIE)).sum(axis=1)
                margin[rows] = self._margins(scores, nearest[rows])
            if len(self.cards) > 1:
                others[rows] = (scores.sum(axis=1) - own_scores[:, 0]) / (len(self.cards) - 1)
                np.put_along_axis(scores, columns, -np.inf, axis=1)
                other[rows] = scores.max(axis=1)
        return OwnCard(own, other, others, rank, artwork_rank, margin, nearest)

    def _columns_of(self, query_ids: Sequence[str]) -> Numbers:
        wanted = np.asarray(query_ids, dtype=np.str_)
        column = np.minimum(np.searchsorted(self.cards, wanted), len(self.cards) - 1)
        missing = self.cards[column] != wanted
        if missing.any():
            raise ValueError(
                f"query of card {wanted[missing][0]}: that card is not in the {self._name}"
            )
        return np.asarray(column, dtype=np.int64)

    def _of_artworks(self, scores: Floats) -> Floats:
        if self.artworks == len(self.cards):
            return scores
        found: Floats = np.maximum.reduceat(
            scores[:, self._by_artwork], self._artwork_starts, axis=1
        )
        return found

    def _margins(self, scores: Floats, nearest: Numbers) -> Floats:
        """By how much the nearest card is before the best other printing of its artwork."""
        margins = np.full(len(scores), np.inf, dtype=np.float32)
        for row in np.flatnonzero(self.printings[nearest] > 1):
            mates = np.flatnonzero(self.artwork_of == self.artwork_of[nearest[row]])
            rest = scores[row, mates[mates != nearest[row]]]
            margins[row] = scores[row, nearest[row]] - rest.max()
        return margins


def best_matches(
    gallery: ArrayLike,
    gallery_ids: Sequence[str],
    queries: ArrayLike,
    k: int = 5,
    chunk: int = CHUNK,
) -> Matches:
    """The k most similar cards of each query; equal similarities in the order of the ids.

    Raises:
        ValueError: Shapes or ids that do not fit, rows without direction, or k below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    base = Gallery(gallery, gallery_ids)
    rows = checked_rows(queries, None, "queries", base.dimensions)
    ids, values = [], []
    for _, scores in base.scores(rows, chunk):
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        ids.append(base.cards[order])
        values.append(np.take_along_axis(scores, order, axis=1))
    return Matches(np.concatenate(ids), np.concatenate(values))


def _largest(values: Floats, count: int) -> Floats:
    """The largest values (rows, count) of each row, largest first."""
    if count == 1:
        return np.asarray(values.max(axis=1, keepdims=True))
    if count < values.shape[1]:
        values = np.partition(values, values.shape[1] - count, axis=1)[:, -count:]
    return np.asarray(-np.sort(-values, axis=1))
