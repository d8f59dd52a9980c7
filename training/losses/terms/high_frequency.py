"""High-frequency loss: edges and fine print that the teacher sees, the student sees.

Source: distillation in the frequency domain (Zhang et al. 2023, FreeKD,
https://arxiv.org/abs/2311.12079; Pham et al. 2024, https://arxiv.org/abs/2403.05894): the low
frequencies of a feature map carry most of its energy and drown the rest. The high ones are what is
left when the mean of each place's 3×3 neighbourhood is taken off (the first residual of a Laplacian
pyramid, Burt and Adelson 1983); a 1×1 convolution, dropped after training, predicts the teacher's
from the student's.

Unit: share of the variance of the teacher's high frequencies left unexplained; 1 is what
predicting nothing reaches.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.names import STUDENT
from training.losses.map_adapter import build_map_adapter
from training.losses.term import LossInputs, LossTerm, Need

if TYPE_CHECKING:
    from torch import Tensor, nn

_EPSILON = 1e-6


def high_frequency_loss(adapter: nn.Module, student: Tensor, teacher: Tensor) -> Tensor:
    """Compares what two maps change from place to place.

    Args:
        adapter: Predicts the teacher's channels from the student's.
        student: (N, C, h, w); h and w at least 2.
        teacher: (N, D, H, W), of the same images.
    """
    from torch.nn import functional

    size = (student.shape[-2], student.shape[-1])
    target = high_frequencies(functional.adaptive_avg_pool2d(teacher.detach(), size))
    deviation = target.square().mean(dim=(0, 2, 3), keepdim=True).sqrt()
    predicted = adapter(high_frequencies(student))
    return functional.mse_loss(predicted, target / (deviation + _EPSILON))


def high_frequencies(maps: Tensor) -> Tensor:
    """(N, C, h, w) less the mean of each place's neighbourhood; a flat map gives zeros."""
    from torch.nn import functional

    neighbourhood = functional.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)
    return maps - neighbourhood


def _of_batch(batch: LossInputs, settings: Mapping[str, float], module: nn.Module | None) -> Tensor:
    assert module is not None
    return high_frequency_loss(module.get_submodule("adapter"), *batch.maps())


TERM = LossTerm(
    "high_frequency",
    frozenset({STUDENT}),
    _of_batch,
    needs=frozenset({Need.MAPS}),
    build=functools.partial(build_map_adapter, bias=False),
)
