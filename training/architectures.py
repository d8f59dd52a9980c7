"""The networks that can be trained, one entry each. Imports no torch.

A new student architecture is one entry in :data:`STUDENTS`: the configuration accepts it, the
estimate of time and price knows its size, and weights of its shapes are recognised.

Example:
    >>> from training.architectures import STUDENTS, is_backbone, vit_shape
    >>> STUDENTS["efficientnet_lite0"].gflop
    0.8
    >>> is_backbone("student", "resnet50")
    False
    >>> vit_shape("vit_large_patch16_dinov3")
    VitShape(patch=16, depth=24, width=1024)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from registry.names import STUDENT, TEACHER


@dataclass(frozen=True)
class StudentArchitecture:
    """A convolution network without operators that the Hailo compiler refuses.

    Attributes:
        gflop: Of one forward pass at 224 px; two for each multiplication.
        blocks: Its blocks, counted over all stages, and
        last_channels: the input channels of its last convolution: together they tell its weights
            from those of the others.
    """

    gflop: float
    blocks: int
    last_channels: int


class VitShape(NamedTuple):
    """A ViT's side of a patch in pixels, number of blocks, and length of a token."""

    patch: int
    depth: int
    width: int


#: By timm's name.
STUDENTS: Mapping[str, StudentArchitecture] = {
    "efficientnet_lite0": StudentArchitecture(0.80, blocks=16, last_channels=320),
    "efficientnet_lite1": StudentArchitecture(1.20, blocks=21, last_channels=320),
    "efficientnet_lite2": StudentArchitecture(1.73, blocks=21, last_channels=352),
    "efficientnet_lite3": StudentArchitecture(3.3, blocks=24, last_channels=384),
    "efficientnet_lite4": StudentArchitecture(5.1, blocks=30, last_channels=448),
}
#: Depth and width of timm's ViTs, by the size in their name.
VIT_SIZES: Mapping[str, tuple[int, int]] = {
    "tiny": (12, 192),
    "small": (12, 384),
    "base": (12, 768),
    "large": (24, 1024),
    "huge": (32, 1280),
    "7b": (40, 4096),
}
#: GFLOP of timm's ConvNeXts at 224 px, by the size in their name.
CONVNEXT_GFLOP: Mapping[str, float] = {"tiny": 8.9, "small": 17.4, "base": 30.8, "large": 68.8}
#: timm's spelling of names: ``convnext_tiny.dinov3_lvd1689m`` has the published weights' tag.
_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*(\.[a-z0-9]+(_[a-z0-9]+)*)?", re.ASCII)
_CONVNEXT = re.compile(r"convnext_(?P<size>[a-z]+)([._].*)?", re.ASCII)
_VIT = re.compile(r"vit_(?P<size>[a-z0-9]+)(_[a-z0-9_]+)?", re.ASCII)
_PATCH = re.compile(r"_patch([0-9]{1,3})(?![0-9])", re.ASCII)
_USUAL_PATCH = 16


def is_backbone(model_type: str, name: str) -> bool:
    """Whether a type of model can have this backbone.

    A teacher's may be any of timm's; whether this timm has it, with a feature and maps, shows when
    it is built.
    """
    if model_type == STUDENT:
        return name in STUDENTS
    return model_type == TEACHER and _NAME.fullmatch(name) is not None


def is_vit(name: str) -> bool:
    """Whether timm's name is that of a ViT, whose shape the configuration can change."""
    return _VIT.fullmatch(name.partition(".")[0]) is not None


def convolution_gflop(name: str) -> float | None:
    """GFLOP at 224 px of a convolution network; None where the tables have none of that name."""
    if name in STUDENTS:
        return STUDENTS[name].gflop
    found = _CONVNEXT.fullmatch(name)
    return CONVNEXT_GFLOP.get(found["size"]) if found else None


def vit_shape(name: str) -> VitShape | None:
    """The shape of a ViT by timm's name; None for a size that is not in :data:`VIT_SIZES`."""
    found = _VIT.fullmatch(name.partition(".")[0])
    if found is None or found["size"] not in VIT_SIZES:
        return None
    patch = _PATCH.search(name)
    return VitShape(int(patch[1]) if patch else _USUAL_PATCH, *VIT_SIZES[found["size"]])
