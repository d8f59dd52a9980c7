"""The guide's scripts for models that were trained before, as a user runs them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.registry.registration.training_jobs import request
from tests.scripts.conftest import Place

TEACHER, STUDENT = "register_teacher_model.py", "register_student_model.py"
#: A network of width 64 and depth 2, an embedding of 768, and ArcFace's centres of 17,592 cards.
SHAPES = {
    "backbone.patch_embed.proj.weight": [64, 3, 8, 8],
    "backbone.reg_token": [1, 4, 64],
    **{f"backbone.blocks.{block}.attn.qkv.weight": [192, 64] for block in range(2)},
    "projection.weight": [768, 64],
    "projection.running_mean": [768],
}
PARAMETERS_COUNTED = 64 * 3 * 8 * 8 + 4 * 64 + 2 * 192 * 64 + 768 * 64
KNOWN = {
    "NumClasses": "17592",
    "TrainingApproach": "Self-supervised + ArcFace fine-tuning",
    "Queries": "920",
}
AS_STUDENT = {
    "Architecture": "efficientnet_lite0",
    "NumClasses": "17592",
    "TrainingApproach": "embedding 1",
    "HailoCompatible": "true",
    "Normalization": "BatchNorm",
    "BestSimilarity": "0.9234",
}


def foreign(place: Place, **changes: Any) -> str:
    """A teacher's job of nobody's making: no line, no request, another output."""
    given = {
        "line": "",
        "prefix": "elsewhere",
        "shapes": SHAPES,
        "prints": "loss=0.5 top1_acc=0.968",
        "hyperparameters": {"backbone": "vit_tiny_dinov3", "embedding_dim": 768},
    }
    return place.jobs.run(None, **{**given, **changes})


def student_job(place: Place, **changes: Any) -> str:
    given = {
        "shapes": {"head.weight": [768, 1280]},
        "hyperparameters": {"embedding_dim": 768, "teacher_model": "dinov3_vittiny"},
    }
    return foreign(place, **{**given, **changes})


def statements(**known: str) -> list[str]:
    return [word for key, value in known.items() for word in ("--set", f"{key}={value}")]


def teacher_words(job: str, **changes: str) -> list[str]:
    return ["--job", job, "--architecture", "dinov3-vittiny", *statements(**{**KNOWN, **changes})]


def test_foreign_teacher_is_registered_from_its_job_and_its_artifact(place: Place) -> None:
    job = foreign(place)
    made = place.answer(TEACHER, *teacher_words(job))
    assert made["name"] == "teacher-dinov3-vittiny-phase2-v1"
    version, told = place.version(made["arn"]), place.job(job)
    metadata = version["CustomerMetadataProperties"]
    assert version["ModelApprovalStatus"] == "Approved"
    assert (
        version["InferenceSpecification"]["Containers"][0]["Image"]
        == (told["AlgorithmSpecification"]["TrainingImage"])
    )
    assert version["MetadataProperties"]["GeneratedBy"] == told["TrainingJobArn"]
    assert metadata["Parameters"] == str(PARAMETERS_COUNTED), "statistics are no parameters"
    assert metadata["Architecture"] == "vit_tiny_dinov3" and metadata["EmbeddingDim"] == "768"
    assert metadata["Top1"] == "0.968" and metadata["InstanceType"] == "ml.m5.xlarge"
    took = told["TrainingEndTime"] - told["TrainingStartTime"]
    assert metadata["TrainingSeconds"] == str(round(took.total_seconds()))
    assert version["MetadataProperties"]["CommitId"] == "abc123"
    assert metadata["CardSetUri"].endswith("/cards/")
    assert metadata["Stated"].startswith("NumClasses Queries TrainingApproach by arn:")
    assert metadata["Stated"].endswith(":root")
    assert "vit_tiny_dinov3" in version["ModelCard"]["ModelCardContent"]
    again = place.answer(TEACHER, *teacher_words(job))
    assert (again["outcome"], again["arn"]) == ("already registered", made["arn"])


def test_all_missing_values_are_asked_for_at_once(place: Place) -> None:
    job = foreign(place, hyperparameters={}, prints="", shapes={"layer.weight": [3, 4]})
    said = place.refused(TEACHER, "--job", job)
    for key in ("Architecture", "EmbeddingDim", "NumClasses", "TrainingApproach", "Top1"):
        assert f"--set {key}=…" in said
    assert "--set Parameters" not in said, "it is counted"


@pytest.mark.parametrize(
    ("changes", "words", "said"),
    [
        (
            {"hyperparameters": {"backbone": "vit_tiny_dinov3", "embedding_dim": 1024}},
            [],
            "EmbeddingDim is 1024 by hyper-parameter embedding_dim and 768 by the weights",
        ),
        ({"shapes": None}, [], "nothing can be counted"),
        ({}, ["--set", "NumClasses"], "must be KEY=VALUE"),
        ({}, ["--set", "NumClases=5"], "did you mean NumClasses?"),
    ],
)
def test_contradictory_or_unreadable_input_is_refused(
    place: Place, changes: dict[str, Any], words: list[str], said: str
) -> None:
    assert said in place.refused(TEACHER, *teacher_words(foreign(place, **changes)), *words)


def test_without_its_part_of_the_name_the_artifact_s_evidence_is_shown(place: Place) -> None:
    said = place.refused(TEACHER, "--job", foreign(place), *statements(**KNOWN))
    assert "'vit_tiny_dinov3' (the artifact is a ViT patch 8, width 64, depth 2)" in said
    assert "--architecture" in said


def test_without_a_job_the_newest_unregistered_teacher_of_ours_is_taken(place: Place) -> None:
    assert "cards train teacher" in place.refused(TEACHER)
    jobs = [place.jobs.run(request(), name=f"teacher-{uuid.uuid4().hex[:8]}") for _ in range(2)]
    # Finished and of this type by their names: one of another deployment, one that says nothing.
    place.jobs.run(request(), name=f"teacher-{uuid.uuid4().hex[:8]}", prefix="elsewhere")
    silent = foreign(place, name=f"teacher-{uuid.uuid4().hex[:8]}", prefix="jobs")
    made = [place.answer(TEACHER) for _ in jobs]
    assert [each["name"] for each in made] == [
        "teacher-vit-tiny-phase2-v1",
        "teacher-vit-tiny-phase2-v2",
    ]
    registered = [
        place.version(each["arn"])["CustomerMetadataProperties"]["TrainingJob"] for each in made
    ]
    assert registered == jobs[::-1], "newest first"
    assert f"--job {silent}" in place.refused(TEACHER)
    place.answer(TEACHER, *teacher_words(silent))
    done = place.script(TEACHER)
    assert done.returncode == 0 and "every finished teacher job is registered" in done.stdout
    names = place.answer(TEACHER)["names"]
    assert names[1:] == [each["name"] for each in made]


def test_foreign_student_needs_a_parent_that_fits(place: Place) -> None:
    teacher = place.answer(TEACHER, *teacher_words(foreign(place)))
    job = student_job(place)
    words = ["--job", job, *statements(**AS_STUDENT)]
    assert "--stage stage1 or --stage stage2" in place.refused(STUDENT, *words)
    assert "--parent" in place.refused(STUDENT, *words, "--stage", "stage1")
    parent = ["--parent", teacher["name"]]
    assert "made from a student of stage1" in place.refused(
        STUDENT, *words, *parent, "--stage", "stage2"
    )
    first = place.answer(STUDENT, *words, *parent, "--stage", "stage1")
    assert first["name"] == "student-efficientnet-lite0-stage1-v1"
    version = place.version(first["arn"])
    assert version["ModelApprovalStatus"] == "PendingManualApproval"
    metadata = version["CustomerMetadataProperties"]
    assert metadata["ParentModelPackageArn"] == teacher["arn"]
    assert metadata["TeacherModel"] == "dinov3_vittiny", "as the job says it, and agreed"
    # A job may name its parent and stage itself.
    said = {"stage": 2, "parent-model-package-arn": first["arn"], "embedding_dim": 768}
    words = ["--job", student_job(place, hyperparameters=said), *statements(**AS_STUDENT)]
    second = place.answer(STUDENT, *words)
    assert second["name"] == "student-efficientnet-lite0-stage2-v1"
    metadata = place.version(second["arn"])["CustomerMetadataProperties"]
    assert metadata["TeacherModel"] == "dinov3-vittiny", "by its parents' own teacher"


def test_job_that_is_not_there_or_has_no_model_is_named(place: Place) -> None:
    assert "no-such-job: does not exist in us-east-2" in place.refused(
        STUDENT, "--job", "no-such-job"
    )
    failed = foreign(place, fails="bad")
    assert "is Failed" in place.refused(TEACHER, "--job", failed, "--architecture", "x")
    gone = foreign(place)
    uri = place.job(gone)["ModelArtifacts"]["S3ModelArtifacts"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    place.client("s3").delete_object(Bucket=bucket, Key=key)
    assert f"{uri}: is not there any more" in place.refused(TEACHER, *teacher_words(gone))


def test_failed_job_of_ours_is_registered_as_failed(place: Place) -> None:
    job = place.jobs.run(request(), fails="out of memory")
    made = place.answer(TEACHER, "--job", job)
    assert made["outcome"] == "registered as failed"
    assert place.version(made["arn"])["ModelApprovalStatus"] == "Rejected"


def test_job_of_ours_that_does_not_name_its_line_is_registered_by_its_request(
    place: Place,
) -> None:
    made = place.answer(TEACHER, "--job", place.jobs.run(request(), line=""))
    assert made["name"] == "teacher-vit-tiny-phase2-v1"
    assert "Stated" not in place.version(made["arn"])["CustomerMetadataProperties"]


def test_caller_without_permission_sees_the_needed_policy(place: Place) -> None:
    reader = place.as_user("ssm:GetParametersByPath", "sagemaker:Describe*", "sagemaker:List*",
                           "sagemaker:Search", "s3:Get*", "s3:List*")  # fmt: skip
    said = reader.refused(TEACHER, *teacher_words(foreign(place)))
    assert "is denied" in said and "sagemaker:CreateModelPackage" in said


@pytest.mark.parametrize(
    "name",
    ["setup_sagemaker_project.py", TEACHER, STUDENT, "launch_student_distillation_8xA100.py"],
)
def test_every_script_explains_itself_and_names_what_is_not_deployed(
    place: Place, name: str
) -> None:
    shown = place.script(name, "--help")
    assert shown.returncode == 0 and "--environment" in shown.stdout
    assert f"python scripts/{name}" in shown.stdout, "an example"
    assert "cdk deploy --all" in place.refused(name, "--environment", "nowhere")
