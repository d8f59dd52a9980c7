"""Distilling a student from a teacher, in two stages.

Stage 1 (general features): the student answers as the teacher does. Stage 2 (the task): the same,
and a classification term over the known cards, beginning at stage 1's weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from registry.names import STUDENT, TEACHER
from training.artifacts import (
    REGISTRATION,
    ArtifactError,
    load_model,
    registration,
    write_json,
    write_model,
    write_student_extras,
)
from training.config import ConfigError, TrainingConfig
from training.data import Batch, Cards, Pixels
from training.environment import JobEnvironment
from training.evaluation import Embedder, evaluate_model
from training.loop import Normaliser
from training.losses import Criterion, LossInputs
from training.machine import autocast, placed, prepare_machine
from training.models import CardModel, build_model
from training.ranks import Ranks
from training.run import Run
from training.teaching import fed_images, fit


def distil_student(config: TrainingConfig, environment: JobEnvironment) -> None:
    """The whole job: channels ``cards``, ``teacher`` and, for stage 2, ``initial``."""
    cards_channel = environment.channel("cards", "one folder a card, <card_id>/<image>")
    teacher_channel = environment.channel("teacher", "the teacher's model.tar.gz")
    if not config.parent_model_package_arn:
        raise ConfigError("--parent-model-package-arn: a student needs the ARN of its parent")
    teacher_model, teacher_config = load_model(teacher_channel, TEACHER)
    _check_contract(config, teacher_config, "teacher")
    ranks = Ranks.read()
    device = prepare_machine(config, ranks)
    with Run(config, environment, ranks) as run:
        cards = Cards.load(cards_channel, config)
        total = config.total_steps(len(cards.scan_ids))
        run.describe(cards, total)
        model = _initial_student(config, environment)
        placed(model, config, device)
        placed(teacher_model, teacher_config, device).requires_grad_(False)
        teacher = Embedder(teacher_model, teacher_config, device)
        targets = Targets(teacher, teacher_model, cards)
        channels = (model.map_channels, teacher_model.map_channels)
        criterion = Criterion(config, targets.known, channels)
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
            )

        model, history = fit(
            model, criterion.to(device), cards, forward, normalise, run.report, ranks
        )
        run.trained(history)
        if not ranks.first:
            return
        outcome = evaluate_model(Embedder(model, config, device), cards, teacher)
        run.measured(outcome)
        write_model(environment.model_dir, model, cards, outcome)
        report = write_student_extras(environment.model_dir, model, cards, outcome)
        request = registration(
            model,
            cards,
            outcome,
            mlflow_run_id=run.tracker.run_id,
            teacher=teacher_config,
            report=report,
        )
        write_json(environment.output_data_dir / REGISTRATION, request)
        run.finished(request, environment.model_dir)


@dataclass(frozen=True)
class Answer:
    """The teacher's answer to a batch: embeddings (B, D) and maps; None where no term asks."""

    views: Tensor | None = None
    scans: Tensor | None = None
    maps: Tensor | None = None


class Targets:
    """The teacher's answers to a student's batches.

    The known cards' clean scans are embedded once. What is different in every batch (camera
    views, virtual cards) is embedded when it comes.

    Attributes:
        known: float32 (K, D), of the known cards' clean scans.
        with_maps: Whether a term compares maps.
    """

    def __init__(self, teacher: Embedder, model: CardModel, cards: Cards) -> None:
        config = cards.config
        self._model, self._teacher = model, teacher
        self._normalise = Normaliser(teacher.config, teacher.device)
        self._of_views = config.distillation_target == "view"
        self._needed = bool(set(config.terms) & {"embedding", "relational", "kl", "feature_map"})
        self.with_maps = "feature_map" in config.terms
        self.known = torch.from_numpy(teacher.embed(cards.gallery)).to(teacher.device)

    @torch.no_grad()
    def of(self, batch: Batch) -> Answer:
        """Targets of the views and of the clean scans."""
        if not self._needed:
            return Answer()
        numbers = torch.from_numpy(batch.cards).to(self.known.device)
        scans = self.known[numbers.clamp_min(0)]
        virtual = numbers < 0
        if virtual.any():
            embedded, _ = self._ask(batch.scans[batch.cards < 0], with_map=False)
            scans[virtual] = embedded
        if not self._of_views:
            return Answer(scans, scans)
        views, maps = self._ask(batch.views, with_map=self.with_maps)
        return Answer(views, scans, maps)

    def _ask(self, images: Pixels, with_map: bool) -> tuple[Tensor, Tensor | None]:
        maps = None
        with autocast(self._teacher.config, self._teacher.device):
            if with_map:
                embeddings, maps = self._model.forward_with_map(self._normalise(images))
                maps = maps.float()
            else:
                embeddings = self._model(self._normalise(images))
        return functional.normalize(embeddings.float(), dim=1), maps


def _initial_student(config: TrainingConfig, environment: JobEnvironment) -> CardModel:
    """Random (or published) weights for stage 1, stage 1's for stage 2."""
    if config.stage == "stage1":
        return build_model(config)
    folder = environment.channel("initial", "the stage-1 student's model.tar.gz")
    model, earlier = load_model(folder, STUDENT)
    if (earlier.stage, earlier.backbone) != ("stage1", config.backbone):
        raise ArtifactError(
            f"channel initial: holds {earlier.backbone} of {earlier.stage}; stage 2 goes on from "
            f"{config.backbone} of stage1"
        )
    _check_contract(config, earlier, "initial")
    return model


def _check_contract(config: TrainingConfig, other: TrainingConfig, channel: str) -> None:
    if other.contract != config.contract:
        raise ConfigError(
            f"channel {channel}: its model takes {other.image_size} pixels and gives "
            f"{other.embedding_dim} values, this run {config.image_size} and "
            f"{config.embedding_dim}; set --image-size {other.image_size}"
        )
