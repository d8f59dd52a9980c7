"""The score of a match: one number that says how sure it is, which acceptance compares with.

The best card's cosine alone says how near the nearest card is. Less a part of the runners-up's mean
cosine it also says how far it stands out: a blurred view is far from every card, and a card of a
deck in which all cards resemble each other is near to many. The weight of the runners-up is the
score's one parameter: 0 is the best cosine, 1 is the gap between them, and any logistic combination
of best cosine and gap orders matches as some weight between them does.

Example:
    >>> from recognition.search.match_score import MatchScore
    >>> MatchScore(weight=0.5, runners_up=2).of([[0.9, 0.6, 0.4]]).round(3).tolist()
    [0.65]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]

#: The one kind of score that this code knows; a description names it, so that another may follow.
NAME = "best_less_runners_up"
#: Ranks 2 to 11.
RUNNERS_UP = 10
_MOST_RUNNERS_UP = 100


@dataclass(frozen=True)
class MatchScore:
    """Best cosine − weight × mean cosine of the next cards.

    Attributes:
        weight: Of the runners-up, 0 to 1.
        runners_up: How many of the next cards count; fewer where a gallery has fewer.
    """

    weight: float = 0.0
    runners_up: int = RUNNERS_UP

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight {self.weight}: must be 0 to 1")
        if not 1 <= self.runners_up <= _MOST_RUNNERS_UP:
            raise ValueError(f"runners_up {self.runners_up}: must be 1 to {_MOST_RUNNERS_UP}")

    @property
    def ranks(self) -> int:
        """How many of the best cards it looks at."""
        return 1 + self.runners_up if self.weight else 1

    @property
    def highest(self) -> float:
        """A value that no match reaches."""
        return float(np.nextafter(np.float32(1 + self.weight), np.float32(3)))

    def of(self, cosines: ArrayLike) -> Doubles:
        """Scores of matches.

        Args:
            cosines: (N, k) cosines of each query's nearest cards, best first, every card once
                (printings of one picture count as one card). Those beyond :attr:`ranks` are not
                looked at.

        Returns:
            float64 (N,); never less for a higher best cosine, never more for higher runners-up.

        Raises:
            ValueError: Not such an array.
        """
        values = np.asarray(cosines, dtype=np.float64)
        if values.ndim != 2 or not values.shape[1]:
            raise ValueError(f"cosines: expected (queries, cards), got shape {values.shape}")
        best, others = values[:, 0], values[:, 1 : self.ranks]
        if not self.weight or not others.shape[1]:
            # Where nothing else is in the gallery, nothing else is near.
            return best.copy()
        return np.asarray(best - self.weight * others.mean(axis=1), dtype=np.float64)

    def noise(self, score: float, noise: float, tie: float) -> float:
        """How much a score may change when its embedding does.

        A small change turns an embedding by at most that angle, and a cosine's slope is its sine.

        Args:
            score: The score.
            noise: Change of the embedding as a share of its length.
            tie: Cosines nearer than this are equal.
        """
        if self.weight:
            return (1 + self.weight) * max(2 * tie, noise)
        return max(2 * tie, noise * math.sqrt(max(0.0, 1 - score**2)))

    def to_dict(self) -> dict[str, Any]:
        """The description in ``evaluation.json`` and in manifests."""
        return {
            "name": NAME,
            "parameters": {"weight": self.weight, "runners_up": self.runners_up},
        }

    @classmethod
    def from_dict(cls, document: Any) -> MatchScore:
        """Reads a description.

        Raises:
            ValueError: Another kind of score, or parameters that do not fit.
        """
        if not isinstance(document, Mapping) or document.get("name") != NAME:
            named = document.get("name") if isinstance(document, Mapping) else document
            raise ValueError(f"score {str(named)[:60]!r}: this code knows {NAME}")
        parameters = document.get("parameters")
        if not isinstance(parameters, Mapping) or set(parameters) != {"weight", "runners_up"}:
            raise ValueError("score: parameters must be weight and runners_up")
        weight, runners_up = parameters["weight"], parameters["runners_up"]
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise ValueError("score: weight is not a number")
        if type(runners_up) is not int:
            raise ValueError("score: runners_up is not a whole number")
        return cls(float(weight), runners_up)
