"""The similarity from which a match is accepted, chosen by queries of unknown cards.

The threshold is meant to let a given share of unknown cards pass. It must not lie on the similarity
of one of the queries that it is chosen by: another processor, batch size or matrix library rounds
that similarity to the other side. So it lies between two neighbouring similarities, further from
both than the arithmetic's noise.

Example:
    >>> from recognition.acceptance import acceptance_threshold, false_accept_warning
    >>> acceptance_threshold([0.2, 0.4, 0.6, 0.8], false_accepts=0.25)  # one of the four may pass
    0.7
    >>> false_accept_warning(0.001, 400)
    'a false-accept target of 0.1 % needs at least 1000 views of unknown cards; 400 …'
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

#: Share of unknown cards' queries that a threshold may accept, where nothing else is set.
FALSE_ACCEPTS = 0.01
#: How much a float32 embedding changes with the processor, the batch size and the matrix library,
#: as a share of its length. Measured in cosines, between PyTorch at batches of 1, 7 and 96 and ONNX
#: Runtime with and without fused operators: 2e-7 for three layers, 4e-6 for EfficientNet-Lite0.
FLOAT_NOISE = 2e-5
#: The same for an 8-bit network: an activation at the edge of two steps falls to either. Measured
#: between ONNX Runtime's fused and plain operators on three layers: 1.9e-3 in cosines, 4.8e-3 here.
QUANTISED_NOISE = 5e-3
#: Cosines nearer than this are equal: two identical embeddings, multiplied in different places of
#: one matrix product, differ by some 1e-7.
TIE = 1e-6
#: How many views that might pass are given up in search of a gap in which to place the threshold.
_SEARCHED = 20
#: Above every cosine: nothing is accepted.
_UNREACHABLE = float(np.nextafter(np.float32(1), np.float32(2)))


def allowed_false_accepts(target: float, views: int) -> int:
    """How many of so many views of unknown cards may pass at a target share in [0, 1)."""
    # The tiny addend keeps 0.07 * 100 from falling below 7 in binary.
    return math.floor(target * views + 1e-9)


def false_accept_warning(target: float, views: int) -> str | None:
    """Says when a target is finer than the views can show; None where they can.

    Args:
        target: Share in [0, 1) of unknown cards' views that may be accepted.
        views: Number of views that the threshold is chosen by.
    """
    if target <= 0 or allowed_false_accepts(target, views) >= 1:
        return None
    return (
        f"a false-accept target of {target * 100:g} % needs at least {math.ceil(1 / target)} views "
        f"of unknown cards; {views} set the threshold, which accepts none of them: raise "
        "unseen_views or false_accepts"
    )


def acceptance_threshold(
    outside: ArrayLike, false_accepts: float = FALSE_ACCEPTS, noise: float = FLOAT_NOISE
) -> float:
    """A similarity at which at most a given share of unknown cards' queries is accepted.

    It is in the middle of the lowest gap of at least twice the noise among the similarities that
    may pass, or above all of them. Where no gap is so wide, which takes many thousand queries, it
    is the noise above the highest similarity that must not pass: rounding may then change which of
    the others pass, never that too many do.

    Args:
        outside: Best similarities, cosines in [-1, 1], of queries of unknown cards.
        false_accepts: Share in [0, 1) of them that may reach the threshold.
        noise: How much an embedding may change when it is computed elsewhere, as a share of its
            length.

    Returns:
        A cosine, or the float32 after 1 where nothing can be accepted.

    Raises:
        ValueError: No similarities, or a share outside [0, 1).
    """
    values = np.sort(np.clip(np.asarray(outside, dtype=np.float64), -1.0, 1.0))[::-1]
    if not len(values):
        raise ValueError("a threshold needs queries of cards outside the gallery: none given")
    if not 0 <= false_accepts < 1:
        raise ValueError(f"false_accepts must be in [0, 1), not {false_accepts}")
    allowed = allowed_false_accepts(false_accepts, len(values))
    for rank in range(allowed, max(0, allowed - _SEARCHED), -1):
        above, below = float(values[rank - 1]), float(values[rank])
        if above - below >= 2 * max(cosine_noise(below, noise), cosine_noise(above, noise)):
            return (above + below) / 2
    highest = float(values[allowed if allowed > _SEARCHED else 0])
    return min(highest + cosine_noise(highest, noise), _UNREACHABLE)


def cosine_noise(cosine: float, noise: float) -> float:
    """How much a cosine may change when one of the embeddings does.

    A small change turns an embedding by at most that angle, and a cosine's slope is its sine.

    Args:
        cosine: In [-1, 1].
        noise: Change of the embedding as a share of its length.
    """
    return max(2 * TIE, noise * math.sqrt(max(0.0, 1 - cosine**2)))
