"""Feature-map loss: what the student sees at each place of the image, the teacher sees there.

Source: FitNets (Romero et al. 2015, https://arxiv.org/abs/1412.6550): a 1×1 convolution, dropped
after training, predicts the teacher's features from the student's. The teacher's are its patch
tokens on their grid, averaged onto the student's; they are standardised per channel first
(Heo et al. 2019, https://arxiv.org/abs/1904.01866, and Wei et al. 2022,
https://arxiv.org/abs/2205.14141, whiten likewise), so that a few loud channels do not decide.

Unit: share of the teacher's variance left unexplained; 1 is what predicting the mean reaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.names import STUDENT
from training.losses.map_adapter import build_map_adapter
from training.losses.term import LossInputs, LossTerm, Need

if TYPE_CHECKING:
    from torch import Tensor, nn

_EPSILON = 1e-6


def feature_map_loss(adapter: nn.Module, student: Tensor, teacher: Tensor) -> Tensor:
    """Compares the maps of both networks place by place.

    Args:
        adapter: Predicts the teacher's channels from the student's.
        student: (N, C, h, w).
        teacher: (N, D, H, W), of the same images.
    """
    from torch.nn import functional

    height, width = student.shape[-2:]
    target = functional.adaptive_avg_pool2d(teacher.detach(), (height, width))
    mean = target.mean(dim=(0, 2, 3), keepdim=True)
    deviation = target.std(dim=(0, 2, 3), keepdim=True, unbiased=False)
    target = (target - mean) / (deviation + _EPSILON)
    return functional.mse_loss(adapter(student), target)


def _of_batch(batch: LossInputs, settings: Mapping[str, float], module: nn.Module | None) -> Tensor:
    assert module is not None
    return feature_map_loss(module.get_submodule("adapter"), *batch.maps())


TERM = LossTerm(
    "feature_map",
    frozenset({STUDENT}),
    _of_batch,
    needs=frozenset({Need.MAPS}),
    build=build_map_adapter,
)
