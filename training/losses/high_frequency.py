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

import torch
from torch import Tensor, nn
from torch.nn import functional

_EPSILON = 1e-6


class HighFrequencyLoss(nn.Module):
    """Compares what two maps change from place to place.

    Args:
        student_channels: Channels of the student's map.
        teacher_channels: Channels of the teacher's map.
        seed: Of the initial weights.
    """

    def __init__(self, student_channels: int, teacher_channels: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.adapter = nn.Conv2d(student_channels, teacher_channels, kernel_size=1, bias=False)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Loss of maps (N, C, h, w) and (N, D, H, W) of the same images; h and w at least 2."""
        places = (student.shape[-2], student.shape[-1])
        target = high_frequencies(functional.adaptive_avg_pool2d(teacher.detach(), places))
        deviation = target.square().mean(dim=(0, 2, 3), keepdim=True).sqrt()
        return functional.mse_loss(
            self.adapter(high_frequencies(student)), target / (deviation + _EPSILON)
        )


def high_frequencies(maps: Tensor) -> Tensor:
    """(N, C, h, w) less the mean of each place's neighbourhood; a flat map gives zeros."""
    around = functional.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)
    return maps - around
