"""Training a teacher: a ViT that tells the known cards apart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.artifacts import REGISTRATION, registration, write_json, write_model
from training.config import TrainingConfig
from training.data import Batch, Batches, Cards
from training.environment import JobEnvironment
from training.evaluation import Embedder, evaluate_model
from training.loop import History, Normaliser, Report, recalibrate, train
from training.losses import Criterion, LossInputs
from training.machine import autocast, placed, prepare_machine
from training.models import CardModel, build_model
from training.ranks import Ranks, average_statistics, joined, share_weights
from training.run import Run


def train_teacher(config: TrainingConfig, environment: JobEnvironment) -> None:
    """The whole job: reads the ``cards`` channel, trains, evaluates, writes the model."""
    channel = environment.channel("cards", "one folder a card, <card_id>/<image>")
    ranks = Ranks.read()
    device = prepare_machine(config, ranks)
    with Run(config, environment, ranks) as run:
        cards = Cards.load(channel, config)
        total = config.total_steps(len(cards.scan_ids))
        run.describe(cards, total)
        model = build_model(config)
        placed(model, config, device)
        criterion = Criterion(config, random_directions(len(cards.split.known), config))
        normalise = Normaliser(config, device)

        def forward(model: CardModel, batch: Batch) -> LossInputs:
            with autocast(config, device):
                embeddings = model(fed_images(batch, normalise))
            views, scans = embeddings.float().split([len(batch.views), batch.fed])
            return LossInputs(views, scans, torch.from_numpy(batch.cards).to(device))

        model, history = fit(
            model, criterion.to(device), cards, forward, normalise, run.report, ranks
        )
        run.trained(history)
        if not ranks.first:
            return
        outcome = evaluate_model(Embedder(model, config, device), cards)
        run.measured(outcome)
        write_model(environment.model_dir, model, cards, outcome)
        request = registration(model, cards, outcome, mlflow_run_id=run.tracker.run_id)
        write_json(environment.output_data_dir / REGISTRATION, request)
        run.finished(request, environment.model_dir)


def fit(
    model: CardModel,
    criterion: Criterion,
    cards: Cards,
    forward: Callable[[CardModel, Batch], LossInputs],
    normalise: Normaliser,
    report: Report,
    ranks: Ranks,
) -> tuple[CardModel, History]:
    """Trains on the cards' batches, then measures BatchNorm's statistics for what is kept."""
    config = cards.config
    total = config.total_steps(len(cards.scan_ids))
    stream = iter(Batches(cards, total + config.normalisation_batches, ranks=ranks))
    ours = islice(stream, total)
    with joined(ranks, normalise.device):
        share_weights(model, ranks)
        share_weights(criterion, ranks)
        model, history = train(model, criterion, ours, forward, config, total, report, ranks)
        with autocast(config, normalise.device):
            recalibrate(model, (fed_images(batch, normalise) for batch in stream), model)
        average_statistics(model, ranks)
    return model, history


def fed_images(batch: Batch, normalise: Normaliser) -> Tensor:
    """A batch's views and the first of its scans, as many as the configuration shares."""
    return normalise(np.concatenate([batch.views, batch.scans[: batch.fed]]))


def random_directions(count: int, config: TrainingConfig) -> Tensor:
    """(count, D) unit vectors drawn from the seed: where ArcFace's prototypes begin."""
    generator = torch.Generator().manual_seed(config.seed)
    return functional.normalize(
        torch.randn(count, config.embedding_dim, generator=generator), dim=1
    )
