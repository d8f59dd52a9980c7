"""Reads initial weights in the layouts that they are published in, and gives them timm's names.

PyTorch's files are read with ``weights_only``: tensors and plain containers, never code. DINOv3 is
read as Meta, timm and transformers publish it; transformers' names are those of
``DINOv3ViTModel`` (transformers/models/dinov3_vit/modeling_dinov3_vit.py). Meta's names are
translated by timm itself when the network is built. EfficientNet-Lite is read as timm and the
package ``efficientnet_lite_pytorch`` name it (``training.models.lite_names``).
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.checkpoint_files import (
    HF_DINOV3,
    LITE_PYTORCH,
    META_DINOV3,
    SAFETENSORS,
    TIMM_EFFICIENTNET,
    TIMM_VIT,
    UNKNOWN,
    CheckpointError,
    check_file,
    layout_of,
)
from training.models.lite_names import lite_in_timm_names

#: Layouts that are read.
_READ = (HF_DINOV3, META_DINOV3, TIMM_VIT, TIMM_EFFICIENTNET, LITE_PYTORCH)
#: Where training programs put the network's state, in the order of preference.
_CONTAINERS = (
    "state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "teacher", "module",
    "backbone", "net", "network", "encoder",
)  # fmt: skip
_DEEPEST = 5
#: A tensor that every backbone has once; what stands before it is a prefix of the whole.
_ANCHOR = re.compile(
    r"(?P<prefix>(?:.*\.)?)"
    r"(?:patch_embed\.proj|_?conv_stem|embeddings\.patch_embeddings)\.weight"
)
_HF_NAMES = (
    (r"^embeddings\.patch_embeddings\.", "patch_embed.proj."),
    (r"^embeddings\.register_tokens$", "storage_tokens"),
    (r"^embeddings\.", ""),
    (r"^(?:model\.)?layer\.(\d+)\.", r"blocks.\1."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
)
_HF_MLP = {"up_proj": "fc1", "down_proj": "fc2"}
#: As Meta names them; timm translates.
_HF_GATED_MLP = {"gate_proj": "w1", "up_proj": "w2", "down_proj": "w3"}
_QKV = re.compile(r"(?P<block>blocks\.\d+)\.attention\.(?P<part>[qkv])_proj\.(?P<kind>weight|bias)")


@dataclass(frozen=True)
class Checkpoint:
    """A backbone's weights.

    Attributes:
        layout: Whose names they had.
        state: Tensors by timm's names, or Meta's, which timm reads.
    """

    layout: str
    state: dict[str, Tensor]


def read_checkpoint(file: Path) -> Checkpoint:
    """Reads a file of initial weights; runs no code from it.

    Raises:
        CheckpointError: It is no checkpoint, is damaged, holds more than tensors and plain
            containers, or has a layout that is not read.
    """
    safe = check_file(file) == SAFETENSORS
    return arranged(file.name, _safetensors(file) if safe else _torch_file(file))


def arranged(name: str, content: object) -> Checkpoint:
    """Finds the backbone in what a file holds, and renames its tensors.

    Args:
        name: The file's, for messages.
        content: A state dictionary, or dictionaries around one.

    Raises:
        CheckpointError: There is none, there are several, or its layout is not read.
    """
    state = _tensors(name, content)
    layout = layout_of(state)
    if layout not in _READ:
        few = ", ".join(sorted(state)[:3])
        raise CheckpointError(
            f"{name}: its tensors have names of the layout {layout!r} ({few}, …), which is not "
            f"read; give the backbone as timm publishes it, or DINOv3 as Meta or transformers do"
        )
    state = _without_prefix(name, state)
    if layout == HF_DINOV3:
        state = _from_transformers(name, state)
    elif layout == LITE_PYTORCH:
        state = lite_in_timm_names(state)
    return Checkpoint(layout, state)


def _safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{file.name}: is damaged or cut short ({_line(error)}); download it again"
        ) from None


def _torch_file(file: Path) -> object:
    try:
        # Opened here: by its name torch would take one that ends in .safetensors for such a file.
        with file.open("rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch names what it refuses: "Unsupported global: GLOBAL argparse.Namespace was not …"
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if found is None:
            # What torch advises around it, to load the file without this protection, is left out.
            cause = (
                _line(error).rpartition("WeightsUnpickler error: ")[2].partition(" Check the ")[0]
            )
            raise CheckpointError(
                f"{file.name}: cannot be read as weights alone ({cause[:120]}); save its "
                "state dictionary as .safetensors"
            ) from None
        raise CheckpointError(
            f"{file.name}: holds more than tensors ({found[1]}), which could run code and is not "
            "read; save its state dictionary alone, best as .safetensors"
        ) from None
    except Exception as error:  # the file's bytes decide which one
        raise CheckpointError(
            f"{file.name}: is damaged or cut short ({_line(error)[:120]}); download it again"
        ) from None


def _tensors(name: str, content: object) -> dict[str, Tensor]:
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        found = {key: value for key, value in content.items() if isinstance(value, Tensor)}
        named = {key: value for key, value in found.items() if isinstance(key, str)}
        if named and layout_of(named) != UNKNOWN:
            return named
        inner = next((content[key] for key in _CONTAINERS if isinstance(
            content.get(key), Mapping)), None)  # fmt: skip
        if inner is None:
            if named:
                return named
            break
        content = inner
    keys = ", ".join(map(str, list(content)[:5])) if isinstance(content, Mapping) else ""
    found_words = f"found the entries {keys}" if keys else f"found {type(content).__name__}"
    raise CheckpointError(
        f"{name}: holds no state dictionary at its top or in one of "
        f"{', '.join(_CONTAINERS)}; {found_words}"
    )


def _without_prefix(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    anchors = [match["prefix"] for key in state if (match := _ANCHOR.fullmatch(key))]
    if len(anchors) > 1:
        raise CheckpointError(
            f"{name}: holds several backbones ({', '.join(sorted(anchors)[:4])}); save one alone"
        )
    if not anchors:
        raise CheckpointError(f"{name}: holds no first layer of a backbone, only a part of one")
    prefix = anchors[0]
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def _from_transformers(name: str, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """transformers' DINOv3 in Meta's names: q, k and v are joined, rotary buffers left out."""
    mlp = _HF_GATED_MLP if any(".mlp.gate_proj." in key for key in given) else _HF_MLP
    state: dict[str, Tensor] = {}
    parts: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, value in given.items():
        # Not of the network that looks at whole images: masks, and frequencies that timm computes.
        if key.startswith("rope_embeddings.") or key == "embeddings.mask_token":
            continue
        renamed = key
        for pattern, replacement in _HF_NAMES:
            renamed = re.sub(pattern, replacement, renamed)
        for hub_name, timm_name in mlp.items():
            renamed = renamed.replace(f".mlp.{hub_name}.", f".mlp.{timm_name}.")
        if match := _QKV.fullmatch(renamed):
            parts.setdefault((match["block"], match["kind"]), {})[match["part"]] = value
        else:
            state[renamed] = value
    for (block, kind), found in parts.items():
        state[f"{block}.attn.qkv.{kind}"] = _joined(f"{name}: {block}, {kind}", kind, found)
    return state


def _joined(where: str, kind: str, found: Mapping[str, Tensor]) -> Tensor:
    """Query, key and value one below the other; DINOv3 has no bias of the keys."""
    parts = dict(found)
    if kind == "bias" and "k" not in parts and "q" in parts:
        parts["k"] = torch.zeros_like(parts["q"])
    missing = [part for part in "qkv" if part not in parts]
    if missing:
        raise CheckpointError(f"{where}: has no {', '.join(f'{part}_proj' for part in missing)}")
    return torch.cat([parts[part] for part in "qkv"])


def without_classifier(state: Mapping[str, Tensor], expected: set[str]) -> dict[str, Tensor]:
    """Leaves out a classifier of the task that the weights were trained for."""
    return {
        key: value
        for key, value in state.items()
        if key in expected or key.partition(".")[0] not in ("classifier", "head", "fc")
    }


def without_unused_bias(state: Mapping[str, Tensor], expected: set[str]) -> dict[str, Tensor]:
    """Leaves out a zero bias of query, key and value where the network has none.

    Raises:
        CheckpointError: The bias is not zero: without it the network would compute other values.
    """
    if any(key.endswith((".q_bias", ".qkv.bias", ".q_proj.bias")) for key in expected):
        return dict(state)
    kept = {}
    for key, value in state.items():
        if not key.endswith((".attn.qkv.bias", ".attn.q_bias", ".attn.v_bias")):
            kept[key] = value
            continue
        # Of the joined bias the keys' part is masked, and may be anything.
        used = value.chunk(3)[::2] if key.endswith("qkv.bias") else (value,)
        if not value.is_meta and any(bool(part.any()) for part in used):
            raise CheckpointError(
                f"{key}: is not zero, and this backbone has no such bias; choose timm's variant "
                "of it that ends in _qkvb (--hp backbone=…_qkvb)"
            )
    return kept


def load_problem(error: Any) -> str:
    """What torch says about tensors that do not fit, in one short line."""
    words = []
    for line in str(error).splitlines():
        text = line.strip()
        names = re.findall(r'"([^"]+)"', text)
        if text.startswith("Missing key") and names:
            words.append(f"{len(names)} tensors are missing, such as {names[0]}")
        elif text.startswith("Unexpected key") and names:
            words.append(f"{len(names)} are of another network, such as {names[0]}")
    mismatched = re.findall(
        r"size mismatch for (\S+): .*?Size\((\[.*?\])\).*?Size\((\[.*?\])\)", str(error)
    )
    if mismatched:
        key, in_file, in_network = mismatched[0]
        words.append(
            f"{len(mismatched)} have another shape, such as {key}: {in_file}, not {in_network}"
        )
    return "; ".join(words) or _line(error)[:300]


def _line(error: object) -> str:
    return " ".join(str(error).split())
