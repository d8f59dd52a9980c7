"""What the shapes of a model's weights say about it: pure functions, nothing is loaded.

A name and a shape for each tensor is all that is needed to count parameters, to tell a ViT-L/16
from a ViT-B/14 and to see how long the embedding is. What shapes cannot tell stays None.
Layouts: timm's and DINO's ``patch_embed.proj`` and ``blocks.N``, Hugging Face's
``patch_embeddings`` and ``layer.N``, timm's EfficientNet.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.architectures import STUDENTS, VIT_SIZES

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

#: State of a module that is no parameter of the network.
_BUFFERS = frozenset(
    {"running_mean", "running_var", "num_batches_tracked", "position_ids", "inv_freq", "periods"}
    | {"relative_position_index"}
)
#: Layers that only the training has: the classes' centres.
_CLASSIFIER = re.compile(r"(^|[._])(arcface|cosface|sphereface|classifier|margin)([._]|$)", re.I)
_PATCH = re.compile(r"(?P<prefix>.*?)(embeddings\.)?(patch_embed|patch_embeddings)\b.*weight")
_STEM = re.compile(r"(?P<prefix>.*?)conv_stem\.weight")
_BLOCK = re.compile(r"(?:^|\.)(?:blocks|layers?)\.(\d+)\.(?:(\d+)\.)?")
#: What a backbone consists of, by the first word of its tensors' names.
_BODY = frozenset(
    {"blocks", "layer", "layers", "encoder", "norm", "norm_pre", "fc_norm", "layernorm", "model"}
    | {"patch_embed", "embeddings", "cls_token", "pos_embed", "reg_token", "register_tokens"}
    | {"storage_tokens", "mask_token", "conv_stem", "bn1", "bn2", "conv_head"}
)
#: A layer of that name in a backbone is a classifier or the embedding: shapes do not tell which.
_AMBIGUOUS = frozenset({"head", "fc", "pooler"})
#: timm's names of ViT sizes, by depth and width.
_VIT_NAMES = {shape: name for name, shape in VIT_SIZES.items()}
#: Students' names, by blocks and the input of the last convolution.
_STUDENT_NAMES = {(each.blocks, each.last_channels): name for name, each in STUDENTS.items()}


@dataclass(frozen=True)
class ShapeFacts:
    """What a model's weights say about it; None where they do not tell.

    Attributes:
        parameters: Numbers in its tensors, without statistics and without a classifier that
            only the training has.
        architecture: The backbone, in timm's words where it is one of timm's sizes.
        embedding_dim: Length of the embedding.
        classes: How many classes the training told apart.
        normalization: The kind of its normalisation layers.
    """

    parameters: int
    architecture: str | None = None
    embedding_dim: int | None = None
    classes: int | None = None
    normalization: str | None = None


def shape_facts(shapes: Shapes) -> ShapeFacts:
    """Reads the shapes of a state dictionary; buffers that are known as such are left out."""
    weights = {
        name: shape for name, shape in shapes.items() if name.rpartition(".")[2] not in _BUFFERS
    }
    classifier = {name: weights.pop(name) for name in list(weights) if _CLASSIFIER.search(name)}
    centres = [shape for shape in classifier.values() if len(shape) == 2]
    backbone = _vit(weights) or _efficientnet(weights) or (None, None, None)
    architecture, prefix, width = backbone
    length = _embedding_dim(weights, prefix, width)
    return ShapeFacts(
        parameters=sum(math.prod(shape) for shape in weights.values()),
        architecture=architecture,
        embedding_dim=length,
        classes=_classes(centres, length),
        normalization=_normalization(shapes, weights),
    )


_Backbone = tuple[str | None, str, int]


def _vit(weights: Shapes) -> _Backbone | None:
    """The backbone's description, the prefix of its tensors, and its width."""
    for name, shape in weights.items():
        found = _PATCH.fullmatch(name)
        if not found or len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
            continue
        prefix, (width, _, patch, _) = found["prefix"], shape
        depth = len(_blocks(weights, prefix))
        size = _VIT_NAMES.get((depth, width))
        text = (
            f"vit_{size}_patch{patch}"
            if size
            else f"ViT patch {patch}, width {width}, depth {depth}"
        )
        return text, prefix, width
    return None


def _efficientnet(weights: Shapes) -> _Backbone | None:
    for name, shape in weights.items():
        found = _STEM.fullmatch(name)
        head = weights.get(f"{found['prefix']}conv_head.weight") if found else None
        if not found or head is None or len(shape) != 4 or len(head) != 4:
            continue
        prefix = found["prefix"]
        # Squeeze-and-excitation is what the Lite variants lack.
        excited = any(".se." in each for each in weights)
        lite = None if excited else _STUDENT_NAMES.get((len(_blocks(weights, prefix)), head[1]))
        return lite, prefix, head[0]
    return None


def _blocks(weights: Shapes, prefix: str) -> set[tuple[str, str | None]]:
    found = (_BLOCK.search(name, len(prefix) - 1 if prefix else 0) for name in weights)
    return {match.groups() for match in found if match}  # type: ignore[misc]


def _embedding_dim(weights: Shapes, prefix: str | None, width: int | None) -> int | None:
    """How long the end of the chain of linear layers behind the backbone is."""
    if prefix is None:
        return None
    behind = {}
    for name, shape in weights.items():
        inside = name.startswith(prefix)
        word = name.removeprefix(prefix).partition(".")[0]
        if inside and word in _AMBIGUOUS:
            return None
        if not inside or word not in _BODY:
            behind[name] = shape
    if not behind:
        return width
    linear = [shape for shape in behind.values() if len(shape) == 2]
    ends = {out for out, _ in linear} - {into for _, into in linear if into != width}
    if len(ends) > 1:
        ends -= {width}
    return ends.pop() if len(ends) == 1 else None


def _classes(centres: Sequence[Shape], length: int | None) -> int | None:
    """How many classes a classifier's only matrix has a centre for, whichever way it lies."""
    if len(centres) != 1 or centres[0].count(length or 0) != 1:
        return None
    rows, columns = centres[0]
    return rows if columns == length else columns


def _normalization(shapes: Shapes, weights: Shapes) -> str | None:
    """BatchNorm is known by its statistics; other kinds look alike."""
    batch = {
        name.rpartition(".")[0] for name in shapes if name.rpartition(".")[2] == "running_mean"
    }
    others = any(
        len(shape) == 1 and name.endswith(".weight") and name.rpartition(".")[0] not in batch
        for name, shape in weights.items()
    )
    return "BatchNorm" if batch and not others else None
