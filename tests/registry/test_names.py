import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.names import (
    ARCHITECTURE_LIMIT,
    JOB_NAME_LIMIT,
    STAGES,
    VERSION_LIMIT,
    ModelName,
    ModelNameError,
    compile_job_name,
    in_group_of,
    name_in_description,
    package_version,
    parse_name,
)

words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
architectures = (
    st.lists(words, min_size=1, max_size=3)
    .map("-".join)
    .filter(lambda text: len(text) <= ARCHITECTURE_LIMIT)
)


@st.composite
def names(draw: st.DrawFn) -> ModelName:
    model_type = draw(st.sampled_from(sorted(STAGES)))
    stage = draw(st.sampled_from(STAGES[model_type]))
    return ModelName(model_type, draw(architectures), stage, draw(st.integers(1, VERSION_LIMIT)))


@given(names())
def test_parse_and_format_are_inverse(name: ModelName) -> None:
    assert parse_name(str(name)) == name


@given(st.text(max_size=60))
def test_accepted_text_is_formatted_unchanged(text: str) -> None:
    try:
        name = parse_name(text)
    except ModelNameError:
        return
    assert str(name) == text


@pytest.mark.parametrize(
    "name",
    [
        "teacher-dinov3-vitl16-phase2-v1",
        "student-efficientnet-lite0-stage1-v1",
        "student-efficientnet-lite0-stage2-v1",
        "student-efficientnet-lite0-onnx-v1",
        "student-efficientnet-lite0-hailo8l-v1",
    ],
)
def test_names_of_the_guide_are_accepted(name: str) -> None:
    assert str(parse_name(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "student",
        "student-stage2-v1",
        "teacher-dinov3-vitl16-stage1-v1",
        "student-efficientnet-lite0-stage2-v0",
        "student-efficientnet-lite0-stage2-v01",
        "student-efficientnet-lite0-stage2-v1\n",
        "Student-efficientnet-lite0-stage2-v1",
        "student-efficientnet_lite0-stage2-v1",
        "student--stage2-v1",
        "student-efficientnet-lite0-stage2-v\u0661",
    ],
)
def test_names_that_break_the_convention_are_refused(name: str) -> None:
    with pytest.raises(ModelNameError):
        parse_name(name)


@given(names(), st.integers(1, 9))
def test_every_models_compile_job_has_a_name_that_sagemaker_takes(
    name: ModelName, attempt: int
) -> None:
    job = compile_job_name(name, "0123abcd", attempt)
    assert len(job) <= JOB_NAME_LIMIT
    assert all(c.isalnum() or c == "-" for c in job)


def test_only_stage_2_students_lead_to_a_release() -> None:
    releasable = [
        (kind, stage)
        for kind, stages in STAGES.items()
        for stage in stages
        if ModelName(kind, "a", stage, 1).releasable
    ]
    assert releasable == [("student", "stage2")]


def test_teacher_named_in_a_students_description_is_not_its_name() -> None:
    text = "student-efficientnet-lite0-stage1-v2: from teacher-dinov3-vitl16-phase2-v1"
    assert str(name_in_description(text)) == "student-efficientnet-lite0-stage1-v2"
    assert name_in_description("a teacher of mine") is None
    assert name_in_description("") is None


def test_groups_version_is_read_from_the_arn() -> None:
    assert package_version("arn:aws:sagemaker:us-east-2:1:model-package/g/17") == 17
    with pytest.raises(ModelNameError):
        package_version("g/17")


def test_versions_of_one_group_are_known_whatever_capitals_their_arns_have() -> None:
    arn = "arn:aws:sagemaker:us-east-2:123456789012:model-package/"
    assert in_group_of(f"{arn}Models/1", f"{arn}models/2")
    assert not in_group_of(f"{arn}models/1", f"{arn}others/1")
    assert not in_group_of(f"{arn}models", f"{arn}models/1")
