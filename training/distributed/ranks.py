"""One training run in several processes: each works on its part of every batch.

Embeddings are gathered before the loss is computed, so that every process sees the loss of the
whole batch: terms that compare cards with each other (contrastive, relational, KL) mean the same
on one GPU and on eight, and the batch size that was asked for is the batch size that is trained
with. ``torchrun`` starts the processes and tells each who it is
(https://docs.pytorch.org/docs/stable/elastic/run.html); SageMaker's ``torch_distributed`` runs
``torchrun``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

from training.config import ConfigError, TrainingConfig
from training.losses.term import LossInputs

#: A process that waits longer than this for the others has lost one of them.
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Ranks:
    """Which process this is, of how many.

    Attributes:
        rank: Counts from 0; process 0 measures and writes what is kept.
        world: How many processes there are.
        local_rank: Counts from 0 on this machine: the number of its GPU.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> Ranks:
        """Reads ``torchrun``'s variables; without them there is one process.

        Raises:
            ConfigError: They are not whole, or contradict each other.
        """
        given = os.environ if variables is None else variables
        try:
            ranks = cls(
                rank=int(given.get("RANK") or 0),
                world=int(given.get("WORLD_SIZE") or 1),
                local_rank=int(given.get("LOCAL_RANK") or 0),
            )
        except ValueError as error:
            raise ConfigError(f"RANK, WORLD_SIZE, LOCAL_RANK: {error}") from None
        if not 0 <= ranks.rank < ranks.world or not 0 <= ranks.local_rank <= ranks.rank:
            raise ConfigError(
                f"RANK {ranks.rank}, WORLD_SIZE {ranks.world}, LOCAL_RANK {ranks.local_rank}: "
                "contradict each other; start the processes with torchrun"
            )
        return ranks

    @property
    def first(self) -> bool:
        """Whether this process measures, writes and tracks; the others only train."""
        return self.rank == 0

    def check(self, config: TrainingConfig) -> None:
        """Refuses a batch that cannot be divided into equal parts.

        Raises:
            ConfigError: Names a batch size that can.
        """
        pieces = self.world * config.accumulate
        parts = (config.batch_size, config.fed_scans)
        if any(part % pieces for part in parts):
            step = pieces if config.scan_share in (0.0, 1.0) else 2 * pieces
            above = -(-config.batch_size // step) * step
            among = f"{self.world} processes"
            if config.accumulate > 1:
                among += f" and {config.accumulate} parts each"
            raise ConfigError(
                f"batch_size {config.batch_size} with {config.fed_scans} clean scans does not "
                f"divide among {among}; set --batch-size {above}"
            )

    def rows(self, config: TrainingConfig) -> list[int]:
        """This process's rows of a whole batch, those with a clean scan first."""
        fed, left = config.fed_scans // self.world, config.batch_size - config.fed_scans
        rest = left // self.world
        begin = config.fed_scans + self.rank * rest
        return [*range(self.rank * fed, (self.rank + 1) * fed), *range(begin, begin + rest)]


#: The only process of a run.
SINGLE_PROCESS = Ranks()


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Connects the processes of a run for as long as they train together."""
    if ranks.world == 1:
        yield
        return
    torch.distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        rank=ranks.rank,
        world_size=ranks.world,
        timeout=_PATIENCE,
    )
    try:
        yield
        # A process that leaves while another still hears from it was seen to bring that one down.
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()


def share_weights(module: nn.Module, ranks: Ranks) -> None:
    """Makes every process begin with the weights of process 0."""
    if ranks.world == 1:
        return
    with torch.no_grad():
        for value in [*module.parameters(), *module.buffers()]:
            torch.distributed.broadcast(value, src=0)


def share_bytes(content: bytes, ranks: Ranks, device: torch.device) -> bytes:
    """What process 0 has, for every process."""
    if ranks.world == 1:
        return content
    box: list[Any] = [content]
    torch.distributed.broadcast_object_list(box, src=0, device=device)
    return bytes(box[0])


def any_of(flag: bool, ranks: Ranks, device: torch.device) -> bool:
    """Whether a flag is set in any process; all of them must ask."""
    if ranks.world == 1:
        return flag
    value = torch.tensor([float(flag)], device=device)
    torch.distributed.all_reduce(value, op=torch.distributed.ReduceOp.MAX)
    return bool(value.item())


def gather_objects(part: Any, ranks: Ranks) -> list[Any]:
    """What each process has, in the order of the processes."""
    if ranks.world == 1:
        return [part]
    found: list[Any] = [None] * ranks.world
    torch.distributed.all_gather_object(found, part)
    return found


def gathered(inputs: LossInputs, ranks: Ranks) -> LossInputs:
    """The whole batch's embeddings from every process's part, in the order of the batch.

    Gradients flow back to the part that each process computed.
    """
    if ranks.world == 1:
        return inputs
    fed = len(inputs.scans)
    whole = {}
    for field in fields(inputs):
        value = getattr(inputs, field.name)
        if value is None:
            continue
        # Rows with a clean scan stand first in the part, and have to in the whole.
        parts = (value,) if field.name == "scans" else (value[:fed], value[fed:])
        whole[field.name] = torch.cat([_gather(part, ranks) for part in parts])
    return replace(inputs, **whole)


def _gather(part: Tensor, ranks: Ranks) -> Tensor:
    apply: Any = _Gather.apply  # torch types it by no means
    whole: Tensor = apply(part.contiguous(), ranks)
    return whole


class _Gather(torch.autograd.Function):
    """Every process's rows, in the order of the processes."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks, ctx.rows = ranks, len(part)
        pieces = [torch.empty_like(part) for _ in range(ranks.world)]
        torch.distributed.all_gather(pieces, part)
        return torch.cat(pieces)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        # All processes compute the same loss of the same rows: the sum of their gradients needs
        # no asking.
        begin = ctx.ranks.rank * ctx.rows
        return gradients[0][begin : begin + ctx.rows] * ctx.ranks.world, None


def average_gradients(parameters: Iterable[nn.Parameter], ranks: Ranks) -> None:
    """Makes every process's gradient that of the whole batch's loss.

    Each process computes the whole loss. The part of the model's gradient that comes through
    its own rows is counted as often as there are processes, the criterion's gradient is whole in
    every process: the mean over the processes is right for both.
    """
    if ranks.world == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= ranks.world
    done = 0
    for gradient in gradients:
        gradient.copy_(flat[done : done + gradient.numel()].view_as(gradient))
        done += gradient.numel()
