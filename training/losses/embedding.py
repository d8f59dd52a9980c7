"""Embedding loss: the student's embedding points where the teacher's does.

Source: FitNets' hint regression (Romero et al. 2015, https://arxiv.org/abs/1412.6550), with the
cosine in place of the squared error: recognition compares directions, and a squared error over
768 unit-norm dimensions is some 400 times smaller than the cosine distance it stands for, so that
its weight would say nothing.

Unit: cosine distance, 0 (same direction) to 2 (opposite).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def embedding_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of ``1 - cos(student, teacher)`` over the rows of two (N, D) tensors."""
    return 1.0 - functional.cosine_similarity(student, teacher, dim=1).mean()
