"""The map of the embedding as a drawing, with the neighbourhoods that are confused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recognition.card_sets.artworks import grouped
from reports.drawings.embedding_map import SIDE, EmbeddingMap

#: Neighbourhoods that are numbered, and cards of one that are named.
NEIGHBOURHOODS, NAMED = 8, 6
_MARGIN = 30


@dataclass(frozen=True)
class Neighbourhood:
    """Cards that are confused with each other.

    Attributes:
        number: On the map, from 1.
        x: Where the number stands.
        y: Likewise.
        cards: Ids of the first of them.
        more: How many are left out.
        views: Views that were nearest to another of them.
    """

    number: int
    x: int
    y: int
    cards: tuple[str, ...]
    more: int
    views: int


@dataclass(frozen=True)
class MapDrawing:
    """A drawing of cards as dots, and of confused pairs as lines.

    Attributes:
        title: What it shows.
        note: How to read it.
        description: The same with what it shows, for those who do not see it.
        box: The drawing's ``viewBox``.
        dots: Path of a dot for each card.
        ends: Path of a dot for each card that is confused.
        links: Path of a line for each pair that is confused.
        neighbourhoods: Those with the most confused views.
    """

    title: str
    note: str
    description: str
    box: str
    dots: str
    ends: str
    links: str
    neighbourhoods: tuple[Neighbourhood, ...]


def confusion_map(where: EmbeddingMap, pairs: Sequence[tuple[str, str, int]]) -> MapDrawing:
    """Draws a map.

    Args:
        where: Places of the cards.
        pairs: Card, the card that was nearest instead, and how many views, most often first.
    """
    known = [pair for pair in pairs if pair[0] in where.places and pair[1] in where.places]
    places = where.places
    found = _neighbourhoods(where, known)
    height = max([y for _, y in (*where.dots, *places.values())], default=SIDE)
    width = max([x for x, _ in (*where.dots, *places.values())], default=SIDE)
    names = "; ".join(f"{each.number}: {', '.join(each.cards)}" for each in found)
    note = (
        "Each dot is a card; near dots look alike to the model. Two dimensions show "
        f"{where.share:.0%} of the spread, so dots that lie on each other may be far apart."
    )
    if known:
        note += " Lines join cards that are confused."
    return MapDrawing(
        title="Where the cards lie",
        note=note,
        description=note + (f" Neighbourhoods: {names}." if found else " No card is confused."),
        box=f"{-_MARGIN} {-_MARGIN} {width + 2 * _MARGIN} {height + 2 * _MARGIN}",
        dots="".join(f"M{x} {y}h0" for x, y in where.dots),
        ends="".join(f"M{x} {y}h0" for x, y in places.values()),
        links="".join(
            f"M{places[one][0]} {places[one][1]}L{places[other][0]} {places[other][1]}"
            for one, other, _ in known
        ),
        neighbourhoods=found,
    )


def _neighbourhoods(
    where: EmbeddingMap, pairs: Sequence[tuple[str, str, int]]
) -> tuple[Neighbourhood, ...]:
    first = grouped((one, other) for one, other, _ in pairs)
    views: dict[str, int] = {}
    for one, _, count in pairs:
        views[first[one]] = views.get(first[one], 0) + count
    found = []
    order = sorted(views, key=lambda card: (-views[card], card))[:NEIGHBOURHOODS]
    for number, group in enumerate(order, start=1):
        cards = [card for card, name in first.items() if name == group]
        xs, ys = zip(*(where.places[card] for card in cards), strict=True)
        found.append(
            Neighbourhood(
                number,
                round(sum(xs) / len(xs)),
                round(sum(ys) / len(ys)),
                tuple(cards[:NAMED]),
                max(0, len(cards) - NAMED),
                views[group],
            )
        )
    return tuple(found)
