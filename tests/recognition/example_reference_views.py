"""Two reference views of one known and one unknown card."""

from __future__ import annotations

import numpy as np

from recognition.reference_views import ReferenceViews


def example() -> ReferenceViews:
    """Of images of 8 px and embeddings of 4 numbers."""
    views = np.random.default_rng(7).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    return ReferenceViews(
        views=views,
        embeddings=np.eye(2, 4, dtype=np.float32),
        card_ids=("base1-1", "base1-2"),
        similarities=(0.9, 0.3),
        threshold=0.7,
        cosine_mean=0.99,
        cosine_each=0.98,
    )
