"""What the training tests share: a small drawn card set and the tiny recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recognition.sample_cards.drawing import draw_card_set
from training.config import TrainingConfig
from training.data.batches import CardDataset
from training.recipe import resolve

CARDS = 12


@pytest.fixture(scope="session")
def card_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn cards."""
    folder = tmp_path_factory.mktemp("cards")
    draw_card_set(folder, CARDS, seed=3, height=96)
    return folder


@pytest.fixture
def tiny() -> Callable[..., TrainingConfig]:
    """The tiny recipe of a stage, with settings on top."""

    def make(stage: str = "phase2", **settings: object) -> TrainingConfig:
        model_type = "teacher" if stage == "phase2" else "student"
        return resolve("tiny", model_type, stage, settings)

    return make


@pytest.fixture
def tiny_cards(
    card_folder: Path, tiny: Callable[..., TrainingConfig]
) -> Callable[..., CardDataset]:
    """The drawn cards, loaded for the tiny recipe."""

    def load(stage: str = "phase2", **settings: object) -> CardDataset:
        return CardDataset.load(card_folder, tiny(stage, **settings))

    return load
