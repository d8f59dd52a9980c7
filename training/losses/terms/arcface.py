"""ArcFace: classification by the angle to one prototype a card, with a margin.

Source: Deng et al. 2019, https://arxiv.org/abs/1801.07698. Beyond the angle where adding the
margin would turn the cosine round, the penalty goes on linearly (the authors' own remedy).

Unit: nats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.names import STUDENT, TEACHER
from training.losses.term import LossInputs, LossTerm, Need, Setting, TermContext

if TYPE_CHECKING:
    from torch import Tensor, nn

# Keeps the arc cosine's derivative finite.
_EDGE = 1e-6


def arcface_loss(
    embeddings: Tensor, cards: Tensor, prototypes: Tensor, *, scale: float, margin: float
) -> Tensor:
    """Cross entropy of scaled cosines to prototypes, the right one made harder by a margin.

    Args:
        embeddings: (N, D).
        cards: (N,) card numbers from 0 to K - 1.
        prototypes: (K, D).
        scale: Multiplies cosines to logits.
        margin: Added to the angle to the right prototype, in radians.
    """
    import torch
    from torch.nn import functional

    cosines = functional.linear(
        functional.normalize(embeddings, dim=1), functional.normalize(prototypes, dim=1)
    )
    right = cosines.gather(1, cards[:, None]).clamp(-1 + _EDGE, 1 - _EDGE)
    turned = torch.cos(torch.acos(right) + margin)
    beyond = right <= math.cos(math.pi - margin)
    hardened = torch.where(beyond, right - margin * math.sin(margin), turned)
    logits = cosines.scatter(1, cards[:, None], hardened.to(cosines.dtype))
    return functional.cross_entropy(scale * logits, cards)


def _build(context: TermContext) -> nn.Module:
    """The prototypes, (K, D), which are trained."""
    from torch import nn

    assert context.prototypes is not None
    return nn.ParameterDict({"prototypes": nn.Parameter(context.prototypes.detach().clone())})


def _of_batch(batch: LossInputs, settings: Mapping[str, float], module: nn.Module | None) -> Tensor:
    """Of the rows of real cards: a virtual card has no prototype."""
    import torch

    assert module is not None
    embeddings = batch.embeddings
    cards = torch.cat([batch.cards, batch.cards[: len(batch.scans)]])
    real = cards >= 0
    if not real.any():  # by chance the batch holds virtual cards alone
        return embeddings.sum() * 0
    return arcface_loss(
        embeddings[real],
        cards[real],
        module.get_parameter("prototypes"),
        scale=settings["arcface_scale"],
        margin=settings["arcface_margin"],
    )


TERM = LossTerm(
    "arcface",
    frozenset({TEACHER, STUDENT}),
    _of_batch,
    needs=frozenset({Need.PROTOTYPES}),
    settings={"arcface_scale": Setting(64.0, 1, 1000), "arcface_margin": Setting(0.5, 0, 1.5)},
    build=_build,
)
