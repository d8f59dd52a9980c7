"""What predicts the teacher's feature map from the student's, for the terms that compare maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.losses.term import TermContext

if TYPE_CHECKING:
    from torch import nn


def map_adapter(
    student_channels: int, teacher_channels: int, seed: int, *, bias: bool = True
) -> nn.Module:
    """A 1×1 convolution from one network's channels to the other's; dropped after training.

    Args:
        student_channels: Channels of the student's map.
        teacher_channels: Channels of the teacher's map.
        seed: Of the initial weights.
        bias: Whether it adds a constant; maps without a mean need none.
    """
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Conv2d(student_channels, teacher_channels, kernel_size=1, bias=bias)


def build_map_adapter(context: TermContext, *, bias: bool = True) -> nn.Module:
    """The module of a term that compares maps: ``adapter`` in a dictionary."""
    from torch import nn

    assert context.map_channels is not None
    adapter = map_adapter(*context.map_channels, seed=context.seed, bias=bias)
    return nn.ModuleDict({"adapter": adapter})
