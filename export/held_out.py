"""The images that a compiled model is judged on, rendered again as training rendered them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.calibration import Pixels
from export.student_artifact import ArtifactError, StudentArtifact
from recognition.camera import Stream, camera_views
from recognition.pack import AnySet, open_card_set
from recognition.views_digest import card_digest, views_digest

#: Views are rendered from scans of this multiple of the network's input, against aliasing.
SCAN_SCALE = 2


@dataclass(frozen=True)
class Views:
    """Camera views, uint8 (N, S, S, 3), and the card id of each."""

    images: Pixels
    card_ids: Sequence[str]


@dataclass(frozen=True)
class HeldOut:
    """What the gate and the index need, by the artifact's split.

    Attributes:
        gallery: Every clean scan of the known cards.
        queries: Unseen views of the known cards, the very ones behind the PyTorch reference.
        outside: Views of the validation part's unseen cards; they set the threshold.
        outside_test: Views of the test part's unseen cards; they are reported.
        outside_gallery: Clean scans of those.
        calibration: Views of known cards that nothing else is measured on.
        digest: The card set's.
        cards: How many cards it has.
    """

    gallery: Views
    queries: Views
    outside: Views
    outside_test: Views
    outside_gallery: Views
    calibration: Views
    digest: str
    cards: int


def render(folder: Path, artifact: StudentArtifact, calibration_images: int) -> HeldOut:
    """Reads the card set and renders every view.

    Raises:
        CardSetError: The folder holds no card set.
        ArtifactError: It is not the card set that the student was trained on, or its query views
            come out differently here.
    """
    cards = open_card_set(folder, artifact.contract)
    split = artifact.split
    wanted = {*split.known, *split.unseen_validation, *split.unseen_test}
    missing = sorted(wanted - set(cards.card_ids))
    if missing:
        raise ArtifactError(
            f"the card set lacks {len(missing)} of the {len(wanted)} cards that the student was "
            f"trained and tested on ({', '.join(missing[:3])} …); compile with that card set"
        )
    shown = spread(split.known, calibration_images)
    calibration = _views(
        cards, artifact, shown, "calibration", -(-calibration_images // len(shown))
    )
    gallery, gallery_ids = cards.only(split.known).all_scans(artifact.contract)
    outside_gallery, outside_ids = cards.only(split.unseen_test).all_scans(artifact.contract)
    queries = _views(cards, artifact, split.known, "query", artifact.views_per_card)
    if list(queries.card_ids) != artifact.reference_ids:
        raise ArtifactError("reference.npz: its views are not those of split.json's known cards")
    _require_same_views(queries.images, artifact)
    unseen_validation = per_card(artifact.unseen_views, len(split.unseen_validation))
    unseen_test = per_card(artifact.unseen_views, len(split.unseen_test))
    return HeldOut(
        gallery=Views(np.asarray(gallery), gallery_ids),
        queries=queries,
        outside=_views(cards, artifact, split.unseen_validation, "validation", unseen_validation),
        outside_test=_views(cards, artifact, split.unseen_test, "query", unseen_test),
        outside_gallery=Views(np.asarray(outside_gallery), outside_ids),
        calibration=Views(
            calibration.images[:calibration_images], calibration.card_ids[:calibration_images]
        ),
        digest=cards.digest,
        cards=len(cards.cards),
    )


def _require_same_views(images: Pixels, artifact: StudentArtifact) -> None:
    """Another OpenCV renders other views, and the gate would blame the model for them."""
    step = artifact.views_per_card
    found = views_digest([card_digest(images[i : i + step]) for i in range(0, len(images), step)])
    if artifact.views_digest and found != artifact.views_digest:
        raise ArtifactError(
            f"the query views rendered here ({found[:12]}…) are not those that PyTorch embedded "
            f"({artifact.views_digest[:12]}…); compile with the scans and the OpenCV that the "
            "student was trained with"
        )


def per_card(total: int, cards: int) -> int:
    """How many views of each card training rendered for a total that it was asked for."""
    return max(1, round(total / cards))


def spread(card_ids: Sequence[str], count: int) -> tuple[str, ...]:
    """At most ``count`` cards, evenly from first to last: card ids begin with their set's name."""
    chosen = min(count, len(card_ids))
    return tuple(card_ids[place * len(card_ids) // chosen] for place in range(chosen))


def _views(
    cards: AnySet,
    artifact: StudentArtifact,
    card_ids: tuple[str, ...],
    stream: Stream,
    per_card: int,
) -> Views:
    chosen = cards.only(card_ids)
    ids = chosen.card_ids
    scans = np.asarray(chosen.first_scans(artifact.contract, scale=SCAN_SCALE))
    images, _ = camera_views(
        scans,
        ids,
        size=artifact.contract.size,
        seed=artifact.seed,
        stream=stream,
        per_card=per_card,
        threads=os.cpu_count() or 1,
    )
    return Views(images, [card_id for card_id in ids for _ in range(per_card)])
