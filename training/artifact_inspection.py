"""What weights say about themselves: tensors by name and shape, without running any of them.

The header of a ``safetensors`` file is JSON (https://github.com/huggingface/safetensors#format)
and needs no library; a PyTorch checkpoint is read with ``weights_only``, which unpickles tensors
and nothing that could run code.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HEADER_LIMIT = 64 * 1024**2
_CHECKPOINTS = (".pt", ".pth", ".bin", ".ckpt")
#: Statistics and counters of layers: not parameters.
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")

Shapes = Mapping[str, tuple[int, ...]]


class InspectionError(ValueError):
    """Weights that cannot be read; names the file and the cause."""


@dataclass(frozen=True)
class Inspection:
    """What was counted.

    Attributes:
        file: The file's name.
        parameters: Number of parameters, classification heads included.
        shapes: Of each tensor.
    """

    file: str
    parameters: int
    shapes: Shapes

    @property
    def vision_transformer(self) -> str:
        """What kind of vision transformer it is, in timm's words; empty for anything else."""
        patches = [
            shape
            for name, shape in self.shapes.items()
            if name.endswith("patch_embed.proj.weight") and len(shape) == 4
        ]
        if not patches:
            return ""
        (patch, *_) = patches
        blocks = {
            name.partition("blocks.")[2].partition(".")[0]
            for name in self.shapes
            if "blocks." in name
        }
        registers = any(name.endswith("reg_token") for name in self.shapes)
        return f"vision transformer: width {patch[0]}, depth {len(blocks)}, patch {patch[-1]}" + (
            ", register tokens" if registers else ""
        )


def inspect(folder: Path) -> Inspection:
    """Counts what is in the one file of weights of an unpacked ``model.tar.gz``.

    Args:
        folder: The unpacked archive.

    Raises:
        InspectionError: There is no such file, there are several, or it is damaged.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".safetensors", *_CHECKPOINTS)
    )
    safe = [path for path in found if path.suffix == ".safetensors"]
    chosen = safe or found
    if len(chosen) != 1:
        names = ", ".join(path.name for path in chosen) or "none"
        raise InspectionError(f"expected one file of weights in the artifact, found {names}")
    (path,) = chosen
    shapes = _safetensors(path) if path.suffix == ".safetensors" else _checkpoint(path)
    parameters = sum(
        math.prod(shape)
        for name, shape in shapes.items()
        if not name.rpartition(".")[2].startswith(_BUFFERS)
    )
    return Inspection(path.name, parameters, shapes)


def _safetensors(path: Path) -> dict[str, tuple[int, ...]]:
    with path.open("rb") as file:
        first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else -1
        if not 0 < length <= min(_HEADER_LIMIT, path.stat().st_size - 8):
            raise InspectionError(f"{path.name}: is no safetensors file")
        try:
            header = json.loads(file.read(length))
            return {
                name: tuple(int(side) for side in entry["shape"])
                for name, entry in header.items()
                if name != "__metadata__"
            }
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InspectionError(f"{path.name}: its header is damaged ({error!r})") from None


def _checkpoint(path: Path) -> dict[str, tuple[int, ...]]:
    import torch

    try:
        content = torch.load(path, map_location="meta", weights_only=True, mmap=True)
    except Exception as error:  # torch raises of every kind for a file that is none of its own
        cause = " ".join(str(error).split())[:200]
        raise InspectionError(f"{path.name}: cannot be read as weights alone ({cause})") from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise InspectionError(f"{path.name}: holds no weights by name")
    return {
        str(name): tuple(value.shape)
        for name, value in content.items()
        if isinstance(value, torch.Tensor)
    }
