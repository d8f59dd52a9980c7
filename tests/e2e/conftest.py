"""The deployed path: a local cloud of its own, the real CDK CLI, the `cards` and `aws` commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cloud import BIN, CARDS, STRICT, Cloud, started


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with started(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="session")
def deployed(cloud: Cloud) -> Cloud:
    """The very templates that a real account gets; with a gate that nothing passes, at first."""
    cloud.bootstrap()
    cloud.deploy(STRICT)
    return cloud


@pytest.fixture(scope="session")
def card_folder(cloud: Cloud) -> Path:
    folder = cloud.folder / "cards"
    cloud.must(str(BIN / "cards"), "data", "draw", "--count", str(CARDS), "--out", str(folder))
    return folder


@pytest.fixture(scope="session")
def trained(deployed: Cloud, card_folder: Path) -> dict[str, dict[str, Any]]:
    """A teacher and both stages of a student, trained and registered; by stage."""
    cards = str(BIN / "cards")
    uri = deployed.json(cards, "data", "push", str(card_folder), "--json")["uri"]
    common = ["--cards", uri, "--recipe", "demo", "--wait", "--json", "--hp", "query_views=300"]
    # A part of the demo's steps: a minute and a half, enough to recognise most views.
    student = [cards, "train", "student", "--stage"]
    return {
        "teacher": deployed.json(cards, "train", "teacher", *common, "--hp", "steps=60"),
        "stage1": deployed.json(*student, "1", *common, "--hp", "steps=100"),
        "stage2": deployed.json(*student, "2", *common, "--hp", "steps=60"),
    }
