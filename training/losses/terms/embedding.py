"""Embedding loss: the student's embedding points where the teacher's does.

Source: FitNets' hint regression (Romero et al. 2015, https://arxiv.org/abs/1412.6550), with the
cosine in place of the squared error: recognition compares directions, and a squared error over
768 unit-norm dimensions is some 400 times smaller than the cosine distance it stands for, so that
its weight would say nothing.

Unit: cosine distance, 0 (same direction) to 2 (opposite).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.names import STUDENT
from training.losses.term import LossTerm, Need

if TYPE_CHECKING:
    from torch import Tensor


def embedding_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of ``1 - cos(student, teacher)`` over the rows of two (N, D) tensors."""
    from torch.nn import functional

    return 1.0 - functional.cosine_similarity(student, teacher, dim=1).mean()


TERM = LossTerm(
    "embedding",
    frozenset({STUDENT}),
    lambda batch, settings, module: embedding_loss(batch.embeddings, batch.teacher_embeddings()[0]),
    needs=frozenset({Need.TEACHER}),
)
