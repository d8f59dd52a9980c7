"""The page of a release, from what the compile job measured: ``fidelity.html``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from export.compiler import CompiledModel
from export.fidelity.gate import FIXED, PASSED, GateResult
from export.fidelity.gate_images import GateImages
from export.fidelity.measurement import MeasuredModel
from recognition.file_digest import file_sha256
from recognition.search.gallery import TIE, Gallery
from registry.compilers import CompilerKind
from registry.weight_origins import WeightOrigin
from reports.drawings.pictures import picture
from reports.figures import from_evaluation
from reports.outcomes.paired import PairedComparison, compare
from reports.outcomes.view_outcomes import EvidenceError, ViewOutcomes
from reports.page import Row
from reports.release_page import CARDS_SHOWN, Compiled, MovedView, release_page


def fidelity_page(
    name: str,
    kind: CompilerKind,
    made: CompiledModel,
    images: GateImages,
    measured: Sequence[MeasuredModel],
    fidelity: GateResult,
    weights: Sequence[WeightOrigin],
    requested: int,
) -> str:
    """The page's HTML.

    Args:
        name: The student's name.
        kind: The compiler.
        made: What it made.
        images: What both models were measured on.
        measured: The model before compilation, and the compiled one.
        fidelity: The gate's result.
        weights: Published weights that the student descends from.
        requested: How many calibration images were asked for.
    """
    before, after = measured
    paired, lacking = None, ""
    try:
        paired = compare(outcomes(images, after), outcomes(images, before))
    except EvidenceError as error:
        lacking = str(error)
    compiled = Compiled(
        name=name,
        compiler=kind.title,
        device=kind.device,
        model=made.path.name,
        passed=fidelity.verdict == PASSED,
        reasons=tuple(fidelity.reasons),
        figures=from_evaluation(after.evaluation.to_dict()),
        before=from_evaluation(before.evaluation.to_dict()),
        paired=paired,
        lacking=lacking,
        pictures=_scans(images, paired) if paired else {},
        gate=fidelity.figures,
        thresholds={**asdict(fidelity.thresholds), **FIXED},
        moved=_moved(images, fidelity),
        warnings=after.evaluation.warnings,
        facts=_facts(made, requested, kind.calibration_images),
        weights=tuple(weights),
        licence=images.licence,
    )
    # Without the time: a repeated job writes the same bytes, and the manifest tells the time.
    return release_page(compiled, f"Made by the compile job of {name}.")


def outcomes(images: GateImages, measured: MeasuredModel) -> ViewOutcomes:
    """A model's answer to each view of a known card, as a device decides it.

    Raises:
        EvidenceError: The views of a card do not follow each other.
    """
    rule, ids = measured.evaluation.rule, images.queries.card_ids
    gallery = Gallery(
        measured.embeddings.gallery, images.gallery.card_ids, artworks=images.artworks
    )
    queries = measured.embeddings.queries
    found = gallery.own_cards(queries, ids)
    right = found.other < found.own - TIE
    accepted = rule.score.of(gallery.best(queries, rule.score.ranks)) >= rule.threshold()
    return ViewOutcomes.of("gate", ids, right, accepted)


def _scans(images: GateImages, paired: PairedComparison) -> dict[str, str]:
    """Pictures of the cards that changed and are shown."""
    shown = [each.card_id for each in (*paired.won[:CARDS_SHOWN], *paired.lost[:CARDS_SHOWN])]
    first = _first_rows(images.gallery.card_ids)
    return {card: picture(images.gallery.image(first[card])) for card in shown}


def _moved(images: GateImages, fidelity: GateResult) -> tuple[MovedView, ...]:
    first = _first_rows(images.gallery.card_ids)
    return tuple(
        MovedView(
            str(each["card_id"]),
            float(each["cosine"]),
            picture(images.queries.image(int(each["query"]))),
            picture(images.gallery.image(first[str(each["card_id"])])),
        )
        for each in fidelity.worst
    )


def _first_rows(card_ids: Sequence[str]) -> dict[str, int]:
    """The first row of each card, by its id."""
    return {card_id: row for row, card_id in reversed(list(enumerate(card_ids)))}


def _facts(made: CompiledModel, requested: int, advised: int) -> tuple[Row, ...]:
    calibration = made.calibration
    note = f"of {requested:,} that were asked for"
    if calibration.images < advised:
        note += f"; {advised:,} are advised"
    return (
        Row("Model file", made.path.name, f"{made.path.stat().st_size:,} bytes"),
        Row("SHA-256 of the file", file_sha256(made.path)),
        Row("Compiled by", ", ".join(f"{key} {text}" for key, text in made.toolchain.items())),
        Row("Calibration images", f"{calibration.images:,}", note),
        Row("SHA-256 of their bytes", calibration.sha256),
        *(Row("Note", each) for each in made.notes),
    )
