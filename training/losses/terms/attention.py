"""Attention loss: the student looks where the teacher looks.

Source: attention transfer (Zagoruyko and Komodakis 2017, https://arxiv.org/abs/1612.03928): a
map's attention is the sum of its squared channels. It is taken from the patch tokens on their
grid, not from a layer's attention weights: those are not there in a fused kernel, and register
tokens are no part of any grid. The published loss is the squared distance of the two maps as unit
vectors, which for all-positive maps is near zero before anything is learnt; here the maps' means
are taken off first.

Unit: 1 − Pearson's correlation of the two maps, 0 (the same places) to 2 (the opposite ones).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.names import STUDENT
from training.losses.term import LossTerm, Need

if TYPE_CHECKING:
    from torch import Tensor

#: Of a map that is the same everywhere: it has no correlation with anything.
_EPSILON = 1e-6


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Loss of maps (N, C, h, w) and (N, D, H, W) of the same images.

    The finer of the two grids is averaged onto the coarser one.
    """
    places = (
        min(student.shape[-2], teacher.shape[-2]),
        min(student.shape[-1], teacher.shape[-1]),
    )
    teacher_attention = _attention(teacher.detach(), places)
    student_attention = _attention(student, places)
    return 1.0 - (student_attention * teacher_attention).sum(dim=1).mean()


def _attention(maps: Tensor, places: tuple[int, int]) -> Tensor:
    """(N, places) unit vectors without their mean."""
    from torch.nn import functional

    energy = functional.adaptive_avg_pool2d(maps.square().mean(dim=1, keepdim=True), places)
    flat = energy.flatten(1)
    return functional.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1, eps=_EPSILON)


TERM = LossTerm(
    "attention",
    frozenset({STUDENT}),
    lambda batch, settings, module: attention_loss(*batch.maps()),
    needs=frozenset({Need.MAPS}),
)
