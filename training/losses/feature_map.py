"""Feature-map loss: what the student sees at each place of the image, the teacher sees there.

Source: FitNets (Romero et al. 2015, https://arxiv.org/abs/1412.6550): a 1×1 convolution, dropped
after training, predicts the teacher's features from the student's. The teacher's are its patch
tokens on their grid, averaged onto the student's; they are standardised per channel first
(Heo et al. 2019, https://arxiv.org/abs/1904.01866, and Wei et al. 2022,
https://arxiv.org/abs/2205.14141, whiten likewise), so that a few loud channels do not decide.

Unit: share of the teacher's variance left unexplained; 1 is what predicting the mean reaches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_EPSILON = 1e-6


class FeatureMapLoss(nn.Module):
    """Compares the maps of both networks place by place.

    Args:
        student_channels: Channels of the student's map.
        teacher_channels: Channels of the teacher's map.
        seed: Of the initial weights.
    """

    def __init__(self, student_channels: int, teacher_channels: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.adapter = nn.Conv2d(student_channels, teacher_channels, kernel_size=1)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Loss of maps (N, C, h, w) and (N, D, H, W) of the same images."""
        height, width = student.shape[-2:]
        target = functional.adaptive_avg_pool2d(teacher.detach(), (height, width))
        mean = target.mean(dim=(0, 2, 3), keepdim=True)
        deviation = target.std(dim=(0, 2, 3), keepdim=True, unbiased=False)
        target = (target - mean) / (deviation + _EPSILON)
        return functional.mse_loss(self.adapter(student), target)
