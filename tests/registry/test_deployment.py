"""What is read from a deployment's parameters."""

from __future__ import annotations

import pytest

from registry.deployment import DeploymentError, kept_count


@pytest.mark.parametrize("text", ["unused", "-1", "", "1.5", "٣"])
def test_kept_count_of_anything_but_a_number_raises(text: str) -> None:
    with pytest.raises(DeploymentError, match="keep-releases"):
        kept_count(text)


def test_kept_count_reads_numbers_and_all() -> None:
    assert (kept_count("all"), kept_count("7")) == (None, 7)
