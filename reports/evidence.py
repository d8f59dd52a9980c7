"""``evidence.json``: what only a training job can see, kept for the people who decide.

The job writes it beside its request to register the model (in ``output.tar.gz``, whose digest the
version's metadata has). It holds the answer to every view, so that two versions can be compared
view by view later, and a bounded number of pictures. What is read is checked: it comes from a job.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from registry.untrusted.json_object import JsonObjectError, parse_object
from reports.drawings.embedding_map import DOTS, SIDE, EmbeddingMap
from reports.drawings.pictures import is_picture
from reports.outcomes.view_outcomes import EvidenceError, ViewOutcomes

EVIDENCE = "evidence.json"
#: In bytes; what is longer is not written. Registration reads past it, within 16 times a request.
EVIDENCE_LIMIT = 4 * 1024**2 - 64 * 1024
SCHEMA = 1
#: How many of each are kept.
WORST, UNKNOWN, CONFUSIONS, CARD_PICTURES, CURVE_POINTS = 12, 6, 40, 48, 200
#: Artworks that several cards show, and cards of one that are named.
ARTWORKS, PRINTINGS = 24, 8
_TEXT_LIMIT = 400
_ROWS_LIMIT = 1000

T = TypeVar("T")


@dataclass(frozen=True)
class WrongView:
    """A view that was answered wrong.

    Attributes:
        card_id: The card that was shown.
        known: Whether that card is in the gallery.
        answer: The nearest card.
        similarity: Cosine to it.
        accepted: Whether it was near enough to be named.
        view: Picture of the view.
        scan: Picture of the card's own scan.
        match: Picture of the nearest card's scan.
    """

    card_id: str
    known: bool
    answer: str
    similarity: float
    accepted: bool
    view: str
    scan: str
    match: str


@dataclass(frozen=True)
class Confusion:
    """A card whose views were nearest to another card.

    Attributes:
        views: Views of it that were.
        of: Views of it in all.
    """

    card_id: str
    answer: str
    views: int
    of: int


@dataclass(frozen=True)
class TrainingCurves:
    """How the loop went.

    Attributes:
        steps: At which the figures were taken.
        loss: The weighted sum of the terms.
        shares: By term, its share of the gradient, in [0, 1].
    """

    steps: tuple[int, ...]
    loss: tuple[float, ...]
    shares: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class CardData:
    """What it was trained and measured on.

    Attributes:
        digest: The card set's.
        cards: Cards in the set.
        images: Scans of them.
        known: Cards that it was trained on.
        unseen_validation: Cards that only chose the threshold.
        unseen_test: Cards that only measured how unknown cards are turned away.
        problems: How many remarks of each kind the set has (``broken``, ``ignored``, ``kept``).
        remarks: The first of them.
        licence: What the set states of its scans; empty where it states nothing, None where the
            evidence is of an earlier state, which did not ask.
    """

    digest: str
    cards: int
    images: int
    known: int
    unseen_validation: int
    unseen_test: int
    problems: Mapping[str, int]
    remarks: tuple[str, ...]
    licence: str | None = None


@dataclass(frozen=True)
class LintReport:
    """What the lint of the exported graph says.

    Attributes:
        findings: Of each: where, why the compiler would refuse it, and the remedy.
        parameters: Of the graph.
    """

    findings: tuple[tuple[str, str, str], ...]
    parameters: int


@dataclass(frozen=True)
class SharedArtworks:
    """Cards that no picture tells apart: reprints of one artwork.

    Attributes:
        artworks: How many artworks more than one card shows.
        cards: How many cards show them.
        named: The cards of the first artworks, by id.
    """

    artworks: int
    cards: int
    named: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Evidence:
    """Everything that a training job keeps for the approver.

    Attributes:
        views: The answer to every view of a known card.
        worst: Views of known cards that went most wrong.
        unknown: Views of unknown cards that were accepted, the nearest first.
        confusions: The pairs that were confused most often.
        confused_pairs: How many pairs there are in all.
        curve: Rows of threshold, false-accept rate, accepted and right.
        data: The card set.
        sizes: Bytes of the files of the model, by name.
        training: How the loop went; None where no interval was reported.
        lint: None for a teacher, which is not exported.
        cards: Pictures of scans by card id: those with the most wrong views.
        map: Where the cards lie in the embedding; None in evidence of an earlier state.
        shared: Which cards show one artwork; None likewise.
    """

    views: ViewOutcomes
    worst: tuple[WrongView, ...]
    unknown: tuple[WrongView, ...]
    confusions: tuple[Confusion, ...]
    confused_pairs: int
    curve: tuple[tuple[float, float, float], ...]
    data: CardData
    sizes: Mapping[str, int]
    training: TrainingCurves | None
    lint: LintReport | None
    cards: Mapping[str, str]
    map: EmbeddingMap | None = None
    shared: SharedArtworks | None = None

    def to_json(self) -> str:
        """The file's text."""
        document = {"schema": SCHEMA, **asdict(self), "views": self.views.to_dict()}
        return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, body: bytes | str) -> Evidence:
        """Reads and checks the file's text.

        Raises:
            EvidenceError: Not this form, or of another schema.
        """
        try:
            document = parse_object(body, EVIDENCE_LIMIT)
        except JsonObjectError as error:
            raise EvidenceError(f"{EVIDENCE}: {error}") from None
        if document.get("schema") != SCHEMA:
            raise EvidenceError(f"{EVIDENCE}: its schema is {document.get('schema')!r}")
        try:
            return _read(document)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise EvidenceError(f"{EVIDENCE}: {str(error)[:200]}") from None


def _read(given: Mapping[str, Any]) -> Evidence:
    data, training, lint = given["data"], given["training"], given["lint"]
    return Evidence(
        views=ViewOutcomes.from_dict(given["views"]),
        worst=_rows(given["worst"], _wrong_view, WORST),
        unknown=_rows(given["unknown"], _wrong_view, UNKNOWN),
        confusions=_rows(
            given["confusions"],
            lambda row: Confusion(
                _text(row["card_id"]), _text(row["answer"]), _count(row["views"]), _count(row["of"])
            ),
            CONFUSIONS,
        ),
        confused_pairs=_count(given["confused_pairs"]),
        curve=_rows(given["curve"], lambda row: _three(row, _number), _ROWS_LIMIT),
        data=CardData(
            digest=_text(data["digest"]),
            cards=_count(data["cards"]),
            images=_count(data["images"]),
            known=_count(data["known"]),
            unseen_validation=_count(data["unseen_validation"]),
            unseen_test=_count(data["unseen_test"]),
            problems=_mapping(data["problems"], _count),
            remarks=_rows(data["remarks"], _text, _ROWS_LIMIT),
            licence=_optional(data.get("licence"), _text),
        ),
        sizes=_mapping(given["sizes"], _count),
        training=None if training is None else _training(training),
        lint=None
        if lint is None
        else LintReport(
            _rows(lint["findings"], lambda row: _three(row, _text), _ROWS_LIMIT),
            _count(lint["parameters"]),
        ),
        cards=_mapping(given["cards"], _picture, CARD_PICTURES),
        map=_optional(given.get("map"), _map),
        shared=_optional(given.get("shared"), _shared),
    )


def _optional(given: Any, read: Callable[[Any], T]) -> T | None:
    return None if given is None else read(given)


def _map(given: Mapping[str, Any]) -> EmbeddingMap:
    share = _number(given["share"])
    return EmbeddingMap(
        _rows(given["dots"], _place, DOTS),
        _mapping(given["places"], _place, 2 * CONFUSIONS),
        min(1.0, max(0.0, share)),
    )


def _place(given: Sequence[Any]) -> tuple[int, int]:
    x, y = (_count(each) for each in given)
    if max(x, y) > SIDE:
        raise EvidenceError("a place is outside of the map")
    return x, y


def _shared(given: Mapping[str, Any]) -> SharedArtworks:
    named = _rows(given["named"], lambda row: _rows(row, _text, PRINTINGS), ARTWORKS)
    return SharedArtworks(_count(given["artworks"]), _count(given["cards"]), named)


def _training(given: Mapping[str, Any]) -> TrainingCurves:
    curves = TrainingCurves(
        steps=_rows(given["steps"], _count, _ROWS_LIMIT),
        loss=_rows(given["loss"], _number, _ROWS_LIMIT),
        shares=_mapping(given["shares"], lambda each: _rows(each, _number, _ROWS_LIMIT)),
    )
    lengths = {len(curves.steps), len(curves.loss), *map(len, curves.shares.values())}
    if len(lengths) != 1 or lengths == {0}:
        raise EvidenceError("training: curves of different lengths")
    return curves


def _wrong_view(given: Mapping[str, Any]) -> WrongView:
    return WrongView(
        card_id=_text(given["card_id"]),
        known=bool(given["known"]),
        answer=_text(given["answer"]),
        similarity=_number(given["similarity"]),
        accepted=bool(given["accepted"]),
        view=_picture(given["view"]),
        scan=_picture(given["scan"]),
        match=_picture(given["match"]),
    )


def _rows(given: Any, read: Callable[[Any], T], most: int) -> tuple[T, ...]:
    if not isinstance(given, list) or len(given) > most:
        raise EvidenceError(f"expected a list of at most {most}")
    return tuple(read(each) for each in given)


def _mapping(given: Any, read: Callable[[Any], T], most: int = _ROWS_LIMIT) -> dict[str, T]:
    if not isinstance(given, dict) or len(given) > most:
        raise EvidenceError(f"expected an object of at most {most} keys")
    return {_text(key): read(value) for key, value in given.items()}


def _three(given: Sequence[Any], read: Callable[[Any], T]) -> tuple[T, T, T]:
    one, two, three = given
    return read(one), read(two), read(three)


def _text(given: Any) -> str:
    if not isinstance(given, str) or len(given) > _TEXT_LIMIT:
        raise EvidenceError(f"expected a text of at most {_TEXT_LIMIT} characters")
    return given


def _number(given: Any) -> float:
    if type(given) not in (int, float) or not math.isfinite(given):
        raise EvidenceError(f"{str(given)[:40]!r} is no finite number")
    return float(given)


def _count(given: Any) -> int:
    if type(given) is not int or not 0 <= given < 2**53:
        raise EvidenceError(f"{str(given)[:40]!r} is no count")
    return given


def _picture(given: Any) -> str:
    if not is_picture(given):
        raise EvidenceError("a picture is no small WebP, PNG or JPEG")
    return str(given)


def shortened(text: str) -> str:
    """A remark as the evidence keeps it."""
    return text if len(text) <= _TEXT_LIMIT else f"{text[: _TEXT_LIMIT - 1]}…"
