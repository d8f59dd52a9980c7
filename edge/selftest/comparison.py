"""A device's answers to the reference views against those of the release.

>>> import numpy as np
>>> from recognition.reference_views import ReferenceViews
>>> stated = ReferenceViews(np.zeros((1, 8, 8, 3), np.uint8), np.eye(1, 4, dtype=np.float32),
...     ("base1-1",), (0.9,), threshold=0.7, cosine_mean=0.99, cosine_each=0.98)
>>> differences(stated, np.eye(1, 4, dtype=np.float32), ["base1-1"])
[]
>>> differences(stated, np.eye(1, 4, dtype=np.float32), [None])
['view 0: answers no known card, stated is base1-1']
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recognition.reference_views import ReferenceViews


def differences(
    stated: ReferenceViews, embeddings: NDArray[np.float32], answers: Sequence[str | None]
) -> list[str]:
    """Where a device differs by more than the gate allows; empty for nowhere.

    Args:
        stated: The release's.
        embeddings: float32 (N, D), rows of length 1: this device's of the same views.
        answers: The card of each view by this device; None for none that is known.
    """
    if embeddings.shape != stated.embeddings.shape:
        return [f"embeddings of shape {embeddings.shape}, stated are {stated.embeddings.shape}"]
    if not np.isfinite(embeddings).all():
        return ["an embedding is not finite"]
    cosines = np.einsum("ij,ij->i", embeddings, stated.embeddings, dtype=np.float64)
    found = []
    mean, worst = float(cosines.mean()), int(cosines.argmin())
    if not mean >= stated.cosine_mean:
        found.append(
            f"mean cosine to the stated embeddings is {mean:.4f}, "
            f"at least {stated.cosine_mean} is required"
        )
    if not cosines[worst] >= stated.cosine_each:
        found.append(
            f"view {worst}: cosine to the stated embedding is {cosines[worst]:.4f}, "
            f"at least {stated.cosine_each} is required"
        )
    for row, (answer, expected) in enumerate(zip(answers, stated.answers, strict=True)):
        if answer != expected:
            found.append(
                f"view {row}: answers {answer or 'no known card'}, "
                f"stated is {expected or 'no known card'}"
            )
    return found
