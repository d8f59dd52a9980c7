"""What a model answered to each view, as one letter a view: the basis of paired comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Right and accepted, right and refused, wrong and accepted, wrong and refused.
NAMED, REFUSED_RIGHT, MISNAMED, REFUSED_WRONG = "R", "r", "W", "w"
LETTERS = (NAMED, REFUSED_RIGHT, MISNAMED, REFUSED_WRONG)
VIEW_LIMIT, CARD_LIMIT, ID_LIMIT = 4_000_000, 400_000, 100


class EvidenceError(ValueError):
    """Evidence that cannot be read; says what is wrong with it."""


@dataclass(frozen=True)
class ViewOutcomes:
    """The answers to camera views of known cards; each card has the same number of views.

    Attributes:
        digest: Tells these views' pixels from others (:mod:`recognition.views.digest`).
        cards: Card ids; the views of a card follow each other, in this order.
        per_card: Views a card.
        outcomes: One of :data:`LETTERS` a view.
    """

    digest: str
    cards: tuple[str, ...]
    per_card: int
    outcomes: str

    def __post_init__(self) -> None:
        if self.per_card < 1 or len(self.outcomes) != len(self.cards) * self.per_card:
            raise EvidenceError(
                f"views: {len(self.outcomes)} answers to {self.per_card} views of each of "
                f"{len(self.cards)} cards"
            )
        if len(self.outcomes) > VIEW_LIMIT or len(self.cards) > CARD_LIMIT or not self.cards:
            raise EvidenceError(f"views: {len(self.outcomes)} are none, or too many")
        if set(self.outcomes) - set(LETTERS) or len(set(self.cards)) != len(self.cards):
            raise EvidenceError("views: an answer is none of R, r, W and w, or a card is twice")
        if max(map(len, self.cards)) > ID_LIMIT:
            raise EvidenceError(f"views: a card id has more than {ID_LIMIT} characters")

    @classmethod
    def of(
        cls,
        digest: str,
        card_ids: Sequence[str],
        right: NDArray[np.bool_],
        accepted: NDArray[np.bool_],
    ) -> ViewOutcomes:
        """From one row a view, the rows of a card next to each other."""
        cards = tuple(dict.fromkeys(card_ids))
        per_card = len(card_ids) // max(1, len(cards))
        if list(card_ids) != [card for card in cards for _ in range(per_card)]:
            raise EvidenceError("views: the views of a card do not follow each other")
        letters = np.where(
            right,
            np.where(accepted, NAMED, REFUSED_RIGHT),
            np.where(accepted, MISNAMED, REFUSED_WRONG),
        )
        return cls(digest, cards, per_card, "".join(letters.tolist()))

    def named(self) -> NDArray[np.bool_]:
        """bool (cards, per_card): accepted, and the right card."""
        return self._is(NAMED)

    def first(self) -> NDArray[np.bool_]:
        """bool (cards, per_card): the right card is nearest, accepted or not."""
        return self._is(NAMED) | self._is(REFUSED_RIGHT)

    def accepted(self) -> NDArray[np.bool_]:
        """bool (cards, per_card): accepted, whether right or wrong."""
        return self._is(NAMED) | self._is(MISNAMED)

    def _is(self, letter: str) -> NDArray[np.bool_]:
        letters = np.frombuffer(self.outcomes.encode("ascii"), dtype="S1")
        return np.asarray(letters == letter.encode()).reshape(len(self.cards), self.per_card)

    def to_dict(self) -> dict[str, Any]:
        """The form in ``evidence.json``."""
        return {
            "digest": self.digest,
            "per_card": self.per_card,
            "cards": list(self.cards),
            "outcomes": self.outcomes,
        }

    @classmethod
    def from_dict(cls, document: Any) -> ViewOutcomes:
        """Reads :meth:`to_dict`'s form.

        Raises:
            EvidenceError: Not that form.
        """
        try:
            cards = tuple(document["cards"])
            texts = (document["digest"], document["outcomes"], *cards)
            per_card = document["per_card"]
        except (TypeError, KeyError) as error:
            raise EvidenceError(f"views: {error!r} is missing or of another kind") from None
        if not all(isinstance(text, str) for text in texts) or type(per_card) is not int:
            raise EvidenceError("views: a value is of another kind")
        return cls(texts[0], cards, per_card, texts[1])
