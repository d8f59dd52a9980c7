"""What every runtime of an embedding model offers: ONNX Runtime, Hailo's emulator, a Hailo chip."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class EmbeddingModel(Protocol):
    """A loaded model that turns prepared images into embeddings."""

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds uint8 RGB (N, S, S, 3) into float32 (N, D) rows of length 1."""
        ...
