"""ArcFace: classification by the angle to one prototype a card, with a margin.

Source: Deng et al. 2019, https://arxiv.org/abs/1801.07698. Beyond the angle where adding the
margin would turn the cosine round, the penalty goes on linearly (the authors' own remedy).

Unit: nats.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Keeps the arc cosine's derivative finite.
_EDGE = 1e-6


class ArcFace(nn.Module):
    """Cross entropy of scaled cosines to prototypes, the right one made harder by a margin.

    Args:
        prototypes: (K, D) initial prototypes; they are trained.
        scale: Multiplies cosines to logits.
        margin: Added to the angle to the right prototype, in radians.
    """

    def __init__(self, prototypes: Tensor, *, scale: float, margin: float) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(prototypes.detach().clone())
        self.scale = scale
        self.margin = margin

    def forward(self, embeddings: Tensor, cards: Tensor) -> Tensor:
        """Mean loss of (N, D) embeddings with card numbers (N,) from 0 to K - 1."""
        cosines = functional.linear(
            functional.normalize(embeddings, dim=1), functional.normalize(self.prototypes, dim=1)
        )
        right = cosines.gather(1, cards[:, None]).clamp(-1 + _EDGE, 1 - _EDGE)
        turned = torch.cos(torch.acos(right) + self.margin)
        beyond = right <= math.cos(math.pi - self.margin)
        hardened = torch.where(beyond, right - self.margin * math.sin(self.margin), turned)
        logits = cosines.scatter(1, cards[:, None], hardened.to(cosines.dtype))
        return functional.cross_entropy(self.scale * logits, cards)
