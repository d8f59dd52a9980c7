"""What decides about an answer: the score, its thresholds, and the margin between two printings.

Evaluation, gate, recogniser and device decide by this rule, and it is what a release's manifest
holds under ``acceptance``. Manifests from before it hold ``acceptance_threshold`` alone: the best
cosine, for one frame.

Example:
    >>> from recognition.acceptance.rule import AcceptanceRule
    >>> rule = AcceptanceRule(thresholds={1: 0.7, 3: 0.8})
    >>> rule.accepts([[0.75, 0.2]]).tolist(), rule.accepts([[0.75, 0.2]], frames=3).tolist()
    ([True], [False])
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recognition.search.match_score import MatchScore

_MOST_FRAMES = 100


@dataclass(frozen=True)
class AcceptanceRule:
    """Which answers count.

    Attributes:
        thresholds: Score from which an answer counts, by the number of frames that it is of. Must
            have one for a single frame.
        score: What is compared with them.
        printing_margin: How far, in cosines, the best printing of an artwork must be before its
            next for the answer to name the printing; an artwork with one printing needs none.
    """

    thresholds: Mapping[int, float]
    score: MatchScore = field(default_factory=MatchScore)
    printing_margin: float = 0.0

    def __post_init__(self) -> None:
        if 1 not in self.thresholds:
            raise ValueError("thresholds: none for a single frame")
        if not all(1 <= frames <= _MOST_FRAMES for frames in self.thresholds):
            raise ValueError(f"thresholds: a number of frames is not 1 to {_MOST_FRAMES}")
        if not all(map(math.isfinite, (*self.thresholds.values(), self.printing_margin))):
            raise ValueError("thresholds and printing_margin must be finite")
        if self.printing_margin < 0:
            raise ValueError(f"printing_margin {self.printing_margin}: must not be negative")

    def threshold(self, frames: int = 1) -> float:
        """The threshold for so many frames.

        A number of frames that was not measured has the stricter one of its measured neighbours.

        Raises:
            ValueError: No frames.
        """
        if frames < 1:
            raise ValueError(f"{frames} frames: at least one is needed")
        if frames in self.thresholds:
            return self.thresholds[frames]
        fewer = max(each for each in self.thresholds if each < frames)
        more = [each for each in self.thresholds if each > frames]
        return max(self.thresholds[each] for each in (fewer, *sorted(more)[:1]))

    def accepts(self, cosines: ArrayLike, frames: int = 1) -> NDArray[np.bool_]:
        """Which matches count.

        Args:
            cosines: (N, k) cosines of the nearest artworks, best first, as for
                :meth:`recognition.search.match_score.MatchScore.of`.
            frames: How many frames each query is of.

        Returns:
            bool (N,).
        """
        return np.asarray(self.score.of(cosines) >= self.threshold(frames))

    def names_printing(self, margin: float) -> bool:
        """Whether an accepted answer names the printing.

        Args:
            margin: Cosine of the best printing less that of its artwork's next; infinite where the
                artwork has no other.
        """
        return margin >= self.printing_margin

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "score": self.score.to_dict(),
            "thresholds": {str(frames): value for frames, value in self.thresholds.items()},
            "printing_margin": self.printing_margin,
        }

    @classmethod
    def from_dict(cls, document: Any) -> AcceptanceRule:
        """Reads :meth:`to_dict`'s form; other keys may stand beside its own.

        Raises:
            ValueError: Not that form, or a score that this code does not know.
        """
        if not isinstance(document, Mapping):
            raise ValueError("acceptance: is no JSON object")
        listed = document.get("thresholds")
        if not isinstance(listed, Mapping) or not listed:
            raise ValueError("acceptance: thresholds is missing")
        thresholds: dict[int, float] = {}
        for frames, value in listed.items():
            if not str(frames).isdecimal() or len(str(frames)) > len(str(_MOST_FRAMES)):
                raise ValueError("acceptance: thresholds: a key is no number of frames")
            thresholds[int(frames)] = _number(value, "thresholds")
        margin = _number(document.get("printing_margin", 0.0), "printing_margin")
        return cls(thresholds, MatchScore.from_dict(document.get("score")), margin)

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> AcceptanceRule:
        """The rule of a release.

        Raises:
            ValueError: The manifest's ``acceptance``, or the older ``acceptance_threshold``, is
                not what it should be.
        """
        if "acceptance" in manifest:
            return cls.from_dict(manifest["acceptance"])
        return cls({1: _number(manifest.get("acceptance_threshold"), "acceptance_threshold")})


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"acceptance: {name} is not a number")
    return float(value)
