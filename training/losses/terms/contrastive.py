"""Contrastive loss: a view finds its own card's clean scan among the batch's, and the reverse.

Source: InfoNCE (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748) in its symmetrical
form (CLIP, Radford et al. 2021, https://arxiv.org/abs/2103.00020). It is the retrieval that the
product does (camera view against gallery of clean scans), and it needs no prototype, so cards
without one (virtual cards) take part.

Unit: nats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.names import STUDENT, TEACHER
from training.losses.term import LossInputs, LossTerm, Need, Setting

if TYPE_CHECKING:
    from torch import Tensor, nn


def contrastive_loss(
    views: Tensor, scans: Tensor, cards: Tensor | None = None, *, temperature: float
) -> Tensor:
    """Mean of view → scan and scan → view cross entropies; row i of both is one card.

    Args:
        views: (N, D) embeddings of camera views.
        scans: (N, D) embeddings of the same cards' clean scans.
        cards: (N,) card numbers, -1 for a card of its own; a card that is in the batch twice is
            not its own negative. None: all are distinct.
        temperature: Divides cosines to logits.
    """
    import torch
    from torch.nn import functional

    logits = functional.normalize(views, dim=1) @ functional.normalize(scans, dim=1).T / temperature
    target = torch.arange(len(views), device=views.device)
    if cards is not None:
        same = (cards[:, None] == cards[None, :]) & (cards >= 0)[:, None]
        same.fill_diagonal_(False)
        logits = logits.masked_fill(same, float("-inf"))
    forward = functional.cross_entropy(logits, target)
    backward = functional.cross_entropy(logits.T, target)
    return (forward + backward) / 2


def _of_batch(batch: LossInputs, settings: Mapping[str, float], module: nn.Module | None) -> Tensor:
    """Of the rows whose scan was fed."""
    count = len(batch.scans)
    return contrastive_loss(
        batch.views[:count],
        batch.scans,
        batch.cards[:count],
        temperature=settings["contrastive_temperature"],
    )


TERM = LossTerm(
    "contrastive",
    frozenset({TEACHER, STUDENT}),
    _of_batch,
    needs=frozenset({Need.SCANS}),
    settings={"contrastive_temperature": Setting(0.1, 0.005, 10)},
)
