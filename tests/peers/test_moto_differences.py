"""The list of what moto is known to fail names tests that exist; ``make peers`` runs them."""

from __future__ import annotations

import pytest

from tests.peers.moto_differences import DIFFERENCES
from tests.running_cloud import ROOT


@pytest.mark.parametrize("entry", DIFFERENCES)
def test_each_difference_names_a_test_and_who_is_right(entry: str) -> None:
    file, _, name = entry.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
    assert len(DIFFERENCES[entry].split(". ")) == 2, "what differs, then who is right"
