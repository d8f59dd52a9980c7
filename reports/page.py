"""Everything that the approver's page shows, as one value; a template only sets it out."""

from __future__ import annotations

from dataclasses import dataclass

from reports.decision import Choice
from reports.drawings.charts import Chart
from reports.drawings.confusion_map import MapDrawing
from reports.evidence import Confusion, WrongView
from reports.figures import Figure
from reports.outcomes.paired import ChangedCard, Difference
from reports.verdict import Verdict


@dataclass(frozen=True)
class Row:
    """A name, its value and a remark."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class PicturedCard:
    """A card that is answered differently than by the live version.

    Attributes:
        picture: Of its scan; empty where neither version kept one.
    """

    card: ChangedCard
    picture: str


@dataclass(frozen=True)
class Change:
    """What changes for devices.

    Attributes:
        other: The version that it is compared with; empty where there is none.
        role: What that is, such as ``the live version``.
        lacking: Why the two cannot be compared on the same views; empty where they can.
        named: The paired differences by what they are of.
        won: Cards that gain most.
        lost: Cards that lose most.
        won_count: How many gain.
        lost_count: How many lose.
        figures: The two versions' figures side by side: name, this one's, the other's.
    """

    other: str
    role: str
    lacking: str = ""
    differences: tuple[tuple[str, Difference], ...] = ()
    won: tuple[PicturedCard, ...] = ()
    lost: tuple[PicturedCard, ...] = ()
    won_count: int = 0
    lost_count: int = 0
    figures: tuple[tuple[Figure, Figure], ...] = ()


@dataclass(frozen=True)
class Ancestor:
    """A version in the line that leads to this one."""

    name: str
    status: str
    here: bool = False


@dataclass(frozen=True)
class Differing:
    """A setting or fact in which versions differ: its name, here, there."""

    key: str
    here: str
    there: str


@dataclass(frozen=True)
class Differences:
    """What differs from another version.

    Attributes:
        other: That version.
        role: ``its parent``, ``the live version``.
        rows: The first of the differences.
        more: How many are left out.
        same: How many are the same.
    """

    other: str
    role: str
    rows: tuple[Differing, ...]
    more: int
    same: int


@dataclass(frozen=True)
class Page:
    """The approver's page.

    Attributes:
        title: The version's name, or what a job knows of it.
        status: Whether it waits, is approved or rejected, in words.
        state: One of ``pending``, ``approved``, ``rejected``.
        facts: What it is: registered when, by which job, from which commit.
        message: The trainer's words; empty where there are none.
        alerts: What must be known first, such as contradictions.
        unmeasured: What was not measured, one sentence each.
        figures: Every figure with its interval.
        map: Where the cards lie in the embedding, and which are confused; None where that was not
            kept.
        missing: By section, why it is empty.
        devices: How many devices follow each channel, in words; empty where nobody asked.
    """

    title: str
    status: str
    state: str
    made: str
    verdict: Verdict
    facts: tuple[Row, ...]
    message: str
    alerts: tuple[str, ...]
    change: Change
    unmeasured: tuple[str, ...]
    figures: tuple[Figure, ...]
    figures_from: str
    curve: Chart | None
    worst: tuple[WrongView, ...]
    wrong_views: int | None
    unknown: tuple[WrongView, ...]
    confusions: tuple[Confusion, ...]
    confused_pairs: int
    map: MapDrawing | None
    training: tuple[Chart, ...]
    data: tuple[Row, ...]
    remarks: tuple[str, ...]
    line: tuple[Ancestor, ...]
    differences: tuple[Differences, ...]
    size: tuple[Row, ...]
    lint: tuple[tuple[str, str, str], ...]
    lint_word: str
    approve: Choice
    reject: Choice
    console: str
    missing: dict[str, str]
    devices: str = ""
