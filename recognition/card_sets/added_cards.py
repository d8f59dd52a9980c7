"""Cards that are added to a card set: what is new, what is refused, and the set with them.

A set that a model was trained and measured with may grow, and nothing in it may change: its scans
are rows of an index, and its views are what figures were measured on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from recognition.card_sets.card_set import CardSet, CardSetError, ListedCards, digest_of

#: Card ids that a message names.
_NAMED = 5


@dataclass(frozen=True)
class AddedCards:
    """What of a folder is new to a card set.

    Attributes:
        new: Ids that the set does not have.
        present: Ids that the set has with the very same scans.
    """

    new: tuple[str, ...]
    present: tuple[str, ...]


def compare(old: ListedCards, given: ListedCards) -> AddedCards:
    """Says which cards are new.

    Args:
        old: The set that is to grow.
        given: The cards to add; cards of the old set may be among them, unchanged.

    Raises:
        CardSetError: A card of the old set has other scans here, or an id differs from one of the
            old set, or from another, in upper and lower case alone; names them.
    """
    scans = {card.card_id: sorted(card.digests) for card in old.cards}
    present = [card for card in given.cards if card.card_id in scans]
    changed = [c.card_id for c in present if sorted(c.digests) != scans[c.card_id]]
    if changed:
        raise CardSetError(
            f"{_some(changed)} in the card set already, with other scans: added cards may not "
            "change or remove what a model was measured with; give each a new id, or leave it out"
        )
    new = tuple(card.card_id for card in given.cards if card.card_id not in scans)
    spelled = {card_id.casefold(): card_id for card_id in scans}
    for card_id in new:
        other = spelled.setdefault(card_id.casefold(), card_id)
        if other != card_id:
            raise CardSetError(
                f"{card_id}: differs from {other} in upper and lower case alone, which is one "
                "folder on some machines; give it another id"
            )
    return AddedCards(new, tuple(card.card_id for card in present))


def merged(old: CardSet, given: CardSet, added: AddedCards) -> CardSet:
    """The set with the new cards; every scan stays where it is."""
    cards = (*old.cards, *given.only(added.new).cards)
    pairs = ((card.card_id, digest) for card in cards for digest in card.digests)
    one = old.licence and given.licence and old.licence.sha256 == given.licence.sha256
    return replace(
        old,
        cards=tuple(sorted(cards, key=lambda card: card.card_id)),
        digest=digest_of(pairs),
        licence=old.licence if one else None,  # A line about some of the scans would mislead.
    )


def _some(card_ids: list[str]) -> str:
    named = ", ".join(card_ids[:_NAMED])
    more = len(card_ids) - _NAMED
    rest = f" and {more} more" if more > 0 else ""
    return f"{named}{rest}: {'are' if len(card_ids) > 1 else 'is'}"
