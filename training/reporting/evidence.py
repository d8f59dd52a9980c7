"""What a job keeps for the approver: the answer to each view, and pictures of what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reports import evidence as kept
from reports.drawings.embedding_map import embedding_map
from reports.drawings.pictures import picture
from reports.evidence import (
    CardData,
    Confusion,
    Evidence,
    LintReport,
    SharedArtworks,
    TrainingCurves,
    WrongView,
)
from reports.outcomes.answers import (
    Answers,
    accepted_unknown,
    answers,
    confused,
    operating_curve,
    worst,
)
from reports.outcomes.view_outcomes import ViewOutcomes
from training.data.batches import CardDataset
from training.reporting.evaluation import TrainingResult
from training.reporting.plots import MetricHistory

if TYPE_CHECKING:
    from export.graphs.onnx_export import OnnxReport

_SHARE = "share_"
_MODEL_FILES = (".onnx", ".safetensors")


def collect_evidence(
    cards: CardDataset,
    result: TrainingResult,
    history: MetricHistory,
    model: Path,
    report: OnnxReport | None = None,
) -> Evidence:
    """Looks every view up again and keeps what a person who decides wants to see.

    Args:
        cards: What it was trained on.
        result: What was measured.
        history: Of the loop.
        model: Folder with the model's files.
        report: Of a student's export.
    """
    gallery_ids, rule, artworks = cards.split.known, result.test.rule, result.artworks
    known = answers(
        result.gallery, gallery_ids, result.seen.embeddings, result.seen.card_ids, rule, artworks
    )
    unknown = answers(
        result.gallery, gallery_ids, result.unknown, result.unknown_ids, rule, artworks
    )
    views = ViewOutcomes.of(result.seen.digest, result.seen.card_ids, known.right, known.accepted)
    pairs = confused(known, gallery_ids, result.seen.card_ids)
    look = _Pictures(cards)
    files = [file for file in sorted(model.iterdir()) if file.suffix in _MODEL_FILES]
    return Evidence(
        views=views,
        worst=look.wrong(known, worst(known, kept.WORST), result.seen.card_ids),
        unknown=look.wrong(unknown, accepted_unknown(unknown, kept.UNKNOWN), result.unknown_ids),
        confusions=tuple(
            Confusion(card, answer, count, views.per_card)
            for card, answer, count in pairs[: kept.CONFUSIONS]
        ),
        confused_pairs=len(pairs),
        curve=operating_curve(known, unknown),
        data=_data(cards),
        sizes={file.name: file.stat().st_size for file in files},
        training=_training(history),
        lint=_lint(report),
        cards=look.scans(_most_wrong(views)),
        map=embedding_map(
            result.gallery, gallery_ids, (pair[:2] for pair in pairs[: kept.CONFUSIONS])
        ),
        shared=_shared(artworks),
    )


class _Pictures:
    """Renders the few views and scans that are shown."""

    def __init__(self, cards: CardDataset) -> None:
        self._cards = cards
        self._row = {card: row for row, card in enumerate(cards.split.known)}

    def wrong(
        self, found: Answers, rows: Sequence[int], view_ids: Sequence[str]
    ) -> tuple[WrongView, ...]:
        return tuple(self._one(found, row, view_ids) for row in rows)

    def scans(self, card_ids: Sequence[str]) -> dict[str, str]:
        return {card: self._scan(card) for card in card_ids}

    def _one(self, found: Answers, row: int, view_ids: Sequence[str]) -> WrongView:
        card, known = view_ids[row], view_ids[row] in self._row
        answer = self._cards.split.known[int(found.other_row[row])]
        per_card = view_ids.count(card)
        rendered, _ = self._cards.views((card,), "query", per_card)
        return WrongView(
            card_id=card,
            known=known,
            answer=answer,
            similarity=round(float(found.best[row]), 6),
            accepted=bool(found.accepted[row]),
            view=picture(rendered[row - view_ids.index(card)]),
            scan=self._scan(card) if known else picture(self._cards.unseen_gallery((card,))[0]),
            match=self._scan(answer),
        )

    def _scan(self, card_id: str) -> str:
        return picture(np.asarray(self._cards.gallery[self._row[card_id]]))


def _shared(artworks: Mapping[str, str]) -> SharedArtworks:
    """Artworks that several cards show, those of the most cards first."""
    groups: dict[str, list[str]] = {}
    for card, artwork in sorted(artworks.items()):
        groups.setdefault(artwork, []).append(card)
    several = sorted((each for each in groups.values() if len(each) > 1), key=len, reverse=True)
    return SharedArtworks(
        len(several),
        sum(map(len, several)),
        tuple(tuple(each[: kept.PRINTINGS]) for each in several[: kept.ARTWORKS]),
    )


def _most_wrong(views: ViewOutcomes) -> list[str]:
    """Cards with views that are not named right, the most first."""
    missed = (~views.named()).sum(axis=1)
    order = np.argsort(-missed, kind="stable")[: kept.CARD_PICTURES]
    return [views.cards[index] for index in order.tolist() if missed[index]]


def _data(cards: CardDataset) -> CardData:
    split, problems = cards.split, cards.card_set.problems
    licence = cards.card_set.licence
    return CardData(
        digest=cards.card_set.digest,
        cards=len(cards.card_set.cards),
        images=cards.card_set.images,
        known=len(split.known),
        unseen_validation=len(split.unseen_validation),
        unseen_test=len(split.unseen_test),
        problems=dict(Counter(str(problem.kind) for problem in problems)),
        remarks=tuple(kept.shortened(str(problem)) for problem in problems[:20]),
        licence=licence.text if licence else "",
    )


def _training(history: MetricHistory) -> TrainingCurves | None:
    """The curves, thinned to what a chart can show; the last interval is always there."""
    usable = [(step, figures) for step, figures in history if _finite(figures)]
    if not usable:
        return None
    count = min(len(usable), kept.CURVE_POINTS)
    chosen = [usable[round(index)] for index in np.linspace(0, len(usable) - 1, count)]
    names = dict.fromkeys(name for _, each in usable for name in each if name.startswith(_SHARE))
    return TrainingCurves(
        steps=tuple(step for step, _ in chosen),
        loss=tuple(float(figures["loss"]) for _, figures in chosen),
        shares={
            name.removeprefix(_SHARE): _carried([each.get(name) for _, each in chosen])
            for name in names
        },
    )


def _carried(values: Sequence[float | None]) -> tuple[float, ...]:
    """A share at each interval: not every one measures it, and those between have the last one."""
    last = next((each for each in values if each is not None), 0.0)
    found = []
    for each in values:
        last = last if each is None else each
        found.append(float(last))
    return tuple(found)


def _finite(figures: Mapping[str, Any]) -> bool:
    shown = [value for name, value in figures.items() if name == "loss" or name.startswith(_SHARE)]
    return "loss" in figures and bool(np.isfinite(shown).all())


def _lint(report: OnnxReport | None) -> LintReport | None:
    if report is None:
        return None
    return LintReport(
        tuple(
            (kept.shortened(each.where), kept.shortened(each.cause), kept.shortened(each.remedy))
            for each in report.findings
        ),
        report.parameters,
    )
