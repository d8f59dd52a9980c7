"""EfficientNet-Lite's published weights in timm's network compute the same."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from recognition.card_sets.scan import stretch
from recognition.sample_cards.drawing import draw_card
from training.models.checkpoint import read_checkpoint
from training.models.lite_names import lite_in_timm_names
from training.models.torchvision_without_cuda import mend_torchvision
from training.published_weights import PUBLISHED


class SamePadding(nn.Conv2d):
    """TensorFlow's 'same': what is odd goes to the right and below."""

    def forward(self, values: Tensor) -> Tensor:
        sides = []
        for size, kernel, stride in zip(
            reversed(values.shape[2:]),
            reversed(self.kernel_size),
            reversed(self.stride),
            strict=True,
        ):
            missing = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
            sides += [missing // 2, missing - missing // 2]
        return functional.conv2d(
            functional.pad(values, sides), self.weight, self.bias, self.stride, groups=self.groups
        )


class Reference(nn.Module):
    """The published network, written down from its tensors' names and its paper's table alone.

    Kernel sizes and channels are those of the tensors; the strides are EfficientNet's: 2 in the
    stem and where stages 2, 3, 4 and 6 begin (Tan and Le 2019, table 1).
    """

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.state = state
        self.eval()

    def convolve(self, values: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        groups = len(weight) if weight.shape[1] == 1 else 1
        layer = SamePadding(
            weight.shape[1] * groups,
            len(weight),
            weight.shape[2],
            stride,
            groups=groups,
            bias=False,
        )
        layer.weight.data = weight
        return layer(values)

    def norm(self, values: Tensor, name: str) -> Tensor:
        mean, variance = (self.state[f"{name}.running_{each}"] for each in ("mean", "var"))
        weight, bias = (self.state[f"{name}.{each}"] for each in ("weight", "bias"))
        return functional.batch_norm(values, mean, variance, weight, bias, eps=1e-3)

    def forward(self, images: Tensor) -> Tensor:
        act = functional.relu6
        values = act(self.norm(self.convolve(images, "_conv_stem", 2), "_bn0"))
        widths: list[int] = []
        number = 0
        while f"_blocks.{number}._project_conv.weight" in self.state:
            block = f"_blocks.{number}"
            width = len(self.state[f"{block}._project_conv.weight"])
            begins = not widths or width != widths[-1]
            widths += [width] if begins else []
            stride = 2 if begins and len(widths) in (2, 3, 4, 6) else 1
            before = values
            if f"{block}._expand_conv.weight" in self.state:
                values = act(
                    self.norm(self.convolve(values, f"{block}._expand_conv"), f"{block}._bn0")
                )
            values = self.convolve(values, f"{block}._depthwise_conv", stride)
            values = act(self.norm(values, f"{block}._bn1"))
            values = self.norm(self.convolve(values, f"{block}._project_conv"), f"{block}._bn2")
            if not begins:
                values = values + before
            number += 1
        values = act(self.norm(self.convolve(values, "_conv_head"), "_bn1"))
        return functional.linear(
            values.mean((2, 3)), self.state["_fc.weight"], self.state["_fc.bias"]
        )


def card_images(size: int) -> Tensor:
    """Drawn cards, normalised as the published networks expect it."""
    cards = [stretch(draw_card(number, height=240), size) for number in range(4)]
    pixels = torch.stack([torch.from_numpy(card) for card in cards]).permute(0, 3, 1, 2)
    return (pixels.float() - 127) / 128


def timm_network(name: str, padding: str) -> Any:
    mend_torchvision()
    import timm

    network = timm.create_model(name, pad_type=padding)
    network.load_state_dict(read_checkpoint(PUBLISHED[name].path()).state, strict=True)
    return network.eval()


@pytest.mark.parametrize("name", PUBLISHED)
@torch.no_grad()
def test_published_weights_compute_the_same_in_timm_s_network(name: str) -> None:
    state = torch.load(PUBLISHED[name].path(), map_location="cpu", weights_only=True)
    images = card_images(128)
    expected = Reference(state)(images)
    found = timm_network(name, "same")(images)
    assert expected.std() > 0.3
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_even_padding_changes_the_published_features_a_little() -> None:
    images = card_images(112)
    same, even = (
        functional.normalize(
            network.forward_head(network.forward_features(images), pre_logits=True)
        )
        for network in (timm_network("efficientnet_lite0", pad) for pad in ("same", ""))
    )
    cosines = (same * even).sum(1)
    assert cosines.min() > 0.6 and cosines.max() < 0.99


def test_tensors_of_no_known_name_keep_their_own() -> None:
    state = {"_blocks.0._squeeze.weight": torch.zeros(1), "other": torch.zeros(1)}
    assert set(lite_in_timm_names(state)) == set(state)
