"""What each loss term contributes, measured where it counts: in the gradient.

A weight says nothing about a term's effect: a hook that finds no module, or a squared error over
unit vectors, keeps its '35 %' and does nothing. So the gradient of each weighted term with respect
to the embeddings is measured now and then, and a term that never moves them stops the job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

#: A term below this share of the gradient in every measurement of the run's first part does
#: nothing that its weight promises.
LEAST_SHARE = 1e-3


class IdleTermError(RuntimeError):
    """A loss term that contributes nothing; names it, its weight and its share."""


def gradient_shares(terms: Mapping[str, Tensor], embeddings: Sequence[Tensor]) -> dict[str, float]:
    """Each weighted term's share of the summed gradient norms with respect to the embeddings.

    Args:
        terms: Weighted scalar terms that still have their graph; the graph is kept.
        embeddings: The tensors through which every term acts.

    Returns:
        Shares that sum to 1; all 0 where no term has a gradient.
    """
    norms = {}
    for name, value in terms.items():
        norms[name] = 0.0
        if value.requires_grad:
            gradients = torch.autograd.grad(value, embeddings, retain_graph=True, allow_unused=True)
            squares = [float(g.float().square().sum()) for g in gradients if g is not None]
            norms[name] = sum(squares) ** 0.5
    total = sum(norms.values())
    return {name: norm / total if total > 0 else 0.0 for name, norm in norms.items()}


class ShareWatch:
    """Collects shares and raises when a term stayed idle through the run's first part."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)
        self._largest = dict.fromkeys(weights, 0.0)
        self._measured = 0

    def add(self, shares: Mapping[str, float]) -> None:
        """Takes one measurement."""
        self._measured += 1
        for name in self._weights:
            self._largest[name] = max(self._largest[name], shares.get(name, 0.0))

    def check(self) -> None:
        """Raises IdleTermError for a term whose share never reached :data:`LEAST_SHARE`."""
        for name, largest in self._largest.items():
            if self._measured and largest < LEAST_SHARE:
                raise IdleTermError(
                    f"loss term {name} (weight {self._weights[name]:g}) contributes nothing: at "
                    f"most {largest:.2g} of the gradient in {self._measured} measurements; "
                    f"raise weight_{name}, or set it to 0"
                )

    def state_dict(self) -> dict[str, dict[str, float] | int]:
        """What a resumed run needs."""
        return {"largest": dict(self._largest), "measured": self._measured}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from :meth:`state_dict`."""
        self._largest = {str(k): float(v) for k, v in state["largest"].items()}
        self._measured = int(state["measured"])
