"""Which parameters learn at which step, and how fast."""

from __future__ import annotations

import math

import torch

from training.config import TrainingConfig
from training.losses.criterion import Criterion
from training.models.networks import CardModel


def learning_rate(config: TrainingConfig, step: int, total: int) -> float:
    """Linear warm-up, then a cosine to zero; anew where the frozen part ends.

    Args:
        config: The rates and shares.
        step: Counts from 0.
        total: Steps of the run.

    Returns:
        The backbone's rate; while it is frozen, the head's.
    """
    frozen = frozen_steps(config, total)
    peak = config.frozen_learning_rate if step < frozen else config.learning_rate
    phase_step, length = (step, frozen) if step < frozen else (step - frozen, total - frozen)
    warm = config.warmup_share * length
    if phase_step < warm:
        return peak * (phase_step + 1) / max(1.0, warm)
    return peak * 0.5 * (1 + math.cos(math.pi * (phase_step - warm) / max(1.0, length - warm)))


def frozen_steps(config: TrainingConfig, total: int) -> int:
    """How many of the first steps leave the backbone as it is."""
    return int(config.frozen_share * total)


class Schedule:
    """Sets the optimiser's rates, and which parameters have a gradient at all."""

    def __init__(
        self, model: CardModel, criterion: Criterion, config: TrainingConfig, total: int
    ) -> None:
        self._config, self._total = config, total
        self._backbone = model.trainable_backbone_parameters()
        for parameter in model.backbone.parameters():
            parameter.requires_grad_(False)
        head = [*model.head_parameters(), *criterion.parameters()]
        groups = []
        for parameters, factor in ((self._backbone, 0.0), (head, 1.0)):
            # Biases and norms without decay.
            for decayed in (True, False):
                some = [p for p in parameters if (p.ndim > 1) == decayed]
                if some:
                    decay = config.weight_decay if decayed else 0.0
                    groups.append({"params": some, "weight_decay": decay, "head": factor})
        self.optimiser = torch.optim.AdamW(
            groups,
            lr=config.learning_rate,
            betas=(0.9, config.second_moment_decay),
            fused=True,
        )
        self.parameters = [*self._backbone, *head]
        self._thawed: bool | None = None

    def set(self, step: int) -> float:
        """Prepares a step; returns the learning rate."""
        frozen = frozen_steps(self._config, self._total)
        if self._thawed != (step >= frozen):
            self._thawed = step >= frozen
            for parameter in self._backbone:
                parameter.requires_grad_(self._thawed)
        rate = learning_rate(self._config, step, self._total)
        for group in self.optimiser.param_groups:
            faster = group["head"] and step >= frozen
            group["lr"] = rate * (self._config.head_rate_factor if faster else 1.0)
        return rate
