"""What shapes tell, against networks that are really built."""

from __future__ import annotations

import pytest
import torch

from training.artifacts.weight_shapes import Shape, ShapeFacts, shape_facts
from training.models.networks import build_model, parameter_count
from training.models.torchvision_without_cuda import mend_torchvision
from training.recipe import resolve


def shapes(module: torch.nn.Module) -> dict[str, Shape]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def built(name: str, **options: int) -> dict[str, Shape]:
    mend_torchvision()
    import timm

    with torch.device("meta"):
        return shapes(timm.create_model(name, **{"num_classes": 0, **options}))


@pytest.fixture(scope="module")
def teacher() -> dict[str, Shape]:
    return shapes(build_model(resolve("tiny", "teacher", "phase2", {})))


@pytest.fixture(scope="module")
def student() -> dict[str, Shape]:
    return shapes(build_model(resolve("tiny", "student", "stage1", {})))


@pytest.mark.parametrize(("kind", "stage"), [("teacher", "phase2"), ("student", "stage1")])
def test_mistake_11_parameters_are_those_of_the_network_that_ships(kind: str, stage: str) -> None:
    model = build_model(resolve("tiny", kind, stage, {}))
    counted = shape_facts(shapes(model) | {"arcface.weight": (17592, 768)})
    assert counted.parameters == parameter_count(model)


def test_teacher_is_recognised_by_patch_width_and_depth(teacher: dict[str, Shape]) -> None:
    found = shape_facts(teacher)
    assert found.architecture == "ViT patch 8, width 64, depth 1"
    assert (found.embedding_dim, found.classes, found.normalization) == (768, None, None)


def test_student_is_recognised_by_blocks_and_statistics(student: dict[str, Shape]) -> None:
    found = shape_facts(student)
    assert (found.architecture, found.normalization) == ("efficientnet_lite0", "BatchNorm")
    assert found.embedding_dim == 768


@pytest.mark.parametrize("prefix", ["", "module.", "teacher.backbone."])
@pytest.mark.parametrize(
    ("name", "architecture", "width"),
    [
        ("vit_large_patch16_dinov3", "vit_large_patch16", 1024),
        ("vit_base_patch14_dinov2", "vit_base_patch14", 768),
        ("efficientnet_lite4", "efficientnet_lite4", 1280),
    ],
)
def test_timm_s_networks_are_known_under_any_prefix(
    name: str, architecture: str, width: int, prefix: str
) -> None:
    found = shape_facts({f"{prefix}{key}": shape for key, shape in built(name).items()})
    assert (found.architecture, found.embedding_dim) == (architecture, width)


def test_efficientnet_with_squeeze_and_excitation_is_no_lite() -> None:
    assert shape_facts(built("efficientnet_b0")).architecture is None


@pytest.mark.parametrize("classes", [{"arcface.weight": (200, 768)}, {"margin.kernel": (768, 200)}])
def test_classes_are_counted_whichever_way_the_matrix_lies(
    teacher: dict[str, Shape], classes: dict[str, Shape]
) -> None:
    assert shape_facts(teacher | classes).classes == 200


@pytest.mark.parametrize("classes", [{"arcface.weight": (200, 512)}, {"arcface.weight": (768, 768)},
                                     {"arcface.a": (9, 768), "arcface.b": (8, 768)}])  # fmt: skip
def test_shape_facts_ambiguous_classes_are_none(
    teacher: dict[str, Shape], classes: dict[str, Shape]
) -> None:
    assert shape_facts(teacher | classes).classes is None


def test_layer_that_may_be_a_classifier_hides_the_embedding() -> None:
    assert shape_facts(built("vit_base_patch14_dinov2", num_classes=768)).embedding_dim is None


def test_pooling_layer_does_not_hide_the_embedding(teacher: dict[str, Shape]) -> None:
    assert shape_facts({**teacher, "pool.dense.weight": (64, 64)}).embedding_dim == 768


def test_layers_that_could_be_of_any_normalisation_are_not_named(
    student: dict[str, Shape],
) -> None:
    assert shape_facts({**student, "last.weight": (768,)}).normalization is None


def test_shape_facts_read_hugging_face_layout() -> None:
    width = 384
    given: dict[str, Shape] = {
        "embeddings.cls_token": (1, 1, width),
        "embeddings.patch_embeddings.weight": (width, 3, 16, 16),
        **{f"layer.{at}.attention.q_proj.weight": (width, width) for at in range(12)},
        "norm.weight": (width,),
    }
    found = shape_facts(given)
    assert (found.architecture, found.embedding_dim) == ("vit_small_patch16", width)


def test_unknown_network_is_counted_and_no_more() -> None:
    assert shape_facts({"a.weight": (3, 4), "a.running_mean": (3,)}) == ShapeFacts(
        12, normalization="BatchNorm"
    )
