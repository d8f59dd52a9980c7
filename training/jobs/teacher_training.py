"""Training a teacher: a ViT that tells the known cards apart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from registry.names import CARDS_CHANNEL
from training.artifacts.model_archive import REGISTRATION, registration, write_json, write_model
from training.config import TrainingConfig
from training.data.batches import Batch, CardDataset
from training.data.normaliser import Normaliser
from training.distributed.machine import autocast, placed, prepare_machine
from training.distributed.ranks import Ranks, joined
from training.environment import JobEnvironment
from training.jobs.fitting import fed_images, fit, remove_checkpoints, training_context
from training.jobs.job_reporter import JobReporter
from training.loop.training_loop import History, TrainingContext
from training.losses.criterion import Criterion
from training.losses.term import LossInputs
from training.models.networks import CardModel
from training.models.pretrained import begin
from training.reporting.evaluation import ModelEmbedder, evaluate_model


def train_teacher(config: TrainingConfig, environment: JobEnvironment) -> None:
    """The whole job: reads the ``cards`` channel, trains, evaluates, writes the model.

    A channel ``weights`` holds the backbone's checkpoint, where it does not come from the hub.
    """
    channel = environment.channel("cards", "one folder a card, <card_id>/<image>")
    ranks = Ranks.read()
    device = prepare_machine(config, ranks)
    with JobReporter(config, environment, ranks) as reporter, joined(ranks, device):
        model, config = begin(config, environment)
        cards = CardDataset.load(channel, config, environment.digests.get(CARDS_CHANNEL))
        total = config.total_steps(len(cards.scan_ids))
        reporter.describe(cards, total)
        placed(model, config, device)
        context = training_context(reporter, environment, cards, {}, ranks, device)
        model, history = teach(model, cards, device, context)
        reporter.trained(history)
        result = evaluate_model(ModelEmbedder(model, config, device), cards, ranks=ranks)
        if not ranks.first:
            return
        reporter.measured(result)
        write_model(environment.model_dir, model, cards, result)
        request = registration(model, cards, result, mlflow_run_id=reporter.tracker.run_id)
        write_json(environment.output_data_dir / REGISTRATION, request)
        reporter.keep_evidence(environment, cards, result, request)
        reporter.finished(request, environment.model_dir)
        remove_checkpoints(context)


def teach(
    model: CardModel, cards: CardDataset, device: torch.device, context: TrainingContext
) -> tuple[CardModel, History]:
    """Trains a teacher on the cards, by the terms of their configuration.

    Args:
        model: The teacher, on its device.
        cards: The card set and the configuration.
        device: What the model is on.
        context: Progress, processes, checkpoints.
    """
    config = cards.config
    criterion = Criterion(config, random_directions(len(cards.split.known), config)).to(device)
    normalise = Normaliser(config, device)

    def forward(model: CardModel, batch: Batch) -> LossInputs:
        with autocast(config, device):
            embeddings = model(fed_images(batch, normalise))
        views, scans = embeddings.float().split([len(batch.views), batch.fed])
        return LossInputs(views, scans, torch.from_numpy(batch.cards).to(device))

    return fit(model, criterion, cards, forward, normalise, context)


def random_directions(count: int, config: TrainingConfig) -> Tensor:
    """Unit vectors drawn from the seed: where ArcFace's prototypes begin.

    Args:
        count: Known cards.
        config: Gives the seed, the length D and the variants of each card.

    Returns:
        float32 (count * config.variants_of(count), D).
    """
    generator = torch.Generator().manual_seed(config.seed)
    return functional.normalize(
        torch.randn(count * config.variants_of(count), config.embedding_dim, generator=generator),
        dim=1,
    )
