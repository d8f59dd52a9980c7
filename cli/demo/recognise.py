"""The demo's last step: a pulled release against camera views that nothing was measured on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.aws import AwsSession
from cli.demo.artifact import artifact_document

if TYPE_CHECKING:
    import numpy as np

    from recognition.card_sets.card_set import CardSet
    from recognition.recogniser import Recognition
    from registry.contract import Contract
    from registry.versions.packages import Package

#: Views are numbered; evaluation takes the first of each card, the demo takes others.
_FIRST_VIEW = 1000
_KNOWN_CARDS = 300
_UNSEEN_CARDS = 60
_UNSEEN_VIEWS = 5
#: Side of the camera's picture of a card, in pixels.
_CAMERA_SIDE = 256
#: Queries in the picture.
_SHOWN = 9


@dataclass(frozen=True)
class View:
    """One camera view and what the recogniser said.

    Attributes:
        card_id: The card that it shows.
        image: uint8 RGB, square, as the camera sees it.
        known: Whether the card is in the index.
    """

    card_id: str
    image: np.ndarray[Any, Any]
    known: bool
    result: Recognition

    @property
    def right(self) -> bool:
        """A known card named, or an unknown one turned away."""
        return bool(self.result.card_id == (self.card_id if self.known else None))

    @property
    def nearest(self) -> str:
        """The best card in the index, good enough or not."""
        return self.result.candidates[0][0]


@dataclass(frozen=True)
class Views:
    """What came of all views.

    Attributes:
        known: Views of cards that are in the index, one a card, in an order drawn by lot.
        unseen: Views of cards that no training and no choice of threshold has seen.
    """

    known: tuple[View, ...]
    unseen: tuple[View, ...]

    @property
    def turned_away(self) -> View | None:
        """The first view of an unseen card that was turned away, if any was."""
        return next((view for view in self.unseen if view.right), None)

    def to_dict(self) -> dict[str, Any]:
        """Counts, as JSON takes them."""
        named = [view for view in self.known if view.result.card_id is not None]
        shown = self.turned_away
        return {
            "known_views": len(self.known),
            "known_nearest": sum(view.nearest == view.card_id for view in self.known),
            "known_right": sum(view.right for view in self.known),
            "known_wrong": sum(not view.right for view in named),
            "known_turned_away": len(self.known) - len(named),
            "unseen_views": len(self.unseen),
            "unseen_cards": len({view.card_id for view in self.unseen}),
            "unseen_turned_away": sum(view.right for view in self.unseen),
            "example_turned_away": None
            if shown is None
            else {
                "card": shown.card_id,
                "nearest": shown.nearest,
                "similarity": float(shown.result.similarity),
                "threshold": float(shown.result.threshold),
            },
        }


def recognise_views(
    aws: AwsSession, cards: CardSet, release: Path, student: Package, picture: Path, seed: int
) -> Views:
    """Recognises one new view of each known card and several of each unseen one.

    Args:
        aws: The clients; the student's split of the cards is read from its artifact.
        cards: The card set that the release was made from.
        release: The pulled release.
        student: The version that it was compiled from.
        picture: Where the PNG of a few views with their matches goes.
        seed: Of the views and of the lot that orders them.
    """
    import numpy as np

    from recognition.recogniser import Recogniser
    from registry.contract import Contract

    manifest = json.loads((release / "manifest.json").read_bytes())
    contract = Contract.from_dict(manifest["contract"])
    recogniser = Recogniser.load(release, threads=2)
    split = _split(aws, student)
    rng = np.random.default_rng(seed)

    def look(card_ids: list[str], most: int, per_card: int, known: bool) -> tuple[View, ...]:
        from recognition.views.camera import camera_views, scan_scale

        ids = [str(card_id) for card_id in rng.permutation(sorted(card_ids))[:most]]
        chosen = cards.only(ids)
        # The recogniser itself brings the camera's picture to the network's size.
        side = max(contract.size, _CAMERA_SIDE)
        images, labels = camera_views(
            chosen.first_scans(contract, scale=scan_scale(contract.size, side)),
            chosen.card_ids,
            size=side,
            seed=seed,
            stream="query",
            per_card=per_card,
            first=_FIRST_VIEW,
            threads=2,
        )
        views = [
            View(chosen.card_ids[int(label)], image, known, recogniser.recognise(image))
            for image, label in zip(images, labels, strict=True)
        ]
        place = {card_id: index for index, card_id in enumerate(ids)}
        return tuple(sorted(views, key=lambda view: place[view.card_id]))

    views = Views(
        known=look(split["known"], _KNOWN_CARDS, 1, known=True),
        unseen=look(split["unseen_test"], _UNSEEN_CARDS, _UNSEEN_VIEWS, known=False),
    )
    _draw(views, cards, contract, picture)
    return views


def _split(aws: AwsSession, student: Package) -> dict[str, list[str]]:
    """Which cards the student has seen, from its own artifact."""
    document = artifact_document(aws, student, "split.json")
    return {part: list(document[part]) for part in ("known", "unseen_test")}


def _draw(views: Views, cards: CardSet, contract: Contract, picture: Path) -> None:
    """The first views by lot, right or wrong, and one of a card that is turned away."""
    from recognition.card_sets.card_set import load_scan
    from recognition.query_sheet import AnsweredQuery, draw_query_sheet

    last = views.turned_away or next(iter(views.unseen), None)
    chosen = [*views.known[: _SHOWN - 1], *([last] if last else [])]
    scans = {card.card_id: card.scans[0] for card in cards.cards}
    draw_query_sheet(
        [
            AnsweredQuery(
                view.image,
                view.card_id if view.known else None,
                view.result,
                load_scan(scans[view.nearest], contract, scale=2),
            )
            for view in chosen
        ],
        picture,
        title="New camera views against the pulled release",
    )
