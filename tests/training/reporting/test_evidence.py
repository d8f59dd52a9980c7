"""What a job keeps for the approver agrees with its evaluation and shows the very views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recognition.card_sets.card_set import Licence
from reports.drawings.pictures import picture
from reports.evidence import Evidence
from training.data.batches import CardDataset
from training.reporting.evaluation import ModelEmbedder, TrainingResult, evaluate_model
from training.reporting.evidence import collect_evidence


class Average(nn.Module):
    """Knows a card by its average colours: right about some views and wrong about others."""

    def forward(self, images: Tensor) -> Tensor:
        small = nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)
        return small - small.mean(dim=1, keepdim=True)


@pytest.fixture
def measured(tiny_cards: Callable[..., CardDataset]) -> tuple[CardDataset, TrainingResult]:
    cards = tiny_cards()
    return cards, evaluate_model(ModelEmbedder(Average(), cards.config, torch.device("cpu")), cards)


def test_outcomes_of_views_add_up_to_the_evaluation(
    measured: tuple[CardDataset, TrainingResult], tmp_path: Path
) -> None:
    cards, result = measured
    (tmp_path / "model.safetensors").write_bytes(bytes(7))
    history = [(step, {"loss": 1 / step, "share_kl": 0.5}) for step in range(1, 500)]
    history[0][1].pop("share_kl")
    history[-1][1].pop("share_kl")
    kept = collect_evidence(cards, result, history, tmp_path)
    views, test = kept.views, result.test
    assert float(views.first().mean()) == test.top1
    assert float(views.named().mean()) == test.accepted_right
    assert float(views.accepted().mean()) == test.true_accept_rate
    assert views.digest == result.seen.digest
    assert kept.sizes == {"model.safetensors": 7} and kept.lint is None
    assert kept.data.known == len(cards.split.known) and kept.data.licence == ""
    assert kept.training is not None and len(kept.training.steps) == 200
    assert (kept.training.steps[0], kept.training.steps[-1]) == (1, 499)
    # An interval that measures no shares has those of the one before.
    assert set(kept.training.shares["kl"]) == {0.5}
    assert kept.map is not None and len(kept.map.dots) == len(cards.split.known)
    assert set(kept.map.places) == {
        card for each in kept.confusions for card in (each.card_id, each.answer)
    }
    assert kept.shared is not None
    assert Evidence.from_json(kept.to_json()) == kept


def test_pictures_of_wrong_views_are_those_views(
    measured: tuple[CardDataset, TrainingResult], tmp_path: Path
) -> None:
    cards, result = measured
    kept = collect_evidence(cards, result, [], tmp_path)
    assert kept.worst and kept.training is None
    rendered, ids = cards.views(cards.split.known, "query", len(result.seen.card_ids))
    assert ids == result.seen.card_ids
    everything = {picture(view): card for view, card in zip(rendered, ids, strict=True)}
    scans = {picture(cards.gallery[row]): card for row, card in enumerate(cards.split.known)}
    for wrong in kept.worst:
        assert everything[wrong.view] == scans[wrong.scan] == wrong.card_id
        assert scans[wrong.match] == wrong.answer != wrong.card_id
    assert set(kept.cards.values()) <= set(scans)


def test_licence_of_the_card_set_is_kept(
    measured: tuple[CardDataset, TrainingResult], tmp_path: Path
) -> None:
    cards, result = measured
    stated = replace(cards.card_set, licence=Licence("CC-BY-4.0", tmp_path, "0" * 64))
    kept = collect_evidence(replace(cards, card_set=stated), result, [], tmp_path)
    assert kept.data.licence == "CC-BY-4.0"
