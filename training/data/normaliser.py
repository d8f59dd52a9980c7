"""From pixels to what a network takes, by the contract."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.config import TrainingConfig


class Normaliser:
    """uint8 NHWC images to normalised float NCHW tensors on a device."""

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        contract = config.contract
        mean = torch.tensor(contract.mean, device=device)
        std = torch.tensor(contract.std, device=device)
        self._scale = (1 / (255 * std)).view(1, 3, 1, 1)
        self._offset = (-mean / std).view(1, 3, 1, 1)
        self._format = torch.channels_last if config.channels_last else torch.contiguous_format

    def __call__(self, images: np.ndarray | Tensor) -> Tensor:
        """uint8 (N, S, S, 3), as an array or a tensor, to float32 (N, 3, S, S)."""
        given = torch.from_numpy(images) if isinstance(images, np.ndarray) else images
        pixels = given.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        return torch.addcmul(self._offset, pixels.float(), self._scale).contiguous(
            memory_format=self._format
        )
