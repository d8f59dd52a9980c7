"""Puts the approver's page together from what is known of a version; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.contract import Contract
from registry.convergence import Observation
from registry.names import ModelName
from registry.versions.comparison import ComparedVersion, Comparison, compare
from reports import charts, verdict
from reports.decision import Choice, Circumstances, choices
from reports.evidence import Evidence
from reports.figures import MEANINGS, Figure, contradictions, from_evaluation, from_metadata
from reports.page import Ancestor, Change, Differences, Differing, Page, PicturedCard, Row
from reports.paired import ChangedCard, PairedComparison, why_not
from reports.paired import compare as compare_views

#: Cards and rows that the page shows of each kind, whatever the set's size.
CARDS_SHOWN, PAIRS_SHOWN, ROWS_SHOWN, REMARKS_SHOWN = 12, 12, 24, 8
#: With fewer unknown cards than these, a rate of 1 % cannot be shown with 95 % certainty.
FEWEST_UNKNOWN = 299
_WITHOUT = "This version keeps no evidence.json: it was registered before training jobs wrote one"
_STATES = {"Approved": "approved", "Rejected": "rejected"}
_STATUS = {"Approved": "approved", "Rejected": "rejected", "PendingManualApproval": "waits"}


@dataclass(frozen=True)
class Subject:
    """What is known of one version.

    Attributes:
        label: Its name, or what stands for it.
        metadata: Of the registry.
        name: By the convention; None where it has none, or a job does not know it yet.
        approval: SageMaker's word.
        evaluation: ``evaluation.json``; None where it cannot be had.
        evidence: ``evidence.json``; None where the version has none.
        lacking: Why evaluation or evidence cannot be had, where that is another reason than age.
        hyperparameters: Of its training job; None where they cannot be had.
        facts: What the registry says beside its metadata.
        message: The words of the person who submitted the training.
    """

    label: str
    metadata: Mapping[str, str]
    name: ModelName | None = None
    approval: str = "PendingManualApproval"
    evaluation: Mapping[str, Any] | None = None
    evidence: Evidence | None = None
    lacking: str = ""
    hyperparameters: Mapping[str, str] | None = None
    facts: tuple[Row, ...] = ()
    message: str = ""

    @property
    def figures(self) -> dict[str, Figure]:
        """What was measured; the evaluation before the registry's rounded figures."""
        found = from_metadata(self.metadata) | from_evaluation(self.evaluation or {})
        return {key: found[key] for key in MEANINGS if key in found}


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
        reason = subject.lacking or f"{_WITHOUT}."
        missing = dict.fromkeys(("curve", "worst", "confusions", "training", "data"), reason)
    elif not training:
        missing["training"] = "The job reported no interval."
    curve = _curve(subject, figures)
    if curve is None:
        missing.setdefault("curve", "The evaluation has no operating curve.")
    return Page(
        title=subject.label,
        status=_STATUS.get(subject.approval, subject.approval),
        state=_STATES.get(subject.approval, "pending"),
        made=made,
        verdict=_verdict(figures, context, paired, lacking),
        facts=subject.facts,
        message=subject.message,
        alerts=_alerts(subject, context),
        change=_change(subject, context, paired, lacking),
        unmeasured=_unmeasured(subject, figures, context, lacking),
        figures=tuple(figures.values()),
        figures_from="its evaluation" if subject.evaluation else "the registry's metadata",
        curve=curve,
        worst=evidence.worst if evidence else (),
        wrong_views=int((~evidence.views.first()).sum()) if evidence else None,
        unknown=evidence.unknown if evidence else (),
        confusions=evidence.confusions[:PAIRS_SHOWN] if evidence else (),
        confused_pairs=evidence.confused_pairs if evidence else 0,
        training=training,
        data=_data(subject),
        remarks=evidence.data.remarks[:REMARKS_SHOWN] if evidence else (),
        line=(*context.line, Ancestor(subject.label, _STATUS.get(subject.approval, ""), True)),
        differences=_differences(subject, context),
        size=_size(subject),
        lint=evidence.lint.findings[:ROWS_SHOWN] if evidence and evidence.lint else (),
        lint_word=_lint(subject),
        approve=approve,
        reject=reject,
        console=context.console,
        missing=missing,
    )


def _pair(subject: Subject, live: Subject | None) -> tuple[PairedComparison | None, str]:
    """The comparison on the same views, or why there is none; both empty without a live version."""
    if live is None:
        return None, ""
    if subject.evidence is None or live.evidence is None:
        which = subject if subject.evidence is None else live
        return None, f"{which.label} keeps no answers view by view"
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
        found.append(
            f"These values were stated by a person and not measured: {subject.metadata['Stated']}."
        )
    if subject.metadata.get("CompileFailure"):
        found.append(f"Its last compile job failed: {subject.metadata['CompileFailure']}.")
    return tuple(found)


def _change(
    subject: Subject, context: PageContext, paired: PairedComparison | None, lacking: str
) -> Change:
    live = context.live
    if live is None:
        return Change("", context.role, context.live_note)
    theirs = live.figures
    side_by_side = tuple(
        (figure, theirs[key]) for key, figure in subject.figures.items() if key in theirs
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
        differences=(
            ("Named right", paired.named),
            ("Named at all, right or wrong", paired.accepted),
            ("Right card nearest, before the threshold", paired.first),
        ),
        won=pictured(paired.won),
        lost=pictured(paired.lost),
        won_count=len(paired.won),
        lost_count=len(paired.lost),
        figures=side_by_side,
    )


def _unmeasured(
    subject: Subject, figures: Mapping[str, Figure], context: PageContext, lacking: str
) -> tuple[str, ...]:
    said = [
        "No chip: these are the figures of the trained network in full precision. What the "
        "compiled file loses is measured by the gate, after approval.",
        "No real photographs: the views are scans that a program turned, lit, blurred and "
        "compressed as a camera would.",
        "No speed and no memory use on a device.",
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
        said += [_sentence(each) for each in warnings if isinstance(each, str)]
    if "artworks_accepted_right" not in figures:
        said.append(
            "Reprints and twins are not counted apart: a view that is answered with another "
            "printing of the same picture counts as wrong."
        )
    if context.live is not None and lacking:
        said.append(f"No comparison with {context.live.label} on the same views: {lacking}.")
    if subject.evaluation is None:
        said.append(
            "Its evaluation cannot be read"
            f"{f' ({subject.lacking})' if subject.lacking else ''}: the figures are the "
            "registry's, with four digits."
        )
    said.append("The licence of the scans is not recorded anywhere.")
    return tuple(said)


def _curve(subject: Subject, figures: Mapping[str, Figure]) -> charts.Chart | None:
    needed = [figures.get(key) for key in ("threshold", "false_accept_rate", "accepted_right")]
    threshold, rate, named = needed
    rows = subject.evidence.curve if subject.evidence else ()
    if not rows or threshold is None or rate is None or named is None:
        return None
    return charts.operating_curve(rows, threshold.value, rate.value, named.value)


def _training_charts(evidence: Evidence | None) -> tuple[charts.Chart, ...]:
    if evidence is None or evidence.training is None:
        return ()
    curves = evidence.training
    found = [charts.loss_curve(curves.steps, curves.loss)]
    if curves.shares:
        found.append(charts.share_curve(curves.steps, curves.shares))
    return tuple(found)


def _data(subject: Subject) -> tuple[Row, ...]:
    metadata = subject.metadata
    digest = metadata.get("CardSetDigest", "")
    rows = []
    if subject.evidence:
        data = subject.evidence.data
        digest = digest or data.digest
        unseen = data.unseen_validation + data.unseen_test
        rows = [
            Row("Cards in the set", f"{data.cards:,}", f"{data.images:,} scans"),
            Row("Known cards", f"{data.known:,}", "trained on, and in the gallery"),
            Row(
                "Cards kept out",
                f"{unseen:,}",
                f"{data.unseen_validation:,} choose the threshold, {data.unseen_test:,} measure",
            ),
            Row(
                "Remarks on the scans",
                f"{sum(data.problems.values()):,}",
                ", ".join(f"{count:,} {kind}" for kind, count in sorted(data.problems.items())),
            ),
        ]
    elif "NumClasses" in metadata:
        rows = [Row("Known cards", f"{metadata['NumClasses']}")]
    if metadata.get("CardSetUri"):
        rows.append(Row("Where it lies", metadata["CardSetUri"]))
    if digest:
        rows.append(Row("SHA-256 of the set", digest))
    return tuple(rows)


def _size(subject: Subject) -> tuple[Row, ...]:
    rows = []
    if "Parameters" in subject.metadata:
        count = subject.metadata["Parameters"]
        rows.append(Row("Parameters", f"{int(count):,}" if count.isdecimal() else count))
    if "EmbeddingDim" in subject.metadata:
        rows.append(Row("Values of an embedding", subject.metadata["EmbeddingDim"]))
    size = subject.metadata.get("InputSize", str(Contract.size))
    rows.append(Row("Input", f"{size} × {size} pixels"))
    if subject.evidence:
        rows += [
            Row(name, f"{count / 1e6:.2f} MB", "as trained; the compiled file is smaller")
            for name, count in sorted(subject.evidence.sizes.items())
        ]
    rows.append(Row("Speed on a device", "not measured"))
    return tuple(rows)


def _lint(subject: Subject) -> str:
    if subject.evidence and subject.evidence.lint:
        count = len(subject.evidence.lint.findings)
        if not count:
            return (
                "The lint of the graph found nothing that the Hailo compiler is known to refuse. "
                "Only the compiler itself can tell."
            )
        return f"The Hailo compiler is expected to refuse this graph, for {count} reasons:"
    compatible = subject.metadata.get("HailoCompatible")
    if compatible == "true":
        return "The registry says that the lint found nothing that the compiler would refuse."
    if compatible == "false":
        return "The registry says that the compiler is expected to refuse this graph."
    return "This kind of model is not compiled, so its graph was not checked."


def _differences(subject: Subject, context: PageContext) -> tuple[Differences, ...]:
    others = [("its parent", context.parent), (context.role, context.live)]
    found = []
    for role, other in others:
        if other is not None:
            compared = compare([_compared(subject), _compared(other)])
            found.append(_differing(compared, other.label, role))
    return tuple(found)


def _compared(subject: Subject) -> ComparedVersion:
    return ComparedVersion(subject.label, subject.metadata, subject.hyperparameters)


def _differing(compared: Comparison, other: str, role: str) -> Differences:
    rows = [row for title, rows in compared.sections.items() if title != "Metrics" for row in rows]
    differing = [
        Differing(row.key, row.values[0] or "–", row.values[1] or "–")
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


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
