import re
from pathlib import Path

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.names import STAGES
from registry.untrusted.text import shortened
from registry.versions.metadata import (
    PAIR_LIMIT,
    VALUE_LIMIT,
    MetadataError,
    check,
    faults,
    metric_key,
    metric_value,
    plain,
    template,
    template_text,
)
from registry.versions.metadata_schema import SCHEMAS

STUDENT = {
    "Architecture": "efficientnet_lite0",
    "Parameters": "4354816",
    "EmbeddingDim": "768",
    "NumClasses": "180",
    "ModelType": "student",
    "Stage": "stage1",
    "TeacherModel": "teacher-vit-micro-phase2-v1",
    "BestSimilarity": "0.9234",
    "HailoCompatible": "true",
    "Normalization": "BatchNorm",
    "Purpose": "edge_deployment_hailo8l",
    "InferenceTarget": "raspberry-pi-hailo8l",
    "TrainingApproach": "distillation",
    "Top1": "0.9",
}


def test_every_stage_of_a_name_has_a_schema() -> None:
    assert set(SCHEMAS) == {(kind, stage) for kind, stages in STAGES.items() for stage in stages}


def test_complete_metadata_is_accepted_with_unknown_keys() -> None:
    assert check("student", "stage1", {**STUDENT, "FromAnOlderVersion": "x"}) == {
        **STUDENT,
        "FromAnOlderVersion": "x",
    }


def test_every_fault_is_named_at_once() -> None:
    broken = {**STUDENT, "Parameters": "4.7M", "Stage": "stage2", "HailoCompatible": "yes"}
    del broken["TeacherModel"]
    with pytest.raises(MetadataError) as error:
        check("student", "stage1", broken)
    for word in ("Parameters", "Stage", "HailoCompatible", "TeacherModel"):
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("Note", "x" * (VALUE_LIMIT + 1), "256"),
        ("Note", "", "1 to 256"),
        ("bad\nkey", "x", "characters"),
        ("k" * 129, "x", "characters"),
        ("BestSimilarity", "nan", "number"),
        ("BestSimilarity", "1.5", "number"),
        ("Parameters", "0", "whole number"),
        ("ModelType", "teacher", "contradicts"),
    ],
)
def test_value_refused_by_sagemaker_or_the_schema_is_refused(
    key: str, value: str, fault: str
) -> None:
    assert any(fault in found for found in faults("student", "stage1", {**STUDENT, key: value}))


def test_more_pairs_than_sagemaker_accepts_are_refused() -> None:
    many = {**STUDENT, **{f"Key{i}": "x" for i in range(PAIR_LIMIT)}}
    assert any("SageMaker takes 50" in fault for fault in faults("student", "stage1", many))


def test_metric_keys() -> None:
    assert metric_key("top1") == "Top1"
    assert metric_key("top1_unseen") == "Top1Unseen"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_metric_values_fit_and_are_close(value: float) -> None:
    text = metric_value(value)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-5)


@given(st.text(max_size=600), st.integers(1, 300))
def test_shortened_text_fits(text: str, limit: int) -> None:
    assert len(shortened(text, limit)) <= limit
    assert text == shortened(text, 600)


def test_committed_template_is_the_schema_s() -> None:
    committed = Path(__file__).resolve().parents[3] / "config/model_metadata_template.json"
    assert committed.read_text(encoding="utf-8") == template_text()


def test_every_example_of_the_schema_has_its_form() -> None:
    for kind, keys in template()["kinds"].items():
        model_type, _, stage = kind.partition(" ")
        example = {key: plain(field["example"]) for key, field in keys.items()}
        if kind == "index with added cards":
            model_type, stage = "student", "stage1"
            example |= STUDENT
        if kind == "failed run":
            model_type, stage = "student", "stage1"
            example["Stage"] = stage
        assert faults(model_type, stage, example) == [], kind


@pytest.mark.parametrize("text", ["a (b; c), 25% …", "line\nbreak", "", "\x00", "x" * 300])
def test_plain_text_is_what_sagemaker_takes(text: str) -> None:
    taken = value_pattern().fullmatch(shortened(plain(text)))
    assert taken is not None


@given(st.text(max_size=400))
def test_any_text_becomes_a_value_that_sagemaker_takes(text: str) -> None:
    value = shortened(plain(text))
    assert not [
        fault
        for fault in faults("student", "stage1", {**STUDENT, "Note": value})
        if "Note" in fault
    ]


def value_pattern() -> re.Pattern[str]:
    """The service model's own pattern for a value, less the length behind its end."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    pattern = model.shape_for("CustomerMetadataValue").metadata["pattern"].partition("$")[0]
    for java, python in ((r"\p{L}", "a-zA-Z"), (r"\p{Z}", " "), (r"\p{N}", "0-9")):
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def test_value_that_sagemaker_refuses_is_named() -> None:
    found = faults("student", "stage1", {**STUDENT, "Note": "a, b"})
    assert found == ["Note holds ',', which SageMaker does not take there"]
