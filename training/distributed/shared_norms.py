"""BatchNorm over the whole batch when several processes share it.

Each process normalising by its own part's statistics is another model than one process trains:
with 8 cards a process instead of 64 it is a worse one. torch's SyncBatchNorm runs on GPUs alone
and replaces modules; here a norm's ``forward`` is replaced while the run trains, so that weights
keep their names and the very same code is tested on CPUs.

Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167; means and variances of parts are
put together as Chan et al. 1979 do (STAN-CS-79-773), which sums of squares lose digits at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from training.distributed.ranks import Ranks


@contextmanager
def shared_statistics(model: nn.Module, ranks: Ranks) -> Iterator[None]:
    """While it trains, the model's BatchNorms see the whole batch; then they are as they were."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if ranks.world == 1:
        norms = []
    for norm in norms:
        norm.forward = partial(_forward, norm, ranks)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def average_norms(model: nn.Module, ranks: Ranks) -> None:
    """Averages the running statistics of BatchNorm over the processes."""
    if ranks.world == 1:
        return
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            for statistic in (norm.running_mean, norm.running_var):
                if statistic is not None:
                    torch.distributed.all_reduce(statistic)
                    statistic /= ranks.world


def _forward(norm: Any, ranks: Ranks, values: Tensor) -> Tensor:
    if not norm.training:
        answer: Tensor = type(norm).forward(norm, values)
        return answer
    shape = [1, -1] + [1] * (values.ndim - 2)
    axes = [0, *range(2, values.ndim)]
    count = values.numel() // values.shape[1]
    local = values.float()
    mean = local.mean(axes)
    variance = (local - mean.view(shape)).square().mean(axes)
    means, variances = _everyones(torch.stack([mean, variance]), ranks).unbind(1)
    # Every part has the same number of rows.
    mean = means.mean(0)
    variance = variances.mean(0) + (means - mean).square().mean(0)
    _remember(norm, mean.detach(), variance.detach(), count * ranks.world)
    scale = torch.rsqrt(variance + norm.eps) * norm.weight
    normalised = (local - mean.view(shape)) * scale.view(shape) + norm.bias.view(shape)
    answer = normalised.to(values.dtype)
    # timm's BatchNormAct2d goes on with its activation.
    for name in ("drop", "act"):
        if hasattr(norm, name):
            answer = getattr(norm, name)(answer)
    return answer


@torch.no_grad()
def _remember(norm: Any, mean: Tensor, variance: Tensor, count: int) -> None:
    norm.num_batches_tracked += 1
    momentum = 1.0 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance * (count / max(1, count - 1)), momentum)


def _everyones(part: Tensor, ranks: Ranks) -> Tensor:
    """(world, …): each process's values."""
    apply: Any = _Everyones.apply
    found: Tensor = apply(part.contiguous(), ranks)
    return found


class _Everyones(torch.autograd.Function):
    """Every process's values; what each process's rows make of them flows back to their owner."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        pieces = [torch.empty_like(part) for _ in range(ranks.world)]
        torch.distributed.all_gather(pieces, part)
        return torch.stack(pieces)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        whole = gradients[0].contiguous()
        torch.distributed.all_reduce(whole)
        return whole[ctx.ranks.rank], None
