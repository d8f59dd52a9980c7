"""What no figure on the page says anything about."""

from __future__ import annotations

from collections.abc import Mapping

from recognition.acceptance.false_accepts import FALSE_ACCEPTS, cards_to_show
from reports.figures import Figure
from reports.subject import Subject

#: Of any model, compiled or not.
NEVER_MEASURED = (
    "No real photographs: the views are scans that a program turned, lit, blurred and compressed "
    "as a camera would.",
    "No speed and no memory use on a device.",
)
#: Of a trained model, and of a compiled one.
TRAINED_NOT_ON_A_CHIP = (
    "No chip: these are the figures of the trained network in full precision. What the "
    "compiled file loses is measured by the gate, after approval."
)
COMPILED_NOT_ON_A_CHIP = (
    "No chip: the compiled model answered on the compile job's machine, not on a device."
)
SCANS_LICENCE_NOT_STATED = (
    "The licence of the scans is not stated: whether they may be used for this, nothing here says."
)
#: With fewer unknown cards than these, a rate of 1 % cannot be shown with 95 % certainty.
FEWEST_UNKNOWN = cards_to_show(FALSE_ACCEPTS)
#: Artworks whose printings are named.
_NAMED = 6


def unmeasured(
    subject: Subject, figures: Mapping[str, Figure], other: str, lacking: str
) -> tuple[str, ...]:
    """One sentence each.

    Args:
        subject: The version.
        figures: What was measured of it.
        other: The version that it should be compared with; empty where there is none.
        lacking: Why the two cannot be compared on the same views; empty where they can.
    """
    said = [
        COMPILED_NOT_ON_A_CHIP if subject.compiled else TRAINED_NOT_ON_A_CHIP,
        *NEVER_MEASURED,
    ]
    unknown = figures.get("unseen_cards")
    if unknown is not None and unknown.value < FEWEST_UNKNOWN:
        said.append(
            f"Only {unknown.value:.0f} unknown cards measured how unknown cards are turned away: "
            f"fewer than {FEWEST_UNKNOWN} cannot show a rate of 1 % with 95 % certainty."
        )
    elif "false_accept_rate" not in figures:
        said.append("How unknown cards are turned away is not recorded.")
    warnings = (subject.evaluation or {}).get("warnings")
    if isinstance(warnings, list):
        said += [as_sentence(each) for each in warnings if isinstance(each, str)]
    said += _reprints(subject, figures)
    if subject.evidence and not subject.evidence.data.licence:
        said.append(SCANS_LICENCE_NOT_STATED)
    if other and lacking:
        said.append(f"No comparison with {other} on the same views: {lacking}.")
    if subject.evaluation is None and not subject.compiled:
        said.append(
            "Its evaluation cannot be read"
            f"{f' ({subject.lacking})' if subject.lacking else ''}: the figures are the "
            "registry's, with four digits."
        )
    return tuple(said)


def _reprints(subject: Subject, figures: Mapping[str, Figure]) -> list[str]:
    """Cards that no picture tells apart."""
    said = []
    if "artworks_accepted_right" not in figures:
        said.append(
            "Reprints and twins are not counted apart: a view that is answered with another "
            "printing of the same picture counts as wrong."
        )
    shared = subject.evidence.shared if subject.evidence else None
    if shared and shared.artworks:
        named = "; ".join(" and ".join(cards) for cards in shared.named[:_NAMED])
        more = shared.artworks - len(shared.named[:_NAMED])
        said.append(
            f"Which printing it is: {shared.cards:,} cards show one of {shared.artworks:,} "
            f"pictures that other cards show, too, and no view tells them apart: {named}"
            f"{f'; and {more:,} more' if more > 0 else ''}."
        )
    return said


def as_sentence(text: str) -> str:
    """A text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
