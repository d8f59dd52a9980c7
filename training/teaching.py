"""Training a teacher: a ViT that tells the known cards apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.artifacts import REGISTRATION, registration, write_json, write_model
from training.averaging import recalibrate
from training.checkpoints import Checkpoints, Identity
from training.config import TrainingConfig
from training.data import Batch, Cards
from training.environment import JobEnvironment
from training.evaluation import Embedder, evaluate_model, validate_model
from training.gpu_batches import batches_on
from training.loop import Forward, History, Surroundings, train
from training.losses import Criterion, LossInputs
from training.machine import autocast, placed, prepare_machine
from training.models import CardModel
from training.normaliser import Normaliser
from training.pretrained import begin
from training.ranks import Ranks, joined, share_weights
from training.run import Run
from training.shared_norms import shared_statistics


def train_teacher(config: TrainingConfig, environment: JobEnvironment) -> None:
    """The whole job: reads the ``cards`` channel, trains, evaluates, writes the model.

    A channel ``weights`` holds the backbone's checkpoint, where it does not come from the hub.
    """
    channel = environment.channel("cards", "one folder a card, <card_id>/<image>")
    ranks = Ranks.read()
    device = prepare_machine(config, ranks)
    with Run(config, environment, ranks) as run, joined(ranks, device):
        model, config = begin(config, environment)
        cards = Cards.load(channel, config)
        total = config.total_steps(len(cards.scan_ids))
        run.describe(cards, total)
        placed(model, config, device)
        around = surroundings(run, environment, cards, {}, ranks, device)
        model, history = teach(model, cards, device, around)
        run.trained(history)
        outcome = evaluate_model(Embedder(model, config, device), cards, ranks=ranks)
        if not ranks.first:
            return
        run.measured(outcome)
        write_model(environment.model_dir, model, cards, outcome)
        request = registration(model, cards, outcome, mlflow_run_id=run.tracker.run_id)
        write_json(environment.output_data_dir / REGISTRATION, request)
        run.finished(request, environment.model_dir)
        forget(around)


def teach(
    model: CardModel, cards: Cards, device: torch.device, around: Surroundings
) -> tuple[CardModel, History]:
    """Trains a teacher on the cards, by the terms of their configuration.

    Args:
        model: The teacher, on its device.
        cards: The card set and the configuration.
        device: What the model is on.
        around: Progress, processes, checkpoints.
    """
    config = cards.config
    criterion = Criterion(config, random_directions(len(cards.split.known), config)).to(device)
    normalise = Normaliser(config, device)

    def forward(model: CardModel, batch: Batch) -> LossInputs:
        with autocast(config, device):
            embeddings = model(fed_images(batch, normalise))
        views, scans = embeddings.float().split([len(batch.views), batch.fed])
        return LossInputs(views, scans, torch.from_numpy(batch.cards).to(device))

    return fit(model, criterion, cards, forward, normalise, around)


def surroundings(
    run: Run,
    environment: JobEnvironment,
    cards: Cards,
    models: dict[str, str],
    ranks: Ranks,
    device: torch.device,
) -> Surroundings:
    """What a job's loop has around it.

    Args:
        run: Reports.
        environment: The job's folders.
        cards: What is trained on.
        models: Digest of each model that the run begins with or learns from, by its channel.
        ranks: This process.
        device: What the model is on.
    """
    config = cards.config
    identity = Identity.of(config, cards.card_set.digest, models)
    folder: Path = environment.output_data_dir
    return Surroundings(
        report=run.report,
        ranks=ranks,
        checkpoints=Checkpoints(environment.checkpoint_dir, identity, ranks),
        keep_bad_batch=folder,
        validate=lambda model: validate_model(Embedder(model, config, device), cards, ranks),
    )


def forget(around: Surroundings) -> None:
    """Deletes the checkpoints of a run that has left everything that it had to."""
    if around.checkpoints is not None:
        around.checkpoints.remove()


def fit(
    model: CardModel,
    criterion: Criterion,
    cards: Cards,
    forward: Forward,
    normalise: Normaliser,
    around: Surroundings,
) -> tuple[CardModel, History]:
    """Trains on the cards' batches, then measures BatchNorm's statistics for what is kept."""
    config, ranks = cards.config, around.ranks
    total = config.total_steps(len(cards.scan_ids))
    device = normalise.device
    to_train = batches_on(device, cards, total, ranks)
    to_measure = batches_on(device, cards, total + config.normalisation_batches, ranks)
    with shared_statistics(model, ranks if config.shared_norms else Ranks()):
        share_weights(model, ranks)
        share_weights(criterion, ranks)
        model, history = train(model, criterion, to_train.begin, forward, config, total, around)
        with autocast(config, normalise.device):
            images = (fed_images(batch, normalise) for batch in to_measure.begin(total))
            recalibrate(model, images, model)
    if not config.shared_norms:
        average_norms(model, ranks)
    return model, history


def average_norms(model: torch.nn.Module, ranks: Ranks) -> None:
    """Averages the running statistics of BatchNorm over the processes."""
    if ranks.world == 1:
        return
    for norm in model.modules():
        if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
            for statistic in (norm.running_mean, norm.running_var):
                if statistic is not None:
                    torch.distributed.all_reduce(statistic)
                    statistic /= ranks.world


def fed_images(batch: Batch, normalise: Normaliser) -> Tensor:
    """A batch's views and the first of its scans, as many as the configuration shares."""
    fed = batch.scans[: batch.fed]
    if isinstance(batch.views, Tensor):
        return normalise(torch.cat([batch.views, torch.as_tensor(fed)]))
    return normalise(np.concatenate([batch.views, fed]))


def random_directions(count: int, config: TrainingConfig) -> Tensor:
    """(count, D) unit vectors drawn from the seed: where ArcFace's prototypes begin."""
    generator = torch.Generator().manual_seed(config.seed)
    return functional.normalize(
        torch.randn(count, config.embedding_dim, generator=generator), dim=1
    )
