"""The table of networks: every entry is one that timm builds and that its own weights show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from registry.names import STUDENT, TEACHER
from training.architectures import (
    STUDENTS,
    VitShape,
    convolution_gflop,
    is_backbone,
    vit_shape,
)
from training.artifacts.weight_shapes import shape_facts
from training.config import ConfigError
from training.models.torchvision_without_cuda import mend_torchvision
from training.recipe import resolve
from training.submission.estimate import estimate
from training.submission.training_plan import Compute

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", STUDENTS)
def test_student_entry_is_accepted_estimated_and_recognised(name: str) -> None:
    config = resolve("full", STUDENT, "stage1", {"backbone": name})
    teacher = resolve("full", TEACHER, "phase2", {})
    found = estimate(config, Compute("ml.g5.xlarge"), 1000, teacher=teacher)
    assert found.seconds is not None
    mend_torchvision()
    import timm

    with torch.device("meta"):
        network = timm.create_model(name)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shape_facts(shapes).architecture == name


@pytest.mark.parametrize(
    ("model_type", "name", "expected"),
    [
        (STUDENT, "efficientnet_lite0", True),
        (STUDENT, "efficientnet_lite5", False),
        (STUDENT, "vit_small_patch16_dinov3", False),
        (TEACHER, "vit_small_patch16_dinov3", True),
        (TEACHER, "vit_giant_patch14", True),
        (TEACHER, "vit_", False),
        (TEACHER, "resnet50", True),
        (TEACHER, "efficientnet_lite2", True),
        (TEACHER, "convnext_tiny.dinov3_lvd1689m", True),
        (TEACHER, "../convnext", False),
        ("other", "vit_small", False),
    ],
)
def test_backbone_of_a_model_type(model_type: str, name: str, expected: bool) -> None:
    assert is_backbone(model_type, name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_large_patch16_dinov3", VitShape(16, 24, 1024)),
        ("vit_base_patch14_dinov2", VitShape(14, 12, 768)),
        ("vit_tiny", VitShape(16, 12, 192)),
        ("vit_small_patch" + "9" * 5000, VitShape(16, 12, 384)),
        ("vit_giant_patch14", None),
        ("vit_small_patch16_dinov3.lvd1689m", VitShape(16, 12, 384)),
        ("resnet50", None),
    ],
)
def test_vit_shape_by_name(name: str, expected: VitShape | None) -> None:
    assert vit_shape(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("efficientnet_lite2", 1.73),
        ("convnext_tiny.dinov3_lvd1689m", 8.9),
        ("convnext_large", 68.8),
        ("convnext_femto", None),
        ("vit_small_patch16_dinov3", None),
    ],
)
def test_operations_of_a_convolution_network(name: str, expected: float | None) -> None:
    assert convolution_gflop(name) == expected


@pytest.mark.parametrize("name", ["efficientnet_lite2", "convnext_base.dinov3_lvd1689m"])
def test_teacher_of_convolutions_is_estimated(name: str) -> None:
    shape = {"backbone": name, "trainable_blocks": 0, "steps": 100}
    teacher = resolve("full", TEACHER, "phase2", shape)
    assert estimate(teacher, Compute("ml.g5.xlarge"), 1000).seconds
    student = resolve("full", STUDENT, "stage1", {})
    assert estimate(student, Compute("ml.g5.xlarge"), 1000, teacher=teacher).seconds


def test_shape_of_a_vit_is_refused_for_another_network() -> None:
    with pytest.raises(ConfigError, match="depth: is for ViTs; convnext_tiny"):
        resolve("full", TEACHER, "phase2", {"backbone": "convnext_tiny", "depth": 3})


def test_unknown_student_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="a student efficientnet_lite0, efficientnet_lite1"):
        resolve("tiny", STUDENT, "stage1", {"backbone": "resnet50"})


@pytest.mark.processes
def test_table_is_read_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import training.architectures"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
