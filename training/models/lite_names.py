"""EfficientNet-Lite's tensors by timm's names, from those of ``efficientnet_lite_pytorch``.

Both number their blocks; timm by stage and place, the package through. A stage is what gives one
number of channels, so the weights themselves tell where the next one begins.

The networks differ in three things that no tensor holds. BatchNorm adds .001 to a variance in the
package and .00001 in timm's ``efficientnet_lite0``: the rest is added to the variances here. The
package pads as TensorFlow does, to the right and below first where the stride is 2, and timm
evenly; and the weights were trained on pixels normalised by (x - 127) / 128.
``docs/recognition.md`` has what these two cost. With the same padding and normalisation the
networks compute the same (``tests/training/models/test_lite_names.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_THEIR_EPSILON, _OUR_EPSILON = 1e-3, 1e-5
_BLOCK = re.compile(r"_blocks\.(?P<number>\d+)\.(?P<layer>_\w+?)\.(?P<rest>.+)")
_BESIDE = {
    "_conv_stem.": "conv_stem.",
    "_bn0.": "bn1.",
    "_conv_head.": "conv_head.",
    "_bn1.": "bn2.",
    "_fc.": "classifier.",
}
#: A block that expands its channels first, and one that does not.
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}


def lite_in_timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames; a tensor of no known name keeps its own, and the network then refuses it."""
    places = _places(state)
    rest = _THEIR_EPSILON - _OUR_EPSILON
    return {
        _renamed(name, places, state): value + rest if name.endswith(".running_var") else value
        for name, value in state.items()
    }


def _renamed(name: str, places: Mapping[int, str], state: Mapping[str, Tensor]) -> str:
    found = _BLOCK.fullmatch(name)
    if found is None:
        for published, timm_name in _BESIDE.items():
            if name.startswith(published):
                return timm_name + name.removeprefix(published)
        return name
    number = int(found["number"])
    expands = f"_blocks.{number}._expand_conv.weight" in state
    layer = (_EXPANDING if expands else _PLAIN).get(found["layer"])
    if layer is None or number not in places:
        return name
    return f"blocks.{places[number]}.{layer}.{found['rest']}"


def _places(state: Mapping[str, Tensor]) -> dict[int, str]:
    """``stage.place`` of each block by its number."""
    widths = {
        int(found["number"]): value.shape[0]
        for name, value in state.items()
        if (found := _BLOCK.fullmatch(name)) and found["layer"] == "_project_conv"
    }
    places: dict[int, str] = {}
    stage, place, before = -1, 0, 0
    for number, width in sorted(widths.items()):
        stage, place = (stage, place + 1) if width == before else (stage + 1, 0)
        places[number], before = f"{stage}.{place}", width
    return places
