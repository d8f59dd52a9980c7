"""Puts the approver's page together from what is known of a version; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from registry.convergence import Observation
from registry.untrusted.text import shortened
from registry.versions.comparison import ComparedVersion, Comparison, compare
from reports import verdict
from reports.data_and_size import SCANS_LICENCE, data_rows, lint_words, size_rows
from reports.decision import Choice, Circumstances, choices
from reports.drawings import charts
from reports.drawings.confusion_map import MapDrawing, confusion_map
from reports.evidence import Evidence
from reports.figures import Figure, contradictions, from_evaluation, from_metadata
from reports.outcomes.paired import ChangedCard, PairedComparison, why_not
from reports.outcomes.paired import compare as compare_views
from reports.page import Ancestor, Change, Differences, Differing, Page, PicturedCard
from reports.subject import Subject
from reports.unmeasured import as_sentence, unmeasured

#: Cards and rows that the page shows of each kind, whatever the set's size.
CARDS_SHOWN, PAIRS_SHOWN, ROWS_SHOWN, REMARKS_SHOWN = 12, 12, 24, 8
#: The section of a comparison that has a job's settings, and the fact that names the code.
_SETTINGS, COMMIT = "Hyper-parameters", "Commit"
#: Characters of a value that the table of differences shows.
_VALUE_SHOWN = 80
_WITHOUT = "This version keeps no evidence.json: it was registered before training jobs wrote one"
_STATES = {"Approved": "approved", "Rejected": "rejected"}
_STATUS = {"Approved": "approved", "Rejected": "rejected", "PendingManualApproval": "waits"}


@dataclass(frozen=True)
class PageContext:
    """What a page sets the version against: other versions, the deployment, the console.

    Attributes:
        live: What devices have now; None where nothing is live, or it is this very version.
        role: What that is, where somebody asked for a comparison with another version.
        live_note: Why there is nothing to compare with.
        parent: The version that it was made from.
        line: Its ancestors, the oldest first, without itself.
        seen: Its observed state; None where nobody observed it.
        circumstances: Of the deployment.
        flaw: Why it may not be approved without an override.
        console: Address of the console's page; empty where that is not known.
        devices: How many devices follow each channel, in words; empty where nobody asked.
    """

    live: Subject | None = None
    role: str = "the live version"
    live_note: str = "Nothing is live yet, so there is nothing to compare with."
    parent: Subject | None = None
    line: tuple[Ancestor, ...] = ()
    seen: Observation | None = None
    circumstances: Circumstances = field(default_factory=Circumstances)
    flaw: str = ""
    console: str = ""
    devices: str = ""


def assemble(subject: Subject, context: PageContext, made: str) -> Page:
    """The page of a version.

    Args:
        subject: The version.
        context: What it is seen against.
        made: When and by what the page was made.
    """
    figures, evidence = subject.figures, subject.evidence
    paired, lacking = _pair(subject, context.live)
    approve, reject = _choices(subject, context)
    training, missing = _training_charts(evidence), {}
    if evidence is None:
        reason = as_sentence(subject.lacking or _WITHOUT)
        missing = dict.fromkeys(("curve", "worst", "confusions", "training", "data"), reason)
    elif not training:
        missing["training"] = "The job reported no interval."
    curve = _curve(subject, figures)
    if curve is None:
        missing.setdefault("curve", "The evaluation has no operating curve.")
    return Page(
        title=subject.title or subject.label,
        status=_STATUS.get(subject.approval, subject.approval),
        state=_STATES.get(subject.approval, "pending"),
        made=made,
        verdict=_verdict(figures, context, paired, lacking),
        facts=subject.facts,
        message=subject.message,
        alerts=_alerts(subject, context),
        change=_change(subject, context, paired, lacking),
        unmeasured=unmeasured(
            subject, figures, context.live.label if context.live else "", lacking
        ),
        figures=tuple(figures.values()),
        figures_from="its evaluation" if subject.evaluation else "the registry's metadata",
        curve=curve,
        worst=evidence.worst if evidence else (),
        wrong_views=int((~evidence.views.first()).sum()) if evidence else None,
        unknown=evidence.unknown if evidence else (),
        confusions=evidence.confusions[:PAIRS_SHOWN] if evidence else (),
        confused_pairs=evidence.confused_pairs if evidence else 0,
        map=_map(evidence),
        training=training,
        data=data_rows(subject),
        remarks=evidence.data.remarks[:REMARKS_SHOWN] if evidence else (),
        line=(
            *context.line,
            Ancestor(subject.title or subject.label, _STATUS.get(subject.approval, ""), True),
        ),
        differences=_differences(subject, context),
        size=size_rows(subject),
        lint=evidence.lint.findings[:ROWS_SHOWN] if evidence and evidence.lint else (),
        lint_word=lint_words(subject),
        approve=approve,
        reject=reject,
        console=context.console,
        missing=missing,
        devices=context.devices,
    )


def _pair(subject: Subject, live: Subject | None) -> tuple[PairedComparison | None, str]:
    """The comparison on the same views, or why there is none; both empty without a live version."""
    if live is None:
        return None, ""
    if subject.evidence is None or live.evidence is None:
        which = subject if subject.evidence is None else live
        why = f" ({which.lacking})" if which.lacking else ""
        return None, f"{which.label} keeps no answers view by view{why}"
    fault = why_not(subject.evidence.views, live.evidence.views)
    if fault:
        return None, fault
    return compare_views(subject.evidence.views, live.evidence.views), ""


def _verdict(
    figures: Mapping[str, Figure],
    context: PageContext,
    paired: PairedComparison | None,
    lacking: str,
) -> verdict.Verdict:
    words, tone = context.live_note, verdict.OPEN
    if context.live is not None:
        words = (
            f"How it compares with {context.role}, {context.live.label}, is not known: {lacking}."
        )
    if context.live is not None and paired is not None:
        words, tone = verdict.against(f"{context.role}, {context.live.label}", paired.named)
    return verdict.Verdict(verdict.sentence(figures), words, tone)


def _alerts(subject: Subject, context: PageContext) -> tuple[str, ...]:
    evaluation = from_evaluation(subject.evaluation or {})
    found = [
        f"The registry contradicts the model's own evaluation. {each}."
        for each in contradictions(evaluation, from_metadata(subject.metadata))
    ]
    if context.flaw:
        found.append(f"It has no passed validation: {context.flaw}.")
    if subject.metadata.get("Stated"):
        found.append(f"Stated by a person and not measured: {subject.metadata['Stated']}.")
    if subject.metadata.get("CompileFailure"):
        found.append(f"Its last compile job failed: {subject.metadata['CompileFailure']}.")
    return tuple(found)


def _change(
    subject: Subject, context: PageContext, paired: PairedComparison | None, lacking: str
) -> Change:
    live = context.live
    if live is None:
        return Change("", context.role, context.live_note)
    live_figures = live.figures
    side_by_side = tuple(
        (figure, live_figures[key])
        for key, figure in subject.figures.items()
        if key in live_figures
    )
    if paired is None:
        return Change(live.label, context.role, lacking, figures=side_by_side)
    assert subject.evidence and live.evidence
    pictures = {**live.evidence.cards, **subject.evidence.cards}

    def pictured(cards: Sequence[ChangedCard]) -> tuple[PicturedCard, ...]:
        return tuple(
            PicturedCard(card, pictures.get(card.card_id, "")) for card in cards[:CARDS_SHOWN]
        )

    return Change(
        live.label,
        context.role,
        differences=paired.rows,
        won=pictured(paired.won),
        lost=pictured(paired.lost),
        won_count=len(paired.won),
        lost_count=len(paired.lost),
        figures=side_by_side,
    )


def _curve(subject: Subject, figures: Mapping[str, Figure]) -> charts.Chart | None:
    needed = [figures.get(key) for key in ("threshold", "false_accept_rate", "accepted_right")]
    threshold, rate, named = needed
    rows = subject.evidence.curve if subject.evidence else ()
    if not rows or threshold is None or rate is None or named is None:
        return None
    return charts.operating_curve(rows, threshold.value, rate.value, named.value)


def _map(evidence: Evidence | None) -> MapDrawing | None:
    if evidence is None or evidence.map is None:
        return None
    pairs = [(each.card_id, each.answer, each.views) for each in evidence.confusions]
    return confusion_map(evidence.map, pairs)


def _training_charts(evidence: Evidence | None) -> tuple[charts.Chart, ...]:
    if evidence is None or evidence.training is None:
        return ()
    curves = evidence.training
    found = [charts.loss_curve(curves.steps, curves.loss)]
    if curves.shares:
        found.append(charts.share_curve(curves.steps, curves.shares))
    return tuple(found)


def _differences(subject: Subject, context: PageContext) -> tuple[Differences, ...]:
    others = [("its parent", context.parent), (context.role, context.live)]
    found = []
    for role, other in others:
        if other is not None:
            settings = subject.hyperparameters is not None and other.hyperparameters is not None
            compared = compare([_compared(subject, settings), _compared(other, settings)])
            found.append(_differing(compared, other.label, role))
    return tuple(found)


def _compared(subject: Subject, settings: bool) -> ComparedVersion:
    known = {row.name: row.value for row in subject.facts if row.name == COMMIT}
    if subject.evidence:
        known[SCANS_LICENCE] = subject.evidence.data.licence or "not stated"
    given = subject.hyperparameters if settings else None
    return ComparedVersion(subject.label, {**subject.metadata, **known}, given)


def _differing(compared: Comparison, other: str, role: str) -> Differences:
    # A key that only one kind of version has tells nothing; a setting that only one was given does.
    rows = [
        row
        for title, rows in compared.sections.items()
        if title != "Metrics"
        for row in rows
        if title == _SETTINGS or None not in row.values
    ]
    differing = [
        Differing(row.key, *(shortened(value or "–", _VALUE_SHOWN) for value in row.values))
        for row in rows
        if row.differs
    ]
    return Differences(
        other,
        role,
        tuple(differing[:ROWS_SHOWN]),
        max(0, len(differing) - ROWS_SHOWN),
        len(rows) - len(differing),
    )


def _choices(subject: Subject, context: PageContext) -> tuple[Choice, Choice]:
    return choices(subject.name, subject.label, context.seen, context.circumstances, context.flaw)
