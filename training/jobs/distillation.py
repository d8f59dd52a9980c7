"""Distilling a student from a teacher, in two stages.

Stage 1 (general features): the student answers as the teacher does. Stage 2 (the task): the same,
and a classification term over the known cards, beginning at stage 1's weights.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from registry.names import CARDS_CHANNEL, STUDENT, TEACHER
from registry.weight_origins import read_origins, write_origins
from training.artifacts.model_archive import (
    REGISTRATION,
    ModelArchiveError,
    load_model,
    registration,
    write_json,
    write_model,
    write_student_extras,
)
from training.config import ConfigError, TrainingConfig
from training.data.batches import Batch, CardDataset
from training.data.normaliser import Normaliser
from training.distributed.machine import autocast, placed, prepare_machine
from training.distributed.ranks import Ranks, joined
from training.environment import JobEnvironment
from training.jobs.fitting import fed_images, fit, remove_checkpoints, training_context
from training.jobs.job_reporter import JobReporter
from training.jobs.teacher_targets import TeacherTargets
from training.jobs.teacher_training import random_directions
from training.loop.training_loop import History, TrainingContext
from training.losses.criterion import Criterion
from training.losses.term import LossInputs
from training.models.networks import CardModel, Teacher
from training.models.pretrained import begin
from training.models.weights_digest import weights_digest
from training.reporting.evaluation import ModelEmbedder, evaluate_model


def distil_student(config: TrainingConfig, environment: JobEnvironment) -> None:
    """The whole job: channels ``cards``, ``teacher`` and, for stage 2, ``initial``."""
    cards_channel = environment.channel("cards", "one folder a card, <card_id>/<image>")
    teacher_channel = environment.model_channel("teacher", "the teacher's model.tar.gz")
    if not config.parent_model_package_arn:
        raise ConfigError("--parent-model-package-arn: a student needs the ARN of its parent")
    teacher_model, teacher_config = load_model(teacher_channel, TEACHER)
    assert isinstance(teacher_model, Teacher)
    _check_contract(config, teacher_config, "teacher")
    ranks = Ranks.read()
    device = prepare_machine(config, ranks)
    with JobReporter(config, environment, ranks) as reporter, joined(ranks, device):
        learnt_from = {"teacher": weights_digest(teacher_model)}
        if config.stage == "stage1":
            model, config = begin(config, environment)
            ancestors = [teacher_config]
        else:
            model, earlier = _stage_1(config, environment)
            learnt_from["initial"] = weights_digest(model)
            ancestors = [earlier, teacher_config]
        config = replace(config, inherited_weights=_inherited(ancestors))
        cards = CardDataset.load(cards_channel, config, environment.digests.get(CARDS_CHANNEL))
        total = config.total_steps(len(cards.scan_ids))
        reporter.describe(cards, total)
        placed(model, config, device)
        placed(teacher_model, teacher_config, device).requires_grad_(False)
        teacher = ModelEmbedder(teacher_model, teacher_config, device)
        context = training_context(reporter, environment, cards, learnt_from, ranks, device)
        model, history = distil(model, teacher, cards, context)
        reporter.trained(history)
        result = evaluate_model(ModelEmbedder(model, config, device), cards, teacher, ranks)
        if not ranks.first:
            return
        reporter.measured(result)
        write_model(environment.model_dir, model, cards, result)
        report = write_student_extras(environment.model_dir, model, cards, result)
        reporter.exported(report)
        request = registration(
            model,
            cards,
            result,
            mlflow_run_id=reporter.tracker.run_id,
            teacher=teacher_config,
            report=report,
        )
        write_json(environment.output_data_dir / REGISTRATION, request)
        reporter.keep_evidence(environment, cards, result, request, report, ancestors[0])
        reporter.finished(request, environment.model_dir)
        remove_checkpoints(context)


def distil(
    model: CardModel, teacher: ModelEmbedder, cards: CardDataset, context: TrainingContext
) -> tuple[CardModel, History]:
    """Trains a student on the cards, by the terms of their configuration.

    Args:
        model: The student, on its device.
        teacher: Stays as it is.
        cards: The card set and the configuration.
        context: Progress, processes, checkpoints.
    """
    config, device = cards.config, teacher.device
    assert isinstance(teacher.model, Teacher)
    targets = TeacherTargets(teacher, teacher.model, cards, context.ranks)
    channels = (model.map_channels, teacher.model.map_channels)
    # Without a term of the teacher's, its embeddings are no place for the cards' prototypes: they
    # may lie closer together than the student's own.
    known = len(cards.split.known)
    prototypes = targets.known if targets.needed else random_directions(known, config)
    criterion = Criterion(config, prototypes, channels).to(device)
    normalise = Normaliser(config, device)

    def forward(model: CardModel, batch: Batch) -> LossInputs:
        count, maps = len(batch.views), None
        images = fed_images(batch, normalise)
        with autocast(config, device):
            if targets.with_maps:
                embeddings, maps = model.forward_with_map(images)
                maps = maps[:count].float()
            else:
                embeddings = model(images)
        answer = targets.of(batch)
        return LossInputs(
            embeddings[:count].float(),
            embeddings[count:].float(),
            torch.from_numpy(batch.cards).to(device),
            answer.views,
            answer.scans,
            maps,
            answer.maps,
            answer.pictures,
        )

    context = replace(
        context,
        gathered=targets.remember if context.ranks.world > 1 else lambda inputs: None,
        kept=targets,
    )
    return fit(model, criterion, cards, forward, normalise, context)


def _inherited(ancestors: list[TrainingConfig]) -> str:
    """The published weights that a model's ancestors began with, or inherited themselves."""
    texts = [text for each in ancestors for text in (each.initial_weights, each.inherited_weights)]
    return write_origins(read_origins(*texts))


def _stage_1(
    config: TrainingConfig, environment: JobEnvironment
) -> tuple[CardModel, TrainingConfig]:
    """The student that stage 2 goes on with, and its configuration."""
    folder = environment.model_channel("initial", "the stage-1 student's model.tar.gz")
    model, earlier = load_model(folder, STUDENT)
    if (earlier.stage, earlier.backbone) != ("stage1", config.backbone):
        raise ModelArchiveError(
            f"channel initial: holds {earlier.backbone} of {earlier.stage}; stage 2 goes on from "
            f"{config.backbone} of stage1"
        )
    _check_contract(config, earlier, "initial")
    return model, earlier


def _check_contract(config: TrainingConfig, other: TrainingConfig, channel: str) -> None:
    if other.contract != config.contract:
        raise ConfigError(
            f"channel {channel}: its model takes {other.image_size} pixels and gives "
            f"{other.embedding_dim} values, this run {config.image_size} and "
            f"{config.embedding_dim}; set --image-size {other.image_size}"
        )
