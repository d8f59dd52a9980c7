"""What a version must show before it may be approved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.intervals import wilson_interval
from registry.names import STAGES, ModelName, parse_name
from registry.versions.metadata import VALUE_LIMIT
from registry.versions.validation import current_validation, validate

MEASURED = {"Queries": "300", "Top1": "0.8", "NumClasses": "32"}
KINDS: dict[str, dict[str, str]] = {
    "teacher-x-phase2-v1": MEASURED,
    "student-x-stage1-v1": {**MEASURED, "BestSimilarity": "0.9", "HailoCompatible": "true"},
    "student-x-stage2-v1": {**MEASURED, "BestSimilarity": "0.9", "HailoCompatible": "true"},
    "student-x-onnx-v1": {"Queries": "300", "Top1": "0.8", "Cards": "32", "FidelityGate": "passed"},
    "student-x-int8-v1": {"Queries": "300", "Top1": "0.8", "Cards": "32", "FidelityGate": "passed"},
}
names = st.builds(
    lambda line, version: ModelName(line[0], "x", line[1], version),
    st.sampled_from([(kind, stage) for kind, stages in STAGES.items() for stage in stages]),
    st.integers(1, 9),
)


@pytest.mark.parametrize("name", KINDS)
def test_version_with_all_metrics_passes(name: str) -> None:
    validation = validate(parse_name(name), KINDS[name])
    assert validation.passed and not validation.faults
    assert validation.metadata() == {"Validation": "passed"}


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, metadata in KINDS.items() for key in metadata]
)
def test_version_without_one_metric_fails(name: str, key: str) -> None:
    metadata = {k: v for k, v in KINDS[name].items() if k != key}
    validation = validate(parse_name(name), metadata)
    assert not validation.passed
    words = {"FidelityGate": "fidelity gate", "Cards": "NumClasses"}
    assert words.get(key, key) in " ".join(validation.faults)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"Top1": "nan"}, "Top1 is missing"),
        ({"Top1": "1.5"}, "Top1 is missing"),
        ({"Top1": "inf"}, "Top1 is missing"),
        ({"Top1": "ninety"}, "Top1 is missing"),
        ({"Queries": "0"}, "Queries is missing"),
        ({"Queries": "-5"}, "Queries is missing"),
        ({"NumClasses": "1"}, "chance is not known"),
        ({"HailoCompatible": "false"}, "HailoCompatible is not true"),
        ({"HailoCompatible": "True"}, "HailoCompatible is not true"),
        ({"BestSimilarity": "nan"}, "BestSimilarity is missing"),
        ({"FailureReason": "out of memory"}, "its training run failed: out of memory"),
        ({"CompileFailure": "fidelity gate failed"}, "its compilation failed: fidelity gate"),
        ({"Top1": "0.03"}, "not above chance (0.031)"),
    ],
)
def test_metric_without_a_usable_value_is_a_fault(changes: dict[str, str], fault: str) -> None:
    metadata = {**KINDS["student-x-stage2-v1"], **changes}
    validation = validate(parse_name("student-x-stage2-v1"), metadata)
    assert not validation.passed
    assert len(validation.faults) == 1
    assert fault in validation.faults[0]


def test_failed_gate_differs_from_missing_gate() -> None:
    name = parse_name("student-x-int8-v1")
    assert validate(name, {**KINDS[str(name)], "FidelityGate": "failed"}).faults == (
        "its fidelity gate failed",
    )


def test_few_views_cannot_show_that_a_model_is_better_than_chance() -> None:
    # 2 of 4 at two classes is a coin's work, 200 of 400 at 32 classes is not.
    name = parse_name("teacher-x-phase2-v1")
    assert not validate(name, {"Queries": "4", "Top1": "0.5", "NumClasses": "2"}).passed
    assert validate(name, {"Queries": "400", "Top1": "0.5", "NumClasses": "32"}).passed


@given(st.integers(1, 5000), st.integers(2, 20_000), st.data())
def test_passing_version_is_above_chance_by_the_lower_end_of_its_interval(
    queries: int, classes: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, queries))
    metadata = {"Queries": str(queries), "Top1": repr(hits / queries), "NumClasses": str(classes)}
    passed = validate(parse_name("teacher-x-phase2-v1"), metadata).passed
    assert passed == (wilson_interval(hits, queries)[0] > 1 / classes)


@given(names, st.dictionaries(st.sampled_from(sorted({k for m in KINDS.values() for k in m})),
                              st.text(max_size=300)))  # fmt: skip
def test_any_metadata_gets_a_verdict_that_sagemaker_can_keep(
    name: ModelName, metadata: dict[str, str]
) -> None:
    validation = validate(name, metadata)
    assert validation.passed == (not validation.faults)
    assert all(1 <= len(value) <= VALUE_LIMIT for value in validation.metadata().values())


def test_current_validation_includes_later_failures() -> None:
    name, metadata = parse_name("student-x-stage2-v1"), KINDS["student-x-stage2-v1"]
    assert current_validation(name, metadata).faults == ("no validation is recorded",)
    assert current_validation(name, {**metadata, "Validation": "passed"}).passed
    failed = {**metadata, "Validation": "failed", "ValidationFaults": "Top1 is not above chance"}
    assert current_validation(name, failed).faults == ("Top1 is not above chance",)
    later = {**metadata, "Validation": "passed", "CompileFailure": "the gate failed"}
    assert current_validation(name, later).faults == ("its compilation failed: the gate failed",)
    assert current_validation(name, {"FailureReason": "stopped"}).faults == (
        "its training run failed: stopped",
    )
    # Nobody talks a failed run into a passed one by editing its metadata.
    assert not current_validation(name, {"Validation": "passed", "FailureReason": "stopped"}).passed
