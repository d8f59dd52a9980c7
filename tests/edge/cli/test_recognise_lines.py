"""The line that ``cards-edge recognise`` and ``watch`` print for a card."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge.cli.recognise import print_card
from edge.frames.recognising import SeenCard
from recognition.recogniser import Recognition

BASE1, BASE2 = "base1-4", "base2-4"


def seen(card_id: str | None, level: str | None, printings: tuple[str, ...] = ()) -> SeenCard:
    answer = Recognition(card_id, 0.912, 0.8, ((BASE1, 0.912),), level=level, printings=printings)
    return SeenCard(None, 1.0, np.zeros((4, 4, 3), np.uint8), answer)


@pytest.mark.parametrize(
    ("card", "line"),
    [
        (seen(BASE1, "printing"), "a.png: base1-4 (0.912)"),
        # Printings that are too near to each other: which one it is must not be claimed.
        (seen(BASE1, "artwork", (BASE1, BASE2)), "a.png: one of base1-4, base2-4 (0.912)"),
        (seen(None, None), "a.png: a card that is not known (0.912)"),
    ],
)
def test_line_says_the_card_its_printings_or_that_it_is_unknown(
    card: SeenCard, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_card(card, {}, "a.png", "release-1", as_json=False)
    assert capsys.readouterr().out == line + "\n"


def test_json_has_the_level_and_the_printings(capsys: pytest.CaptureFixture[str]) -> None:
    print_card(seen(BASE1, "artwork", (BASE1, BASE2)), {"image": "a.png"}, "", "r", as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["level"], document["printings"]) == ("artwork", [BASE1, BASE2])
