"""Training a model on a card set's batches, as the loops of teacher and student share it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data.batches import Batch, CardDataset
from training.data.gpu_batches import batches_on
from training.data.normaliser import Normaliser
from training.distributed.machine import autocast
from training.distributed.ranks import Ranks, share_weights
from training.distributed.shared_norms import average_norms, shared_statistics
from training.environment import JobEnvironment
from training.jobs.job_reporter import JobReporter
from training.loop.averaging import recalibrate
from training.loop.checkpoints import Checkpoints, Identity
from training.loop.training_loop import Forward, History, TrainingContext, train
from training.losses.criterion import Criterion
from training.models.networks import CardModel
from training.reporting.evaluation import ModelEmbedder, validate_model


def training_context(
    reporter: JobReporter,
    environment: JobEnvironment,
    cards: CardDataset,
    models: dict[str, str],
    ranks: Ranks,
    device: torch.device,
) -> TrainingContext:
    """Puts together what a job's training loop works with.

    Args:
        reporter: Receives the progress.
        environment: The job's folders.
        cards: What is trained on.
        models: Digest of each model that the run begins with or learns from, by its channel.
        ranks: This process.
        device: What the model is on.
    """
    config = cards.config
    identity = Identity.of(config, cards.card_set.digest, models)
    folder: Path = environment.output_data_dir
    return TrainingContext(
        observer=reporter.observer,
        ranks=ranks,
        checkpoints=Checkpoints(environment.checkpoint_dir, identity, ranks),
        keep_bad_batch=folder,
        validate=lambda model: validate_model(ModelEmbedder(model, config, device), cards, ranks),
    )


def remove_checkpoints(context: TrainingContext) -> None:
    """Deletes the checkpoints of a run that has left everything that it had to."""
    if context.checkpoints is not None:
        context.checkpoints.remove()


def fit(
    model: CardModel,
    criterion: Criterion,
    cards: CardDataset,
    forward: Forward,
    normalise: Normaliser,
    context: TrainingContext,
) -> tuple[CardModel, History]:
    """Trains on the cards' batches, then measures BatchNorm's statistics for what is kept."""
    config, ranks = cards.config, context.ranks
    total = config.total_steps(len(cards.scan_ids))
    device = normalise.device
    to_train = batches_on(device, cards, total, ranks)
    to_measure = batches_on(device, cards, total + config.normalisation_batches, ranks)
    with shared_statistics(model, ranks if config.shared_norms else Ranks()):
        share_weights(model, ranks)
        share_weights(criterion, ranks)
        model, history = train(model, criterion, to_train.begin, forward, config, total, context)
        with autocast(config, normalise.device):
            images = (fed_images(batch, normalise) for batch in to_measure.begin(total))
            recalibrate(model, images, model)
    if not config.shared_norms:
        average_norms(model, ranks)
    return model, history


def fed_images(batch: Batch, normalise: Normaliser) -> Tensor:
    """A batch's views and the first of its scans, as many as the configuration shares."""
    fed = batch.scans[: batch.fed]
    if isinstance(batch.views, Tensor):
        return normalise(torch.cat([batch.views, torch.as_tensor(fed)]))
    return normalise(np.concatenate([batch.views, fed]))
