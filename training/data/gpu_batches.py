"""A run's batches where there is a GPU: the processors draw the numbers, the GPU the pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from recognition.views.parameters import draw_view
from training.data.batches import Batches, CardDataset, Images, Pixels
from training.data.gpu_views import render_views, shrink
from training.distributed.ranks import SINGLE_PROCESS, Ranks


class GpuBatches(Batches):
    """The same batches as ``Batches``, to about a grey level, on a device.

    Args:
        cards: The card set.
        steps: Where to stop.
        ranks: The process that they are for.
        device: Where views are rendered and stay.
    """

    def __init__(
        self, cards: CardDataset, steps: int, ranks: Ranks = SINGLE_PROCESS, *, device: torch.device
    ) -> None:
        super().__init__(cards, steps, ranks)
        self._device = device

    def _render(
        self, scans: Sequence[Pixels], generators: Sequence[np.random.Generator]
    ) -> tuple[Images, Images]:
        pixels = torch.from_numpy(np.stack(scans))
        if self._device.type == "cuda":
            # From pinned memory the copy runs beside the training.
            pixels = pixels.pin_memory()
        there = pixels.to(self._device, non_blocking=True)
        size = self._config.image_size
        camera = max(size, self._config.camera_side)
        seen = render_views(there, [draw_view(rng) for rng in generators], camera)
        return (shrink(seen, size) if camera > size else seen), shrink(there, size)


def batches_on(
    device: torch.device, cards: CardDataset, steps: int, ranks: Ranks = SINGLE_PROCESS
) -> Batches:
    """A run's batches, rendered where it trains."""
    if device.type == "cuda" and cards.config.gpu_views:
        return GpuBatches(cards, steps, ranks, device=device)
    return Batches(cards, steps, ranks)
