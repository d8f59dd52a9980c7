"""The loss terms, one file each, and how a run puts them together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.config import MAP_TERMS, TrainingConfig
from training.losses.arcface import ArcFace
from training.losses.attention import attention_loss
from training.losses.contrastive import contrastive_loss
from training.losses.embedding import embedding_loss
from training.losses.feature_map import FeatureMapLoss
from training.losses.high_frequency import HighFrequencyLoss
from training.losses.kl import kl_loss
from training.losses.relational import relational_loss
from training.losses.shares import IdleTermError, ShareWatch, gradient_shares

__all__ = [
    "MAP_TERMS",
    "Criterion",
    "IdleTermError",
    "LossInputs",
    "ShareWatch",
    "gradient_shares",
]


@dataclass(frozen=True)
class LossInputs:
    """One batch's embeddings; float32, not normalised.

    Attributes:
        views: (B, D) the trained model's, of camera views.
        scans: (n, D) likewise of the clean scans of the first n rows; n may be 0.
        cards: (B,) card numbers, -1 for a virtual card.
        teacher_views: (B, D) the teacher's targets for the views; None without a teacher.
        teacher_scans: (B, D) the teacher's embeddings of every row's clean scan; likewise.
        view_maps: (B, C, h, w) the trained model's map of the views, where a term needs it.
        teacher_maps: (B, E, H, W) the teacher's; likewise.
        pictures: int64 (B,) which picture each row is, where the teacher's answers are kept.
    """

    views: Tensor
    scans: Tensor
    cards: Tensor
    teacher_views: Tensor | None = None
    teacher_scans: Tensor | None = None
    view_maps: Tensor | None = None
    teacher_maps: Tensor | None = None
    pictures: Tensor | None = None

    @property
    def trained(self) -> list[Tensor]:
        """What the trained model answered: every term acts through these."""
        answers = (self.views, self.scans, self.view_maps)
        return [answer for answer in answers if answer is not None and answer.requires_grad]


class Criterion(nn.Module):
    """The weighted terms of a configuration.

    Args:
        config: Names the terms, their weights and their settings.
        prototypes: (known cards, D) initial ArcFace prototypes, where that term is used: for a
            student the teacher's embeddings of the clean scans, for a teacher random directions.
        map_channels: Channels of the student's and of the teacher's map, where a term compares
            maps.
    """

    def __init__(
        self,
        config: TrainingConfig,
        prototypes: Tensor | None = None,
        map_channels: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.weights = config.terms
        self.arcface: ArcFace | None = None
        if "arcface" in self.weights:
            if prototypes is None:
                raise ValueError("arcface needs prototypes")
            self.arcface = ArcFace(
                prototypes, scale=config.arcface_scale, margin=config.arcface_margin
            )
        self.feature_map: FeatureMapLoss | None = None
        self.high_frequency: HighFrequencyLoss | None = None
        if set(self.weights) & {"feature_map", "high_frequency"} and map_channels is None:
            raise ValueError("terms that compare maps need the maps' channels")
        if map_channels and "feature_map" in self.weights:
            self.feature_map = FeatureMapLoss(*map_channels, seed=config.seed)
        if map_channels and "high_frequency" in self.weights:
            self.high_frequency = HighFrequencyLoss(*map_channels, seed=config.seed)

    def forward(self, batch: LossInputs) -> dict[str, Tensor]:
        """Weighted scalar terms by name; their sum is the loss."""
        count = len(batch.scans)
        computed = {name: self._value(name, batch, count) for name in self.weights}
        return {name: self.weights[name] * value for name, value in computed.items()}

    def _value(self, name: str, batch: LossInputs, count: int) -> Tensor:
        if name == "contrastive":
            return contrastive_loss(
                batch.views[:count],
                batch.scans,
                batch.cards[:count],
                temperature=self.config.contrastive_temperature,
            )
        if name in MAP_TERMS:
            return self._of_maps(name, batch)
        embeddings = torch.cat([batch.views, batch.scans])
        if name == "arcface":
            assert self.arcface is not None
            cards = torch.cat([batch.cards, batch.cards[:count]])
            real = cards >= 0
            if not real.any():  # by chance the batch holds virtual cards alone
                return embeddings.sum() * 0
            value: Tensor = self.arcface(embeddings[real], cards[real])
            return value
        if batch.teacher_views is None or batch.teacher_scans is None:
            raise ValueError(f"loss term {name} needs a teacher")
        teacher = torch.cat([batch.teacher_views, batch.teacher_scans[:count]])
        if name == "embedding":
            return embedding_loss(embeddings, teacher)
        if name == "relational":
            return relational_loss(embeddings, teacher)
        return kl_loss(
            embeddings,
            teacher,
            batch.teacher_scans,
            scale=self.config.kl_scale,
            temperature=self.config.kl_temperature,
        )

    def _of_maps(self, name: str, batch: LossInputs) -> Tensor:
        ours, theirs = batch.view_maps, batch.teacher_maps
        if ours is None or theirs is None:
            raise ValueError(f"loss term {name} needs both networks' maps")
        if name == "attention":
            return attention_loss(ours, theirs)
        term = self.feature_map if name == "feature_map" else self.high_frequency
        assert term is not None
        value: Tensor = term(ours, theirs)
        return value
