"""``evidence.json``: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reports.drawings.pictures import LIMIT, is_picture, picture
from reports.evidence import Evidence
from reports.outcomes.view_outcomes import EvidenceError, ViewOutcomes
from tests.reports.examples import card_picture, evidence


def test_evidence_is_read_as_it_was_written() -> None:
    for each in (evidence(), evidence(training=None, lint=None)):
        assert Evidence.from_json(each.to_json()) == each


def change(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    def apply(document: dict[str, Any]) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return apply


@pytest.mark.parametrize(
    "damage",
    [
        change("schema", to=2),
        change("views", to=None),
        change("views", "outcomes", to="R" * 15),
        change("views", "outcomes", to="R" * 15 + "X"),
        change("views", "per_card", to=True),
        change("views", "cards", to=["a", "a", "b", "c"]),
        change("views", "cards", to=["a" * 101, "b", "c", "d"]),
        change("worst", to=[{}] * 13),
        change("worst", 0, "view", to="https://example.com/picture.webp"),
        change("worst", 0, "view", to="data:image/svg+xml;base64,AAAA"),
        change("worst", 0, "similarity", to="1"),
        change("cards", "base1-4", to="javascript:alert(1)"),
        change("curve", 0, to=[0.1, 0.2]),
        change("curve", 0, to=[0.1, 0.2, float("inf")]),
        change("training", "loss", to=[1.0]),
        change("training", "steps", to=[]),
        change("data", "cards", to=-1),
        change("data", "remarks", to=["a" * 401]),
        change("lint", "findings", to=[["one", "two"]]),
        change("sizes", to=[]),
    ],
)
def test_damaged_evidence_is_refused_with_one_line(damage: Callable[..., None]) -> None:
    document = json.loads(evidence().to_json())
    damage(document)
    with pytest.raises(EvidenceError) as caught:
        Evidence.from_json(json.dumps(document))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b'{"schema": 1}'])
def test_text_that_is_no_evidence_is_refused(text: bytes) -> None:
    with pytest.raises(EvidenceError):
        Evidence.from_json(text)


def test_pictures_are_small_whatever_they_show() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    assert len(picture(noise)) <= LIMIT and is_picture(picture(noise))
    assert not is_picture(card_picture(1) + '" onload="alert(1)')
    assert not is_picture("data:image/png;base64,UklGRg==")


def test_outcomes_of_views_that_are_mixed_up_are_refused() -> None:
    right = np.ones(4, bool)
    made = ViewOutcomes.of("d", ["a", "a", "b", "b"], right, right)
    assert (made.cards, made.per_card, made.outcomes) == (("a", "b"), 2, "RRRR")
    with pytest.raises(EvidenceError, match="do not follow each other"):
        ViewOutcomes.of("d", ["a", "b", "a", "b"], right, right)
