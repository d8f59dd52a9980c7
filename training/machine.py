"""The machine that a job finds itself on: device, threads, reproducibility, precision."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from training.config import ConfigError, TrainingConfig


def prepare_machine(config: TrainingConfig) -> torch.device:
    """Sets threads and determinism, and chooses the device.

    Raises:
        ConfigError: Several processes were started; this version trains in one.
    """
    world = os.environ.get("WORLD_SIZE", "1")
    if world not in ("", "1"):
        raise ConfigError(
            f"WORLD_SIZE {world}: this version trains in one process and would make {world} "
            "models; submit it to an instance with one GPU"
        )
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # It would overwrite every new tensor once, to catch reads of uninitialised memory.
    deterministic: Any = torch.utils.deterministic
    deterministic.fill_uninitialized_memory = False
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(config: TrainingConfig, device: torch.device) -> AbstractContextManager[Any]:
    """bf16 autocast where the configuration asks for it, otherwise nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")


def placed(model: nn.Module, config: TrainingConfig, device: torch.device) -> nn.Module:
    """The model on the device, in the memory format that the configuration asks for."""
    # torch's stubs know `memory_format` only together with a tensor.
    return (
        model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.channels_last
        else model.to(device)
    )
