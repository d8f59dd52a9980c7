"""The page of a release, after the gate: what the compiled model does and what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry.convergence import Step
from registry.weight_origins import WeightOrigin
from reports import verdict
from reports.data_and_size import licence_rows, scans_licence_row
from reports.decision import STEPS
from reports.figures import Figure
from reports.gate_figures import GateFigure, gate_figures
from reports.outcomes.paired import ChangedCard, PairedComparison
from reports.page import Change, PicturedCard, Row
from reports.rendering import render
from reports.unmeasured import (
    COMPILED_NOT_ON_A_CHIP,
    NEVER_MEASURED,
    SCANS_LICENCE_NOT_STATED,
)

#: Cards that are shown of each kind.
CARDS_SHOWN = 12
_BEFORE = "the model before compilation"
_UNMEASURED = (COMPILED_NOT_ON_A_CHIP, *NEVER_MEASURED)


@dataclass(frozen=True)
class MovedView:
    """A view whose answer the compilation moved most.

    Attributes:
        card_id: The card that was shown.
        cosine: Agreement of the two answers.
        view: Picture of the view.
        scan: Picture of the card's scan.
    """

    card_id: str
    cosine: float
    view: str
    scan: str


@dataclass(frozen=True)
class Compiled:
    """What a compile job knows of its release.

    Attributes:
        name: The student's name.
        compiler: The compiler, in words.
        device: What it compiles for, in words.
        model: The compiled model's file.
        passed: Whether the gate passed.
        reasons: Why not.
        figures: Of the compiled model, by name.
        before: The same of the model before compilation.
        paired: The two on the same views; None where they could not be compared so.
        lacking: Why not; empty where they could.
        pictures: Of the scans of cards that changed, by card id.
        gate: The gate's figures, by name.
        thresholds: What it requires, by name.
        moved: The views that moved most.
        warnings: What limits the meaning of the figures.
        facts: Files, sizes, digests, calibration.
        weights: Published weights that the student descends from.
        licence: Of the scans, as the card set states it; empty where it states none.
    """

    name: str
    compiler: str
    device: str
    model: str
    passed: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Figure]
    before: Mapping[str, Figure]
    paired: PairedComparison | None
    lacking: str
    pictures: Mapping[str, str]
    gate: Mapping[str, float]
    thresholds: Mapping[str, float]
    moved: tuple[MovedView, ...]
    warnings: tuple[str, ...]
    facts: tuple[Row, ...]
    weights: tuple[WeightOrigin, ...]
    licence: str


@dataclass(frozen=True)
class ReleasePage:
    """Everything that the page of a release shows, in its order.

    Attributes:
        title: The student's name.
        passed: Whether the gate passed.
        about: The compiled file, the compiler and the device, in words.
        verdict: What the compiled model does, and how it compares with the one before.
        reasons: Why the gate did not pass.
        change: What compiling changed.
        unmeasured: What was not measured, one sentence each.
        figures: Of the compiled model.
        gate: The gate's figures with their limits.
        moved: The views that compiling moved most.
        facts: Files, calibration and licences.
        follows: What happens next, in order.
        commands: What one may type then.
        made: When and by what the page was made.
    """

    title: str
    passed: bool
    about: str
    verdict: verdict.Verdict
    reasons: tuple[str, ...]
    change: Change
    unmeasured: tuple[str, ...]
    figures: tuple[Figure, ...]
    gate: tuple[GateFigure, ...]
    moved: tuple[MovedView, ...]
    facts: tuple[Row, ...]
    follows: tuple[str, ...]
    commands: tuple[str, ...]
    made: str


def release_page(compiled: Compiled, made: str) -> str:
    """The page's HTML.

    Args:
        compiled: What the compile job knows.
        made: When and by what it was made.
    """
    return render("release.html", page=assembled(compiled, made))


def assembled(compiled: Compiled, made: str) -> ReleasePage:
    """The page as a value."""
    paired = compiled.paired
    comparison = f"How it compares with {_BEFORE} view by view is not known: {compiled.lacking}."
    if paired is not None:
        comparison, _ = verdict.against(_BEFORE, paired.named)
    gate = "It has passed" if compiled.passed else "It has not passed"
    step = Step.PUBLISH if compiled.passed else Step.RECORD_FAILURE
    return ReleasePage(
        title=compiled.name,
        passed=compiled.passed,
        about=f"{compiled.model}, compiled with {compiled.compiler} for {compiled.device}",
        verdict=verdict.Verdict(
            verdict.sentence(compiled.figures),
            f"{gate} the fidelity gate. {comparison}",
            verdict.GOOD if compiled.passed else verdict.BAD,
        ),
        reasons=compiled.reasons,
        change=_change(compiled),
        unmeasured=(
            *_UNMEASURED,
            *(() if compiled.licence else (SCANS_LICENCE_NOT_STATED,)),
            *compiled.warnings,
        ),
        figures=tuple(compiled.figures.values()),
        gate=gate_figures(compiled.gate, compiled.thresholds),
        moved=compiled.moved,
        facts=(
            *compiled.facts,
            scans_licence_row(compiled.licence),
            *licence_rows(compiled.weights),
        ),
        follows=(STEPS[step],),
        commands=_commands(compiled),
        made=made,
    )


def _change(compiled: Compiled) -> Change:
    side_by_side = tuple(
        (figure, compiled.before[key])
        for key, figure in compiled.figures.items()
        if key in compiled.before
    )
    paired = compiled.paired
    if paired is None:
        return Change(_BEFORE, "", compiled.lacking, figures=side_by_side)

    def pictured(cards: Sequence[ChangedCard]) -> tuple[PicturedCard, ...]:
        return tuple(
            PicturedCard(card, compiled.pictures.get(card.card_id, ""))
            for card in cards[:CARDS_SHOWN]
        )

    return Change(
        _BEFORE,
        "",
        differences=paired.rows,
        won=pictured(paired.won),
        lost=pictured(paired.lost),
        won_count=len(paired.won),
        lost_count=len(paired.lost),
        figures=side_by_side,
    )


def _commands(compiled: Compiled) -> tuple[str, ...]:
    if compiled.passed:
        return ("cards release pull --out release/", f"cards trace {compiled.name}")
    return (
        f"cards release retry {compiled.name}",
        f'cards registry reject {compiled.name} --reason "why"',
    )
