"""Relational loss: images that the teacher finds alike, the student finds alike to that degree.

Source: similarity-preserving distillation (Tung and Mori 2019, https://arxiv.org/abs/1907.09682)
and relational distillation (Park et al. 2019, https://arxiv.org/abs/1904.05068): the matrices of
pairwise cosines are compared. The squared error is divided by the variance of the teacher's own
cosines, so that its size does not depend on how far the teacher spreads the cards.

Unit: share of the teacher's variance that the student leaves unexplained; 0 is a copy, 1 is what
a constant answer would reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.names import STUDENT
from training.losses.term import LossTerm, Need

if TYPE_CHECKING:
    from torch import Tensor

#: Variance of a batch whose cosines are all alike: nothing to preserve, no division by zero.
_LEAST_VARIANCE = 1e-2


def relational_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Unexplained share of the teacher's off-diagonal cosines, for two (N, D) tensors, N >= 2."""
    import torch

    rows = student.shape[0]
    student_cosines = _cosines(student)
    teacher_cosines = _cosines(teacher).detach()
    others = ~torch.eye(rows, dtype=torch.bool, device=student.device)
    error = (student_cosines - teacher_cosines)[others].square().mean()
    variance = teacher_cosines[others].var(unbiased=False)
    return error / variance.clamp_min(_LEAST_VARIANCE)


def _cosines(embeddings: Tensor) -> Tensor:
    from torch.nn import functional

    unit = functional.normalize(embeddings, dim=1)
    return unit @ unit.T


TERM = LossTerm(
    "relational",
    frozenset({STUDENT}),
    lambda batch, settings, module: relational_loss(
        batch.embeddings, batch.teacher_embeddings()[0]
    ),
    needs=frozenset({Need.TEACHER}),
)
