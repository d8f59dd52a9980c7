"""The images that the gate and the index need, rendered again as training rendered them.

Views of a full-sized card set are more than a machine's memory holds: they are rendered a group of
cards at a time, on every pass.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.calibration import CalibrationRecord, Pixels, Recorder
from export.student_artifact import StudentArtifact, StudentArtifactError
from recognition.card_sets.artworks import artworks_of
from recognition.card_sets.card_set import require_digest
from recognition.card_sets.pack import AnySet, open_card_set
from recognition.sample_cards.drawn_set import DrawnSet, views_of_strangers
from recognition.search.frames import FRAMES
from recognition.views.camera import Stream, camera_views, scan_scale, views_per_card
from recognition.views.digest import card_digest, scans_digest, views_digest

Cards = AnySet | DrawnSet

#: Images that are in memory at a time, about: 150 MiB at 224 px.
GROUP = 1024


class CardImages:
    """Images of cards, rendered when they are read.

    Args:
        cards: The cards, with a scan each or several.
        counts: How many images there are of each card, in the cards' order.
        make: Renders the images of some of the cards, uint8 (N, S, S, 3), card after card.
    """

    def __init__(
        self, cards: Cards, counts: Sequence[int], make: Callable[[Cards], Pixels]
    ) -> None:
        self._cards, self._make = cards, make
        self._ends = list(itertools.accumulate(counts))
        #: Card id of each image.
        self.card_ids: list[str] = [
            card_id
            for card_id, count in zip(cards.card_ids, counts, strict=True)
            for _ in range(count)
        ]

    def __len__(self) -> int:
        return len(self.card_ids)

    def groups(self) -> Iterator[Pixels]:
        """All images, uint8 (N, S, S, 3), in groups of whole cards."""
        ids = self._cards.card_ids
        first = 0
        while first < len(ids):
            begun = self._ends[first - 1] if first else 0
            last = first + 1
            while last < len(ids) and self._ends[last] - begun <= GROUP:
                last += 1
            yield self._make(self._cards.only(ids[first:last]))
            first = last

    def image(self, row: int) -> Pixels:
        """One image, uint8 (S, S, 3)."""
        card_id = self.card_ids[row]
        images = self._make(self._cards.only([card_id]))
        found: Pixels = images[row - self.card_ids.index(card_id)]
        return found

    def all(self) -> Pixels:
        """All images at once, uint8 (N, S, S, 3)."""
        return np.concatenate(list(self.groups()))


@dataclass(frozen=True)
class EvaluationImages:
    """What retrieval is measured on, by the artifact's split.

    Attributes:
        gallery: Every clean scan of the known cards, and of those that were added.
        queries: Unseen views of the known cards, the very ones behind the PyTorch reference.
        added: Views of the cards of the set that the split does not name: they were added to the
            index after training (``cards index add``).
        unseen_validation: Views of the validation part's unseen cards; they set the threshold.
        unseen_test: Views of the test part's unseen cards; they are reported.
        unseen_gallery: Clean scans of those.
        artworks: By card id the name of its artwork, of cards of the gallery that share theirs.
        strangers: Views of drawn cards, which help to set the threshold; empty where the run asks
            for none.
    """

    gallery: CardImages
    queries: CardImages
    added: CardImages
    unseen_validation: CardImages
    unseen_test: CardImages
    unseen_gallery: CardImages
    strangers: CardImages
    artworks: Mapping[str, str]


@dataclass(frozen=True)
class GateImages(EvaluationImages):
    """What the gate and the index need.

    Attributes:
        calibration: uint8 (N, S, S, 3), views of known cards that nothing else is measured on.
        calibration_ids: Card id of each.
        seen: Statistics of the query views.
        digest: The card set's.
        cards: How many cards it has.
        licence: Of the scans, as the set states it; empty where it states none.
    """

    calibration: Pixels
    calibration_ids: list[str]
    seen: CalibrationRecord
    digest: str
    cards: int
    licence: str


def evaluation_images(cards: AnySet, artifact: StudentArtifact) -> EvaluationImages:
    """Says how each view is rendered; only the scans are read.

    Args:
        cards: The card set that the student was trained on, which may have more cards since.
        artifact: The student's.

    Raises:
        StudentArtifactError: A card of the student's is missing, or has other scans.
    """
    split = artifact.split
    wanted = {*split.known, *split.unseen_validation, *split.unseen_test}
    missing = sorted(wanted - set(cards.card_ids))
    if missing:
        raise StudentArtifactError(
            f"the card set lacks {len(missing)} of the {len(wanted)} cards that the student was "
            f"trained and tested on ({', '.join(missing[:3])} …); compile with that card set"
        )
    _require_same_scans(cards.only(wanted), artifact)
    added = tuple(card_id for card_id in cards.card_ids if card_id not in wanted)
    queries = _views(cards, artifact, split.known, "query", artifact.views_per_card)
    if queries.card_ids != artifact.reference_ids:
        raise StudentArtifactError(
            "reference.npz: its views are not those of split.json's known cards"
        )
    unseen_validation = views_per_card(artifact.unseen_views, len(split.unseen_validation), FRAMES)
    unseen_test = views_per_card(artifact.unseen_views, len(split.unseen_test), FRAMES)
    drawn = DrawnSet.of(artifact.drawn_strangers)
    return EvaluationImages(
        gallery=_scans(cards, artifact, (*split.known, *added)),
        queries=queries,
        added=_views(cards, artifact, added, "query", artifact.views_per_card),
        unseen_validation=_views(
            cards, artifact, split.unseen_validation, "validation", unseen_validation
        ),
        unseen_test=_views(cards, artifact, split.unseen_test, "query", unseen_test),
        unseen_gallery=_scans(cards, artifact, split.unseen_test),
        strangers=_views(
            drawn,
            artifact,
            drawn.card_ids,
            "validation",
            views_of_strangers(len(drawn.cards), FRAMES),
        ),
        artworks=artworks_of(cards.only((*split.known, *added)), artifact.contract, _threads()),
    )


def render_gate_images(
    folder: Path,
    artifact: StudentArtifact,
    calibration_images: int,
    cards_digest: str | None = None,
) -> GateImages:
    """Reads the card set and says how each view is rendered; the queries' are checked at once.

    Args:
        folder: The card set.
        artifact: The student's.
        calibration_images: How many views the quantiser is shown.
        cards_digest: Digest of the card set that the version was registered with; None where
            nobody says.

    Raises:
        CardSetError: The folder holds no card set, or another than that.
        StudentArtifactError: Not the scans that the student was trained on, or its query views
            come out differently here.
    """
    cards = open_card_set(folder, artifact.contract)
    require_digest(cards, cards_digest)
    images = evaluation_images(cards, artifact)
    seen = _require_same_views(images.queries, artifact)
    shown = evenly_spaced(artifact.split.known, calibration_images)
    calibration = _views(
        cards, artifact, shown, "calibration", -(-calibration_images // len(shown))
    )
    return GateImages(
        **vars(images),
        calibration=calibration.all()[:calibration_images],
        calibration_ids=calibration.card_ids[:calibration_images],
        seen=seen,
        digest=cards.digest,
        cards=len(cards.cards),
        licence=cards.licence.text if cards.licence else "",
    )


def _require_same_scans(cards: AnySet, artifact: StudentArtifact) -> None:
    """Refuses a scan that was added, removed or changed: each becomes a row of the index."""
    found = scans_digest(cards.cards)
    if artifact.scans_digest and found != artifact.scans_digest:
        raise StudentArtifactError(
            f"the scans of the student's cards ({found[:12]}…) are not those that it was trained "
            f"with ({artifact.scans_digest[:12]}…); compile with that card set"
        )


def _require_same_views(queries: CardImages, artifact: StudentArtifact) -> CalibrationRecord:
    """Refuses other views, as another OpenCV renders them: the gate would blame the model."""
    step, recorder, digests = artifact.views_per_card, Recorder(), []
    for images in queries.groups():
        recorder.add(images)
        digests += [card_digest(images[i : i + step]) for i in range(0, len(images), step)]
    found = views_digest(digests)
    if artifact.views_digest and found != artifact.views_digest:
        raise StudentArtifactError(
            f"the query views rendered here ({found[:12]}…) are not those that PyTorch embedded "
            f"({artifact.views_digest[:12]}…); compile with the scans and the OpenCV that the "
            "student was trained with"
        )
    return recorder.record()


def evenly_spaced(items: Sequence[str], count: int) -> tuple[str, ...]:
    """At most ``count`` items, evenly spaced: card ids begin with their set's name."""
    chosen = min(count, len(items))
    return tuple(items[place * len(items) // chosen] for place in range(chosen))


def _views(
    cards: Cards,
    artifact: StudentArtifact,
    card_ids: tuple[str, ...],
    stream: Stream,
    per_card: int | Sequence[int],
) -> CardImages:
    """Camera views of cards, so many of each: one number for all, or one a card."""
    chosen = cards.only(card_ids)
    counts = [per_card] * len(chosen.cards) if isinstance(per_card, int) else list(per_card)
    of = dict(zip(chosen.card_ids, counts, strict=True))

    def make(part: Cards) -> Pixels:
        groups = itertools.groupby(part.card_ids, key=of.__getitem__)
        return np.concatenate([rendered(part.only(ids), count) for count, ids in groups])

    def rendered(part: Cards, count: int) -> Pixels:
        scale = scan_scale(artifact.contract.size, artifact.camera_side)
        images, _ = camera_views(
            np.asarray(part.first_scans(artifact.contract, scale=scale)),
            part.card_ids,
            size=artifact.contract.size,
            seed=artifact.seed,
            stream=stream,
            per_card=count,
            threads=_threads(),
            camera_side=artifact.camera_side,
        )
        return images

    return CardImages(chosen, counts, make)


def _scans(cards: AnySet, artifact: StudentArtifact, card_ids: tuple[str, ...]) -> CardImages:
    def make(chosen: Cards) -> Pixels:
        return np.asarray(chosen.all_scans(artifact.contract)[0])

    chosen = cards.only(card_ids)
    return CardImages(chosen, [len(card.scans) for card in chosen.cards], make)


def _threads() -> int:
    return os.cpu_count() or 1
