"""Initial weights as people have them: layouts that are read, and files that are none."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from training.checkpoint_files import CheckpointError, file_format, layout_of
from training.config import TrainingConfig
from training.environment import JobEnvironment
from training.models.checkpoint import read_checkpoint
from training.models.networks import build_model
from training.models.pretrained import WeightsError, begin

Tiny = Callable[..., TrainingConfig]
State = dict[str, Tensor]


def environment(weights: Path) -> JobEnvironment:
    return JobEnvironment.read(
        {"SM_MODEL_DIR": "/nowhere/model", "SM_CHANNEL_WEIGHTS": str(weights)}
    )


def source(config: TrainingConfig) -> Any:
    """A backbone whose every tensor is random: zeros and ones would hide a mix-up."""
    model = build_model(replace(config, seed=99)).backbone.eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def meta_layout(model: Any) -> State:
    """DINOv3 as Meta publishes it; written for this test from Meta's names."""
    state: State = {"mask_token": torch.zeros(1, model.embed_dim)}
    state["rope_embed.periods"] = torch.ones(4)
    for key, value in model.state_dict().items():
        if key.endswith((".q_bias", ".v_bias")):
            continue
        key = key.replace("reg_token", "storage_tokens")
        key = key.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
        for ours, theirs in (("fc1_g", "w1"), ("fc1_x", "w2")):
            key = key.replace(f"mlp.{ours}", f"mlp.{theirs}")
        if "mlp.fc2" in key and hasattr(model.blocks[0].mlp, "fc1_g"):
            key = key.replace("mlp.fc2", "mlp.w3")
        state[key] = value.clone()
    for number, block in enumerate(model.blocks):
        width = model.embed_dim
        bias = torch.zeros(3 * width)
        bias[width : 2 * width] = 5.0  # masked in Meta's network
        if block.attn.q_bias is not None:
            bias[:width], bias[2 * width :] = block.attn.q_bias.data, block.attn.v_bias.data
        state[f"blocks.{number}.attn.qkv.bias"] = bias
        state[f"blocks.{number}.attn.qkv.bias_mask"] = torch.ones(3 * width)
    return state


def transformers_layout(model: Any, prefix: str = "") -> State:
    """DINOv3 as transformers saves DINOv3ViTModel; written for this test module by module."""
    patch = model.patch_embed.proj
    state = {
        "embeddings.cls_token": model.cls_token,
        "embeddings.mask_token": torch.zeros(1, 1, model.embed_dim),
        "embeddings.register_tokens": model.reg_token,
        "embeddings.patch_embeddings.weight": patch.weight,
        "embeddings.patch_embeddings.bias": patch.bias,
        "norm.weight": model.norm.weight,
        "norm.bias": model.norm.bias,
    }
    width = model.embed_dim
    for number, block in enumerate(model.blocks):
        at = f"layer.{number}"
        for index, part in enumerate("qkv"):
            rows = slice(index * width, (index + 1) * width)
            state[f"{at}.attention.{part}_proj.weight"] = block.attn.qkv.weight[rows]
        if block.attn.q_bias is not None:
            state[f"{at}.attention.q_proj.bias"] = block.attn.q_bias
            state[f"{at}.attention.v_proj.bias"] = block.attn.v_bias
        else:
            state[f"{at}.attention.q_proj.bias"] = torch.zeros(width)
            state[f"{at}.attention.v_proj.bias"] = torch.zeros(width)
        gated = hasattr(block.mlp, "fc1_g")
        modules = {"attention.o_proj": block.attn.proj, "norm1": block.norm1,
                   "norm2": block.norm2, "mlp.down_proj": block.mlp.fc2,
                   "mlp.up_proj": block.mlp.fc1_x if gated else block.mlp.fc1}  # fmt: skip
        if gated:
            modules["mlp.gate_proj"] = block.mlp.fc1_g
        for name, module in modules.items():
            state |= {f"{at}.{name}.{key}": value for key, value in module.state_dict().items()}
        state[f"{at}.layer_scale1.lambda1"] = block.gamma_1
        state[f"{at}.layer_scale2.lambda1"] = block.gamma_2
    return {prefix + key: value.detach().clone().contiguous() for key, value in state.items()}


def timm_layout(model: Any) -> State:
    return {key: value.clone().contiguous() for key, value in model.state_dict().items()}


LAYOUTS = {"timm": timm_layout, "Meta": meta_layout, "transformers": transformers_layout}


@pytest.mark.parametrize("publisher", list(LAYOUTS))
@pytest.mark.parametrize(
    "backbone",
    ["vit_small_patch16_dinov3", "vit_small_patch16_dinov3_qkvb", "vit_small_plus_patch16_dinov3"],
)
def test_dinov3_of_each_publisher_computes_the_same(
    tiny: Tiny, tmp_path: Path, publisher: str, backbone: str
) -> None:
    config = tiny(backbone=backbone, layer_scale=1e-5, depth=2)
    model = source(config)
    save_file(LAYOUTS[publisher](model), tmp_path / "model.safetensors")
    loaded, _ = begin(config, environment(tmp_path))
    images = torch.randn(2, 3, config.image_size, config.image_size)
    with torch.no_grad():
        assert torch.equal(loaded.backbone.eval()(images), model(images))


@pytest.mark.parametrize("publisher", ["Meta", "transformers"])
def test_bias_that_the_backbone_lacks_is_refused(
    tiny: Tiny, tmp_path: Path, publisher: str
) -> None:
    given = tiny(backbone="vit_small_patch16_dinov3_qkvb", layer_scale=1e-5)
    save_file(LAYOUTS[publisher](source(given)), tmp_path / "model.safetensors")
    config = replace(given, backbone="vit_small_patch16_dinov3")
    with pytest.raises(WeightsError, match=r"is not zero.*_qkvb"):
        begin(config, environment(tmp_path))


@pytest.mark.parametrize("stage", ["phase2", "stage1"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"state": {}}},
        lambda state: {"teacher": {f"backbone.{key}": value for key, value in state.items()}},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"module.model.{k}": v for k, v in state.items()}},
        lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
        lambda state: state | {"head.weight": torch.ones(3, 3), "head.bias": torch.ones(3)},
        lambda state: (
            {f"backbone.{k}": v for k, v in state.items()}
            | {"projection.0.weight": torch.ones(3, 3)}
        ),
    ],
)
def test_nested_and_prefixed_checkpoints_are_read(
    tiny: Tiny, tmp_path: Path, stage: str, wrap: Callable[[State], Any]
) -> None:
    config = tiny(stage)
    state = timm_layout(source(config))
    torch.save(wrap(state), tmp_path / "weights.pth")
    model, _ = begin(config, environment(tmp_path))
    assert all(torch.equal(model.backbone.state_dict()[key], state[key]) for key in state)


def test_transformers_names_below_a_prefix_are_read(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(layer_scale=1e-5)
    model = source(config)
    torch.save(transformers_layout(model, "dinov3_vit."), tmp_path / "pytorch_model.bin")
    loaded, _ = begin(config, environment(tmp_path))
    assert torch.equal(loaded.backbone.reg_token, model.reg_token)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n <!DOCTYPE html><html>Sign in</html>", r"a web page \(HTML\).*licence"),
        (b"\xef\xbb\xbf<html lang=en>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        (b'{"error": "Repository not found"}', "JSON"),
        (b"\x1f\x8b\x08\x00rest", "an archive; unpack it"),
        (b"\x89HDF\r\n\x1a\nrest", "Keras"),
        (b"PK\x03\x04broken", "damaged or cut short"),
        (b"<!-- moved --><html>", "a web page"),
        ("<html><head>".encode("utf-16"), "a web page"),
        (b"Access to model dinov3 is restricted.", r"is text \('Access to model"),
        (b"\x08\x07\x12\x07pytorch", "neither a safetensors nor a PyTorch file"),
        (bytes(5000), "neither a safetensors nor a PyTorch file"),
        (b"\x80\x02\x8a", "cannot be read as weights alone|damaged"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_file_that_is_no_checkpoint_is_named(
    tiny: Tiny, tmp_path: Path, content: bytes, words: str, suffix: str
) -> None:
    (tmp_path / f"dinov3{suffix}").write_bytes(content)
    with pytest.raises(WeightsError, match=words) as refusal:
        begin(tiny(), environment(tmp_path))
    text = str(refusal.value)
    assert f"dinov3{suffix}" in text and "\n" not in text and len(text) < 300


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_download_that_was_cut_short_is_named(tiny: Tiny, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"dinov3{suffix}"
    state = timm_layout(source(tiny()))
    torch.save(state, file) if suffix == ".pth" else save_file(state, file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(WeightsError, match="cut short"):
        begin(tiny(), environment(tmp_path))


def test_content_and_not_the_ending_decides(tiny: Tiny, tmp_path: Path) -> None:
    state = timm_layout(source(tiny()))
    save_file(state, tmp_path / "weights.pth")
    first, _ = begin(tiny(), environment(tmp_path))
    (tmp_path / "weights.pth").unlink()
    torch.save(state, tmp_path / "weights.pt")
    (tmp_path / "weights.pt").rename(tmp_path / "weights.safetensors")
    second, _ = begin(tiny(), environment(tmp_path))
    of_second = second.backbone.state_dict()
    for name, values in first.backbone.state_dict().items():
        assert torch.equal(values, of_second[name]), name


def test_refusal_of_a_pickle_gives_no_advice_to_load_it_anyway(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps({"a": {1, 2}}, protocol=4))
    with pytest.raises(CheckpointError, match=r"\(Unsupported operand") as refusal:
        read_checkpoint(file)
    assert "weights_only" not in str(refusal.value)


def test_another_object_in_a_checkpoint_is_named_and_not_made(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"model": {"a": torch.ones(1)}, "args": argparse.Namespace(lr=1)}, file)
    with pytest.raises(CheckpointError, match=r"argparse\.Namespace.*state dictionary alone"):
        read_checkpoint(file)


def test_compressed_checkpoint_is_refused_before_it_is_unpacked(tiny: Tiny, tmp_path: Path) -> None:
    whole, packed = tmp_path / "whole.pth", tmp_path / "weights.pth"
    torch.save({"weight": torch.zeros(4 * 1024**2)}, whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    whole.unlink()
    assert packed.stat().st_size < 64 * 1024
    with pytest.raises(CheckpointError, match="has compressed members"):
        read_checkpoint(packed)


class Payload:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("legacy", [False, True])
def test_no_code_of_a_checkpoint_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "weights.pth"
    torch.save({"model": Payload()}, file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="could run code"):
        read_checkpoint(file)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (("vit.embeddings.patch_embeddings.projection.weight",), "transformers' ViT or DINOv2"),
        (("efficientnet.embeddings.convolution.weight",), "transformers' EfficientNet"),
        (("features.0.0.weight",), "torchvision's"),
        (("some.weight",), "unknown"),
    ],
)
def test_layout_that_is_not_read_is_named(
    tiny: Tiny, tmp_path: Path, names: tuple[str, ...], layout: str
) -> None:
    assert layout_of(names) == layout
    save_file({name: torch.ones(2) for name in names}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=f"{layout}.*as timm publishes it"):
        begin(tiny(), environment(tmp_path))


def test_student_whose_names_are_missing_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    # timm would leave them random: its published network has another number of classes.
    config = tiny("stage1")
    state = timm_layout(source(config))
    save_file({"conv_stem.weight": state["conv_stem.weight"]}, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match=r"does not fit.*tensors are missing, such as") as why:
        begin(config, environment(tmp_path))
    assert len(str(why.value)) < 300


def test_two_backbones_in_one_file_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    state = timm_layout(source(tiny()))
    both = {f"{who}.{key}": value for key, value in state.items() for who in ("a", "b")}
    torch.save(both, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="several backbones"):
        begin(tiny(), environment(tmp_path))


def test_one_part_of_several_is_named() -> None:
    with pytest.raises(CheckpointError, match="one part of several"):
        file_format("model-00001-of-00006.safetensors", b"x" * 20, 20)
