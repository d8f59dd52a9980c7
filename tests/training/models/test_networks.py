from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from training.config import ConfigError, TrainingConfig
from training.models.networks import Student, Teacher, build_model, parameter_count

Tiny = Callable[..., TrainingConfig]


def test_shapes_and_no_normalisation_inside(tiny: Tiny) -> None:
    for stage, kind in (("phase2", Teacher), ("stage1", Student)):
        model = build_model(tiny(stage)).eval()
        assert isinstance(model, kind)
        with torch.no_grad():
            embeddings = model(torch.randn(3, 3, 32, 32))
        assert embeddings.shape == (3, 768)
        assert (embeddings.norm(dim=1) - 1).abs().min() > 0.01


def test_parameter_count_is_without_the_classifier(tiny: Tiny) -> None:
    student = build_model(tiny("stage1"))
    # EfficientNet-Lite0 without its classifier has 3,371,008; not the classifier's 4.7 million.
    assert parameter_count(student) == 3_371_008 + 1280 * 768 + 2 * 768
    assert not any(isinstance(m, nn.LayerNorm | nn.GELU | nn.SiLU) for m in student.modules())


def test_teacher_is_of_the_same_kind_as_the_guides(tiny: Tiny) -> None:
    backbone = build_model(tiny()).backbone
    assert backbone.reg_token.shape[1] == 4 and backbone.cls_token.shape[1] == 1
    assert backbone.rope is not None and backbone.pos_embed is None
    assert backbone.global_pool == "token"


def test_weights_follow_from_the_seed_and_leave_the_generator_alone(tiny: Tiny) -> None:
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    one, two, other = (build_model(tiny(seed=seed)) for seed in (4, 4, 5))
    assert torch.equal(torch.rand(1), expected)
    states = [model.state_dict() for model in (one, two, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_only_the_last_blocks_are_trained(tiny: Tiny) -> None:
    model = build_model(tiny(depth=3, trainable_blocks=1))
    chosen = {id(p) for p in model.trainable_backbone_parameters()}
    names = {name for name, p in model.backbone.named_parameters() if id(p) in chosen}
    assert names and all(name.startswith(("blocks.2.", "norm.")) for name in names)


@pytest.mark.parametrize("stage", ["phase2", "stage1"])
def test_first_stages_of_a_convolution_network_stay_as_they_began(tiny: Tiny, stage: str) -> None:
    settings = {"backbone": "efficientnet_lite0", "layer_scale": 0, "patch_size": 0, "depth": 0}
    given = settings | {"width": 0, "heads": 0} if stage == "phase2" else {}
    model = build_model(tiny(stage, trainable_blocks=5, **given)).train()
    chosen = {id(p) for p in model.trainable_backbone_parameters()}
    kept = {name for name, p in model.backbone.named_parameters() if id(p) not in chosen}
    assert kept and all(
        name.startswith(("conv_stem.", "bn1.", "blocks.0.", "blocks.1.")) for name in kept
    )
    # Their BatchNorm keeps its statistics; the rest measures its own.
    assert not model.backbone.bn1.training and not model.backbone.blocks[1][0].bn1.training
    assert model.backbone.blocks[2][0].bn1.training and model.backbone.bn2.training
    assert not model.eval().backbone.bn2.training


def test_more_trainable_blocks_than_there_are_is_refused(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match="trainable_blocks 8: efficientnet_lite0 has 7 blocks"):
        build_model(tiny("stage1", trainable_blocks=8))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "convnext_atto", "resnet18"])
def test_teacher_of_another_family_gives_an_embedding_and_a_map(tiny: Tiny, name: str) -> None:
    own = {"layer_scale": 0, "patch_size": 0, "depth": 0, "width": 0, "heads": 0}
    model = build_model(tiny(backbone=name, projection_width=0, **own)).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        embeddings, maps = model.forward_with_map(images)
        assert torch.allclose(embeddings, model(images), atol=1e-5)
    assert embeddings.shape == (2, 768) and maps.shape[:2] == (2, model.map_channels)


def test_unknown_backbone_is_named(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"this timm .* has none"):
        build_model(tiny(backbone="vit_nonexistent"))


def test_backbone_that_cannot_be_built_is_named(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_model(tiny())  # timm is imported by now
    import timm

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no weights in the hub")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(ConfigError, match=r"cannot be built with .* no weights in the hub"):
        build_model(tiny())
