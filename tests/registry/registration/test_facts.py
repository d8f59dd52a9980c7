"""What several sources say of one model, settled."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.names import STUDENT, TEACHER, check_line
from registry.registration.facts import (
    ContradictionError,
    Fact,
    line_word,
    merge_facts,
    metric_facts,
    of_kind,
    own_metrics,
    setting_facts,
)
from registry.versions.metadata_schema import SCHEMAS

SCHEMA = SCHEMAS[STUDENT, "stage1"]


def one(key: str, *values: str) -> list[Fact]:
    return [Fact(key, value, f"source {number}") for number, value in enumerate(values)]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("EmbeddingDim", ("768", "768")),
        ("Top1", ("0.968", "0.96812")),
        ("Normalization", ("BatchNorm", "batchnorm")),
        ("Architecture", ("vit_large_patch16_dinov3", "DINOv3-ViT-L/16", "vit_large_patch16")),
        ("Architecture", ("efficientnet_lite0", "EfficientNet-Lite0")),
        ("Architecture", ("vit_small_patch16_dinov3 (patch 16)", "dinov3 vits16")),
        ("TeacherModel", ("dinov3-vitl16", "dinov3_vitl16")),
    ],
)
def test_first_of_agreeing_values_is_kept(key: str, values: tuple[str, ...]) -> None:
    settled = merge_facts(one(key, *values), SCHEMA).metadata
    assert settled[key].split() == values[0].replace("(", " ").replace(")", " ").split()


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("EmbeddingDim", ("768", "1024")),
        ("Parameters", ("7000000000", "7000000001")),
        ("Top1", ("0.968", "0.9")),
        ("Normalization", ("BatchNorm", "LayerNorm")),
        ("Architecture", ("vit_large_patch16_dinov3", "vit_base_patch16")),
        ("Architecture", ("DINOv3-ViT-L/16", "vit_large_patch14")),
        ("Architecture", ("DINOv2 ViT-L/16", "vit_large_patch16_dinov3")),
        ("Architecture", ("vit_large_patch16", "ViT patch 8, width 64, depth 1")),
        ("Architecture", ("efficientnet_lite0", "efficientnet_lite1")),
        ("Architecture", ("efficientnet_lite0", "vit_large_patch16")),
    ],
)
def test_mistake_12_contradictory_sources_are_both_named(key: str, values: tuple[str, ...]) -> None:
    with pytest.raises(ContradictionError) as refused:
        merge_facts(one(key, *values), SCHEMA)
    for number, value in enumerate(values):
        assert f"{value} by source {number}" in str(refused.value)


def test_every_contradiction_is_named_at_once() -> None:
    with pytest.raises(ContradictionError, match=r"EmbeddingDim.*;.*Seed|Seed.*;.*EmbeddingDim"):
        merge_facts(one("EmbeddingDim", "1", "2") + one("Seed", "3", "4"), SCHEMA)


def test_absent_values_are_missing_and_malformed_ones_unusable() -> None:
    merged = merge_facts([Fact("Top1", "96.8", "the job's metric top1_acc")], SCHEMA)
    assert "Top1" in merged.missing and "Top1" not in merged.metadata
    assert set(merged.missing) == {key for key, field in SCHEMA.items() if field.required}
    assert merged.unusable == {
        "Top1": "the job's metric top1_acc says '96.8', not a number from 0 to 1 "
        "(it may be in per cent)"
    }


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20) | st.integers() | st.floats()))
def test_only_known_settings_become_facts(settings: dict[str, object]) -> None:
    merged = merge_facts(setting_facts(settings, "hyper-parameter"), SCHEMA)
    assert set(merged.metadata) <= set(SCHEMA)
    assert all(value for value in merged.metadata.values())


@pytest.mark.parametrize("spelled", ["embedding_dim", "embedding-dim", "Embedding.Dim"])
@pytest.mark.parametrize("value", [768, "768", json.dumps("768")])
def test_settings_are_read_as_the_sdk_sends_them(spelled: str, value: object) -> None:
    (fact,) = setting_facts({spelled: value}, "hyper-parameter")
    assert (fact.key, fact.value) == ("EmbeddingDim", "768")
    assert fact.source == f"hyper-parameter {spelled}"


def test_width_of_a_vit_is_not_the_embedding_length() -> None:
    assert setting_facts({"embed_dim": 1024, "width": 1024}, "hyper-parameter") == []


def test_validation_metric_is_not_a_test_metric() -> None:
    metrics = own_metrics({"val_top1": 0.9, "train_top1": 0.99, "top1_acc": 0.8, "loss": 0.1})
    assert metrics == {"validation_top1": 0.9, "train_top1": 0.99, "top1": 0.8, "loss": 0.1}
    keys = merge_facts(metric_facts(metrics, "metric"), SCHEMA).metadata
    assert keys == {"ValidationTop1": "0.9", "Top1": "0.8"}


def test_metrics_without_finite_value_are_left_out() -> None:
    assert own_metrics({"a": float("nan"), "b": float("inf"), "c": True, "d": "1"}) == {}


@pytest.mark.parametrize(
    ("architecture", "word"),
    [
        ("vit_large_patch16_dinov3", "dinov3-vitl16"),
        ("vit_large_patch16_dinov3.lvd1689m", "dinov3-vitl16"),
        ("DINOv3-ViT-L/16", "dinov3-vitl16"),
        ("facebook/dinov3-vitl16-pretrain-lvd1689m", "dinov3-vitl16"),
        ("vit_base_patch16_224", "vitb16"),
        ("efficientnet_lite0", "efficientnet-lite0"),
        ("resnet50", None),
        ("ViT patch 8, width 64, depth 1", None),
    ],
)
def test_architecture_becomes_the_part_of_the_name_or_none(
    architecture: str, word: str | None
) -> None:
    assert line_word(architecture) == word


@given(st.text(max_size=60))
def test_value_made_by_a_rule_is_valid_in_a_name(text: str) -> None:
    word = line_word(text)
    if word and len(word) <= 21:
        check_line(TEACHER, word, "phase2")


def test_model_kind_describes_its_purpose() -> None:
    for kind in (TEACHER, STUDENT):
        assert of_kind(kind)["ModelType"] == kind
        assert set(of_kind(kind)) == {"ModelType", "Purpose", "InferenceTarget"}
