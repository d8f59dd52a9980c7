"""The machine that a job finds itself on: device, threads, reproducibility, precision."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from training.config import ConfigError, TrainingConfig
from training.distributed.ranks import Ranks


def prepare_machine(config: TrainingConfig, ranks: Ranks) -> torch.device:
    """Sets threads and determinism, and chooses the device: each process its own GPU.

    Raises:
        ConfigError: The batch cannot be divided among the processes, or one has no GPU.
    """
    ranks.check(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # It would overwrite every new tensor once, to catch reads of uninitialised memory.
    deterministic: Any = torch.utils.deterministic
    deterministic.fill_uninitialized_memory = False
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if ranks.local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"LOCAL_RANK {ranks.local_rank}: this machine has {torch.cuda.device_count()} GPUs; "
            "start as many processes"
        )
    torch.cuda.set_device(ranks.local_rank)
    return torch.device("cuda", ranks.local_rank)


def autocast(config: TrainingConfig, device: torch.device) -> AbstractContextManager[Any]:
    """bf16 autocast where the configuration asks for it, otherwise nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")


def placed(model: nn.Module, config: TrainingConfig, device: torch.device) -> Any:
    """The model on the device, in the memory format that the configuration asks for, compiled
    where it does."""
    # torch's stubs know `memory_format` only together with a tensor.
    there: Any = (
        model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.channels_last
        else model.to(device)
    )
    if config.compile:
        there.backbone.compile()
    return there
