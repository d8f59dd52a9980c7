"""The averaged model: what is validated and what is kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

#: The average follows the weights closely at first: decay is at most (1 + step) / (10 + step).
_DELAY = 10


class Average:
    """The exponential moving average of a model's parameters.

    Attributes:
        values: One tensor a parameter, in the model's order.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.values = [p.detach().clone() for p in model.parameters()]

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Takes in the weights after a step; steps count from 0."""
        decay = min(self._decay, (1 + step) / (_DELAY + step))
        torch._foreach_lerp_(self.values, [p.detach() for p in model.parameters()], 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model with the averaged weights, in evaluation mode; afterwards as it was."""
        own = [p.detach().clone() for p in model.parameters()]
        was_training = model.training
        assign_weights(model, self.values)
        model.eval()
        try:
            yield
        finally:
            assign_weights(model, own)
            model.train(was_training)


@torch.no_grad()
def assign_weights(model: nn.Module, values: list[Tensor]) -> None:
    """Sets a model's parameters, in the model's order."""
    for parameter, value in zip(model.parameters(), values, strict=True):
        parameter.copy_(value)


def recalibrate(
    model: nn.Module, images: Iterator[Tensor], forward: Callable[[Tensor], object]
) -> None:
    """Measures BatchNorm's statistics anew, as plain means over the given batches.

    Without batches the running statistics stay.

    The averaged weights never trained with the running statistics that they inherit
    (Izmailov et al. 2018, https://arxiv.org/abs/1803.05407, do the same).
    """
    model.train()
    # Those of a part that stays as it began are in evaluation mode, and keep what they have.
    norms = [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
    ]
    model.eval()
    first = next(iter(images), None)
    if not norms or first is None:
        return
    momenta = [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for batch in itertools.chain([first], images):
            forward(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
