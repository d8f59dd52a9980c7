"""Mistakes of training that must not return; ``docs/mistakes.md`` explains each number."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.config import TrainingConfig
from training.data.batches import Batches, CardDataset
from training.distributed.ranks import Ranks
from training.environment import JobEnvironment
from training.jobs.teacher_targets import TeacherTargets
from training.losses.criterion import Criterion
from training.losses.shares import IdleTermError, ShareWatch, gradient_shares
from training.losses.term import LossInputs
from training.models.networks import Teacher, build_model
from training.recipe import resolve
from training.reporting.evaluation import ModelEmbedder

Tiny = Callable[..., TrainingConfig]
Load = Callable[..., CardDataset]
CPU = torch.device("cpu")


def test_mistake_05_every_loss_term_has_a_gradient(tiny: Tiny, tiny_cards: Load) -> None:
    """The attention loss never ran: its hook found no module, register tokens broke its grid."""
    every = {f"weight_{name}": 1.0 for name in ("feature_map", "attention", "high_frequency")}
    cards = tiny_cards("stage2", kl_scale=16, map_stride=8, **every)
    teacher = build_model(tiny()).eval()
    assert isinstance(teacher, Teacher) and teacher.backbone.num_prefix_tokens > 1
    targets = TeacherTargets(ModelEmbedder(teacher, tiny(), CPU), teacher, cards)
    student = build_model(cards.config).train()
    batch = Batches(cards, 1).batch(0)
    images = torch.from_numpy(batch.views).permute(0, 3, 1, 2).float() / 255
    embeddings, maps = student.forward_with_map(images)
    answer = targets.of(batch)
    assert answer.maps is not None and answer.maps.shape[-2:] == (4, 4)
    inputs = LossInputs(
        embeddings, embeddings[: batch.fed], torch.from_numpy(batch.cards),
        answer.views, answer.scans, maps, answer.maps,
    )  # fmt: skip
    channels = (student.map_channels, teacher.map_channels)
    terms = Criterion(cards.config, targets.known, channels)(inputs)
    assert set(terms) == set(cards.config.terms) and len(terms) == 7
    shares = gradient_shares(terms, inputs.trained)
    for name in every:
        assert shares[name.removeprefix("weight_")] > 1e-5, shares


def test_mistake_05_loss_term_without_contribution_raises() -> None:
    watch = ShareWatch({"embedding": 0.35, "attention": 0.25})
    for _ in range(20):
        watch.add({"embedding": 1.0, "attention": 0.0})
    with pytest.raises(IdleTermError, match=r"loss term attention \(weight 0.25\) contributes not"):
        watch.check()


def test_mistake_06_loss_terms_have_comparable_scales() -> None:
    """A squared error over 768 unit-norm dimensions is at most about .005: a weight of nothing."""
    generator = torch.Generator().manual_seed(0)

    def rows(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    config = resolve("guide", "student", "stage1", {})
    student, maps = rows(32, 768), rows(32, 112, 14, 14)
    teacher = torch.nn.functional.normalize(rows(32, 768), dim=1)
    squared = (torch.nn.functional.normalize(student, dim=1) - teacher).square().mean()
    assert squared < 0.005
    inputs = LossInputs(
        student, student[:0], torch.arange(32), teacher, teacher, maps, rows(32, 1024, 14, 14)
    )
    weights = config.terms
    terms = Criterion(config, teacher, (112, 1024))(inputs)
    for name in ("embedding", "kl", "attention", "high_frequency"):
        assert 0.3 < float(terms[name].detach()) / weights[name] < 3, (name, terms[name])


@pytest.mark.parametrize("world", [1, 2, 8])
def test_mistake_07_batch_is_divided_among_processes(tiny: Tiny, world: int) -> None:
    """'Batch 512, 64 per GPU' was 512 per process: about 4 steps an epoch."""
    config = tiny(batch_size=64)
    parts = [Ranks(rank, world, 0).rows(config) for rank in range(world)]
    assert [len(part) for part in parts] == [64 // world] * world
    full = resolve("full", "student", "stage1", {})
    known = round(17_592 * 0.9)
    assert full.total_steps(known) == -(-30 * known // 512)


def test_mistake_08_scans_of_one_card_are_one_identity(
    card_folder: Path, tmp_path: Path, tiny: Tiny
) -> None:
    """Each image was its own class; the split held out whole classes, or copied train to val."""
    folder = tmp_path / "cards"
    shutil.copytree(card_folder, folder)
    for card in sorted(folder.iterdir()):
        other = next(iter(card.iterdir()))
        shutil.copy(other, card / "second.png")
        (card / "second.png").write_bytes(other.read_bytes() + b"\0")
    cards = CardDataset.load(folder, tiny())
    assert len(cards.scans) == 2 * len(cards.split.known) == 2 * len(cards.gallery)
    batch = Batches(cards, 1).batch(0)
    assert batch.cards.max() < len(cards.split.known)
    parts = [set(part) for part in (
        cards.split.known, cards.split.unseen_validation, cards.split.unseen_test
    )]  # fmt: skip
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    # Queries are new views of cards that the gallery holds, and no picture of training.
    queries, ids = cards.views(cards.split.known, "query", 40)
    assert set(ids) == parts[0]
    trained = [Batches(cards, 12).batch(step).views for step in range(12)]
    seen = {view.tobytes() for views in trained for view in views}
    assert not seen & {view.tobytes() for view in queries}
    assert not {view.tobytes() for view in cards.gallery} & {view.tobytes() for view in queries}


def test_mistake_09_rejection_of_unknown_cards_is_measured(tiny_cards: Load) -> None:
    """A card that was not in the index matched with '99.75 %' confidence."""
    from training.reporting.evaluation import evaluate_model

    cards = tiny_cards()
    result = evaluate_model(ModelEmbedder(build_model(cards.config), cards.config, CPU), cards)
    assert result.test.unseen_test > 0 and 0 <= result.test.auroc <= 1
    figures = result.metrics()
    for name in ("threshold", "false_accept_rate", "auroc", "top1_unseen"):
        assert name in figures
    for name in ("false_accept_rate", "auroc", "top1_unseen"):
        assert figures[f"{name}_low"] <= figures[f"{name}_high"]


def test_mistake_14_training_normalises_as_the_contract_says(tiny: Tiny) -> None:
    """Calibration data were scaled to [0, 1] without the mean and deviation, axes exchanged."""
    from training.data.normaliser import Normaliser

    config = tiny("stage1")
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    ours = Normaliser(config, CPU)(picture)[0]
    mean, deviation = np.array(config.contract.mean), np.array(config.contract.std)
    wanted = ((picture[0] / 255 - mean) / deviation).transpose(2, 0, 1)
    np.testing.assert_allclose(ours.numpy(), wanted, atol=1e-5)


def test_mistake_15_checkpoints_are_in_the_folder_that_sagemaker_copies() -> None:
    """Checkpoints were written where SageMaker does not sync them."""
    assert JobEnvironment.read({}).checkpoint_dir == Path("/opt/ml/checkpoints")
    assert JobEnvironment.read({"SM_MODEL_DIR": "/opt/ml/model"}).checkpoint_dir == Path(
        "/opt/ml/checkpoints"
    )
    config = resolve("demo", "teacher", "phase2", {})
    assert replace(config, checkpoint_minutes=5.0).checkpoint_minutes <= 5
