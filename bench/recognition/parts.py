"""Which cards of a set play which part."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

#: Of a set that nothing was trained on: shares that set the threshold, and that are reported.
_HELD_OUT = 0.15
_FEWEST = 12


class PartsError(ValueError):
    """A card set that is too small to measure anything with."""


@dataclass(frozen=True)
class Parts:
    """The parts of a card set; no card is in two of them, except in ``joining``.

    Attributes:
        known: Cards that the model was trained on; empty for a set that it never saw.
        gallery: The cards of the gallery: the known ones, or of a set that the model never saw,
            most of it.
        joining: Cards that join the gallery to be recognised as new ones: of a set that the model
            was trained on, the unknown ones; otherwise none, since the gallery's cards are all new.
        strangers: Cards outside the gallery that set the threshold.
        unknown: Other cards outside the gallery, which are reported.
    """

    known: tuple[str, ...]
    gallery: tuple[str, ...]
    joining: tuple[str, ...]
    strangers: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def new(self) -> tuple[str, ...]:
        """The cards that are recognised without having been trained on."""
        return self.joining or (() if self.known else self.gallery)


def parts_of(
    card_ids: Sequence[str],
    trained: Collection[str],
    held_out: tuple[Collection[str], Collection[str]] | None = None,
) -> Parts:
    """Divides a card set.

    Args:
        card_ids: Of the set.
        trained: Cards that the model was trained on, whether in this set or not.
        held_out: Cards that the model's own split held out for validation and for test, where it
            says; other cards are divided by a hash of their ids.

    Raises:
        PartsError: A part would have no card.
    """
    ids = sorted(set(card_ids))
    known = tuple(card for card in ids if card in set(trained))
    rest = [card for card in ids if card not in set(known)]
    if known and held_out is not None:
        strangers, unknown = (tuple(c for c in rest if c in set(part)) for part in held_out)
    elif known:
        strangers = tuple(card for card in rest if _share(card) < 0.5)
        unknown = tuple(card for card in rest if _share(card) >= 0.5)
    else:
        strangers = tuple(card for card in rest if _share(card) < _HELD_OUT)
        unknown = tuple(c for c in rest if _HELD_OUT <= _share(c) < 2 * _HELD_OUT)
    gallery = known or tuple(card for card in rest if _share(card) >= 2 * _HELD_OUT)
    if len(ids) < _FEWEST or not (gallery and strangers and unknown):
        raise PartsError(
            f"{len(ids)} cards, {len(gallery)} for the gallery, {len(strangers)} to set the "
            f"threshold and {len(unknown)} unknown cards: each needs some; give a larger card set"
        )
    return Parts(known, gallery, unknown if known else (), strangers, unknown)


def _share(card_id: str) -> float:
    """A number in [0, 1) that depends on the id alone."""
    digest = hashlib.sha256(f"bench-recognition|{card_id}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
