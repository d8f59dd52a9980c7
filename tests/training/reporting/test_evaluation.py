from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.config import TrainingConfig
from training.data.batches import CardDataset
from training.errors import TrainingError
from training.models.networks import build_model
from training.reporting.evaluation import ModelEmbedder, evaluate_model

Tiny = Callable[..., TrainingConfig]


def test_evaluation_is_in_float32_whatever_training_was_in(tiny: Tiny) -> None:
    """Measured once: bf16 embeddings are too far from the exported graph's to pass the gate."""
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    embedders = [
        ModelEmbedder(build_model(config), config, torch.device("cpu"))
        for config in (tiny(precision="bf16"), tiny(precision="fp32"))
    ]
    one, two = (embedder.embed(images) for embedder in embedders)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, rtol=1e-6)


def test_model_that_answers_nan_is_not_evaluated(tiny: Tiny) -> None:
    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)[:, :8] * float("nan")

    config = tiny()
    with pytest.raises(TrainingError, match="not finite"):
        ModelEmbedder(Broken(), config, torch.device("cpu")).embed(
            np.zeros((2, 32, 32, 3), np.uint8)
        )


def test_evaluate_model_with_informative_and_constant_embeddings(
    tiny_cards: Callable[..., CardDataset],
) -> None:
    """The figures come from the model's answers and from the right cards."""
    cards = tiny_cards()

    class Blind(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.ones(len(images), 8)

    class Average(nn.Module):
        """Knows a card by its average colours: far from blind on clean drawn cards."""

        def forward(self, images: Tensor) -> Tensor:
            small = nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)
            return small - small.mean(dim=1, keepdim=True)

    device = torch.device("cpu")
    blind = evaluate_model(ModelEmbedder(Blind(), cards.config, device), cards)
    assert blind.test.top1 == 0 and blind.similarity is None
    sighted = ModelEmbedder(Average(), cards.config, device)
    result = evaluate_model(sighted, cards, teacher=sighted)
    assert result.test.top1 > 0.3
    assert result.similarity == pytest.approx(1.0, abs=1e-6)
    # Three views of each known card at least, so that three frames can be measured.
    known = len(cards.split.known)
    assert result.metrics()["queries"] == len(result.seen.card_ids) == 3 * known
    assert len(result.seen.embeddings) == 3 * known
    frames = result.test.three_frames
    assert frames is not None and frames.queries == known
    assert result.metrics()["three_frames_top1"] == frames.top1
    assert result.to_dict()["validation"]["queries"] == 20
    assert result.test.unseen_test == result.validation.unseen_test == 8


def test_evaluation_with_a_false_accept_target_finer_than_its_views_warns(
    tiny_cards: Callable[..., CardDataset],
) -> None:
    class Means(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)

    device = torch.device("cpu")
    coarse = tiny_cards(false_accepts=0.25)
    result = evaluate_model(ModelEmbedder(Means(), coarse.config, device), coarse)
    document = result.to_dict()
    assert (document["false_accept_target"], document["unseen_validation"]) == (0.25, 8)
    cards = len(coarse.split.unseen_validation)
    (warning,) = document["warnings"]
    assert f"can be shown by 11 unknown cards or more; {cards} set the threshold" in warning
    assert document["validation"]["warnings"] == [warning]
    assert result.metrics()["false_accept_target"] == 0.25
    assert document["false_accept_estimate"] <= 0.25 < document["false_accept_bound"]


def test_drawn_strangers_set_the_threshold_where_they_predict_the_own_unknown_cards(
    tiny_cards: Callable[..., CardDataset],
) -> None:
    class Means(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)

    cards = tiny_cards(false_accepts=0.25, drawn_strangers=12)
    embedder = ModelEmbedder(Means(), cards.config, torch.device("cpu"))
    result = evaluate_model(embedder, cards).test
    own = len(cards.split.unseen_validation)
    assert result.strangers_rate is not None
    predicted = result.strangers_rate <= 0.25
    assert result.threshold_cards == (own + 12 if predicted else own)
    assert result.unseen_validation == (8 + 36 if predicted else 8)
    assert result.false_accept_estimate <= 0.25
