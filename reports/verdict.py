"""The verdict in words for people who run a shop, not a laboratory.

>>> of_100(0.941), of_100(0.998), of_100(0.001), of_100(1.0)
('94', 'more than 99', 'fewer than 1', '100')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.figures import Figure
from reports.outcomes.paired import Difference

GOOD, BAD, OPEN = "good", "bad", "open"


@dataclass(frozen=True)
class Verdict:
    """The page's first words.

    Attributes:
        sentence: What the model does.
        comparison: Against what is live.
        tone: ``good``, ``bad`` or ``open``: against what is live.
    """

    sentence: str
    comparison: str
    tone: str


def of_100(share: float) -> str:
    """A share as so many of 100, never rounded to none or to all."""
    count = round(share * 100)
    if count == 0 and share > 0:
        return "fewer than 1"
    if count == 100 and share < 1:
        return "more than 99"
    return str(count)


def sentence(figures: Mapping[str, Figure]) -> str:
    """What the model does, in one sentence."""
    named, accepted = figures.get("accepted_right"), figures.get("true_accept_rate")
    unknown, top1 = figures.get("false_accept_rate"), figures.get("top1")
    parts = []
    if named is not None:
        parts.append(f"Names {of_100(named.value)} of 100 views of known cards right")
        if accepted is not None:
            wrong = max(0.0, accepted.value - named.value)
            parts.append(f"names {of_100(wrong)} wrong")
            parts.append(f"does not answer {_left(named.value, wrong)}")
    elif top1 is not None:
        parts.append(
            f"Finds the right card first for {of_100(top1.value)} of 100 views of known cards "
            "(how many of them a device would name is not recorded)"
        )
    if unknown is not None:
        turned = of_100(1 - unknown.value)
        words = f"turns away {turned} of 100 views of cards that it does not know"
        parts.append(words if parts else words.capitalize())
    if not parts:
        return "Nothing is recorded about how well it recognises cards."
    return f"{', '.join(parts)}."


def _left(named: float, wrong: float) -> str:
    """What is left of 100: beside the two other counts it makes 100 of them."""
    rest = of_100(max(0.0, 1 - named - wrong))
    counts = (of_100(named), of_100(wrong), rest)
    return str(100 - int(counts[0]) - int(counts[1])) if all(map(str.isdecimal, counts)) else rest


def against(other: str, named: Difference) -> tuple[str, str]:
    """What the comparison with another version says, and its tone.

    Args:
        other: The other version, with what it is, such as ``the live version, x``.
        named: The difference of the views that are named right.
    """
    points = named.difference * 100
    interval = f"95 % interval: {named.low * 100:+.1f} to {named.high * 100:+.1f}"
    amount = f"{abs(points):.1f}"
    if named.word == "better":
        return f"Of 100 views it names {amount} more right than {other} ({interval}).", GOOD
    if named.word == "worse":
        return f"Of 100 views it names {amount} fewer right than {other} ({interval}).", BAD
    more = f"{amount} more" if points > 0 else f"{amount} fewer" if points < 0 else "as many"
    return (
        f"It cannot be told apart from {other}: of 100 views it names {more} right ({interval}).",
        OPEN,
    )
