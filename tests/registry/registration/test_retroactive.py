"""Registering what somebody else trained: every source, every refusal, every interruption."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from registry.deployment import Deployment
from registry.names import ModelName
from registry.registration.facts import Fact
from registry.registration.request import RegistrationError
from registry.registration.retroactive import (
    ArtifactFacts,
    Statement,
    UnknownFactsError,
    jobs_by_registration,
    register,
    registered_as,
)
from registry.versions.metadata import MetadataError
from registry.versions.packages import PENDING, NewPackage, Package, create, describe
from tests.faults import Faults, Killed
from tests.registry.registration.training_jobs import IMAGE
from tests.running_cloud import Client, client_of

ME = "arn:aws:iam::000000000000:user/me"
STATED = {"NumClasses": "17592", "TrainingApproach": "Self-supervised + ArcFace fine-tuning"}
COUNTED = (
    Fact("Parameters", "304000000", "the weights in best.pth"),
    Fact("EmbeddingDim", "768", "the weights in best.pth"),
    Fact("Architecture", "vit_large_patch16", "the weights in best.pth"),
)
FOUND = ArtifactFacts(counted=COUNTED)
TEACHER = Statement("teacher", stated=STATED, by=ME)
#: The other product's bucket; registration reads the archive there for its digest.
THEIRS = f"theirs-{uuid.uuid4().hex[:12]}"
ARCHIVE = "job/output/model.tar.gz"


def job(**changes: Any) -> dict[str, Any]:
    """DescribeTrainingJob's answer about a job of another product."""
    name = f"dinov3-{uuid.uuid4().hex[:8]}"
    now = datetime.now(UTC)
    return {
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-2:000000000000:training-job/{name}",
        "TrainingJobStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": f"s3://{THEIRS}/{ARCHIVE}"},
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"backbone": '"vit_large_patch16_dinov3"', "embedding_dim": "768"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{THEIRS}"},
        "ResourceConfig": {"InstanceType": "ml.p4d.24xlarge", "InstanceCount": 2,
                           "VolumeSizeInGB": 1},
        "CreationTime": now - timedelta(hours=3),
        "TrainingStartTime": now - timedelta(hours=2),
        "TrainingEndTime": now - timedelta(hours=1),
        "FinalMetricDataList": [
            {"MetricName": "top1_acc", "Value": 0.968, "Timestamp": now},
            {"MetricName": "loss", "Value": 0.5, "Timestamp": now},
        ],
        **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def their_archive(cloud: LocalCloud) -> None:
    """What the other product's jobs left in their own bucket."""
    s3 = client_of(cloud)("s3")
    s3.create_bucket(Bucket=THEIRS, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    s3.put_object(Bucket=THEIRS, Key=ARCHIVE, Body=b"an archive")


@pytest.fixture
def deployment(client: Client, group: str, bucket: str, their_archive: None) -> Deployment:
    return Deployment(client, group, bucket, "releases")


def described(deployment: Deployment, arn: str | None) -> Package:
    found = describe(deployment.sagemaker, arn or "")
    assert found
    return found


def versions(deployment: Deployment) -> int:
    answer = deployment.sagemaker.list_model_packages(ModelPackageGroupName=deployment.group_name)
    return len(answer["ModelPackageSummaryList"])


def refused(deployment: Deployment, told: dict[str, Any], *words: str,
            statement: Statement = TEACHER, found: ArtifactFacts = FOUND) -> None:  # fmt: skip
    with pytest.raises((RegistrationError, MetadataError)) as error:
        register(deployment, told, found, statement)
    for word in words:
        assert word in str(error.value)
    assert versions(deployment) == 0
    assert "Contents" not in deployment.s3.list_objects_v2(Bucket=deployment.training_bucket), (
        "no name is claimed"
    )


def asks(**changes: Any) -> Statement:
    return Statement(**{"model_type": "teacher", "stated": STATED, "by": ME, **changes})


def test_mistake_02_retroactive_artifact_address_is_the_jobs(deployment: Deployment) -> None:
    told = job()
    package = described(deployment, register(deployment, told, FOUND, TEACHER).arn)
    assert package.model_data_url == told["ModelArtifacts"]["S3ModelArtifacts"]


def test_teacher_of_another_product_gets_the_guide_s_name(deployment: Deployment) -> None:
    told = job()
    made = register(deployment, told, FOUND, TEACHER)
    assert (made.outcome, made.name) == ("registered", "teacher-dinov3-vitl16-phase2-v1")
    package = described(deployment, made.arn)
    assert (package.approval, package.image) == ("Approved", IMAGE)
    assert package.generated_by == told["TrainingJobArn"]
    metadata = package.metadata
    assert metadata["Architecture"] == "vit_large_patch16_dinov3", "not the shapes' poorer words"
    assert (metadata["Parameters"], metadata["EmbeddingDim"]) == ("304000000", "768")
    assert (metadata["InstanceCount"], metadata["TrainingSeconds"]) == ("2", "3600")
    assert metadata["Stated"] == f"NumClasses TrainingApproach by {ME}"
    assert metadata["Validation"] == "failed", "nobody says on how many views it was measured"
    assert "top-1 0.968" in package.description
    report = deployment.s3.get_object(
        Bucket=deployment.training_bucket, Key=f"model-quality/{made.name}.json"
    )
    assert b'"loss"' in report["Body"].read(), "every metric is reported"


def test_value_both_stated_and_found_counts_as_found(deployment: Deployment) -> None:
    stated = {**STATED, "EmbeddingDim": "768"}
    made = register(deployment, job(), FOUND, asks(stated=stated))
    assert (
        described(deployment, made.arn)
        .metadata["Stated"]
        .startswith("NumClasses TrainingApproach by ")
    )


def test_complete_artifact_needs_no_statement(deployment: Deployment) -> None:
    says = {"NumClasses": "180", "TrainingApproach": "arcface 1", "Stage": "phase1"}
    found = ArtifactFacts(
        tuple(Fact(key, value, "config.json") for key, value in says.items()),
        COUNTED,
        {"top1": 0.9681, "queries": 920.0},
        "my-vit",
    )
    made = register(
        deployment, job(HyperParameters={}), found, asks(stated={"EmbeddingDim": "768"})
    )
    assert made.name == "teacher-my-vit-phase1-v1"
    metadata = described(deployment, made.arn).metadata
    assert "Stated" not in metadata


@pytest.mark.parametrize(
    ("changes", "statement", "words"),
    [
        (
            {},
            {"stated": {**STATED, "EmbeddingDim": "1024"}},
            ["EmbeddingDim is 768 by hyper-parameter embedding_dim", "1024 by what is stated"],
        ),
        (
            {"HyperParameters": {"embedding_dim": "1024"}},
            {"stated": {**STATED, "Parameters": "4700000"}},
            [
                "EmbeddingDim is 1024 by hyper-parameter embedding_dim and 768 by the weights",
                "Parameters is 4700000 by what is stated and 304000000 by the weights",
            ],
        ),
        (
            {"HyperParameters": {"backbone": "vit_base_patch14_dinov2"}},
            {},
            ["vit_base_patch14_dinov2 by hyper-parameter backbone", "vit_large_patch16 by"],
        ),
        (
            {"HyperParameters": {"phase": "1"}},
            {"stage": "phase2"},
            ["phase2 by --stage and phase1 by hyper-parameter phase"],
        ),
        (
            {"FinalMetricDataList": [{"MetricName": "top1_acc", "Value": 96.8}]},
            {},
            ["the job's metric top1 says '96.8'", "it may be in per cent", "--set Top1=…"],
        ),
        ({}, {"stated": {**STATED, "NumClasses": "many"}}, ["--set NumClasses: is not a whole"]),
        ({}, {"stated": {**STATED, "Top2": "1"}}, ["no such key; did you mean"]),
        ({}, {"stated": {**STATED, "TrainingJob": "x"}}, ["written by the registry alone"]),
        ({}, {"stage": "stage1"}, ["--stage stage1: is none of phase1, phase2"]),
        ({}, {"architecture": "No Name"}, ["'No Name' must be lower-case"]),
        (
            {"HyperParameters": {"backbone": "resnet50"}},
            {},
            ["Architecture is resnet50 by", "vit_large_patch16 by the weights"],
        ),
        ({"TrainingJobStatus": "Stopped"}, {}, ["is Stopped", "only a completed one"]),
        ({"AlgorithmSpecification": {"AlgorithmName": "x"}}, {}, ["training image"]),
        ({"HyperParameters": None, "FinalMetricDataList": None}, {"stated": {}},
         ["says NumClasses, TrainingApproach, Top1"]),
    ],
)  # fmt: skip
def test_contradictory_or_unknown_values_are_refused(
    deployment: Deployment, changes: dict[str, Any], statement: dict[str, Any], words: list[str]
) -> None:
    refused(deployment, job(**changes), *words, statement=asks(**statement))


def test_architecture_that_no_rule_names_is_asked_for_with_the_evidence(
    deployment: Deployment,
) -> None:
    told = job(HyperParameters={})
    architecture = Fact("Architecture", "ViT patch 8, width 64, depth 1", "the weights in x")
    found = ArtifactFacts(counted=(*COUNTED[:2], architecture))
    refused(deployment, told, "the artifact is a ViT patch 8", "--architecture", found=found)
    made = register(deployment, told, found, asks(architecture="vit-tiny"))
    assert made.name == "teacher-vit-tiny-phase2-v1"
    assert (
        described(deployment, made.arn).metadata["Architecture"]
        == "ViT patch 8 / width 64 / depth 1"
    )


def test_all_missing_values_are_listed_at_once(deployment: Deployment) -> None:
    with pytest.raises(UnknownFactsError) as error:
        register(deployment, job(FinalMetricDataList=[]), ArtifactFacts(), asks(stated={}))
    assert error.value.missing == ("Parameters", "NumClasses", "TrainingApproach", "Top1")


def test_malformed_optional_metric_is_reported(deployment: Deployment) -> None:
    given = [{"MetricName": "top1", "Value": 0.968}, {"MetricName": "top5", "Value": 99.9}]
    refused(deployment, job(FinalMetricDataList=given), "top5 says '99.9'", "--set Top5=…")
    made = register(deployment, job(FinalMetricDataList=given), FOUND,
                    asks(stated={**STATED, "Top5": "0.999"}))  # fmt: skip
    report = deployment.s3.get_object(
        Bucket=deployment.training_bucket, Key=f"model-quality/{made.name}.json"
    )
    assert b"99.9" not in report["Body"].read()


def test_metric_in_per_cent_is_kept_out_of_the_report_once_it_is_stated(
    deployment: Deployment,
) -> None:
    told = job(FinalMetricDataList=[{"MetricName": "top1_acc", "Value": 96.8}])
    made = register(deployment, told, FOUND, asks(stated={**STATED, "Top1": "0.968"}))
    report = deployment.s3.get_object(
        Bucket=deployment.training_bucket, Key=f"model-quality/{made.name}.json"
    )
    assert b"96.8" not in report["Body"].read()
    assert "top-1 0.968" in described(deployment, made.arn).description


def version(deployment: Deployment, name: ModelName, **metadata: str) -> Package:
    """A version that is only there to be a parent."""
    kind = "teacher" if name.model_type == "teacher" else "student"
    given = {
        "ModelType": kind, "TrainingJob": "t", "FailureReason": "none; it is a parent", **metadata,
    }  # fmt: skip
    package = NewPackage(
        name=name, approval=PENDING, summary="for a test", model_data_url=None, image="",
        metadata=given, generated_by="arn:aws:sagemaker:us-east-2:000000000000:training-job/t",
    )  # fmt: skip
    return described(deployment, create(deployment.sagemaker, deployment.group_name, package))


STUDENT_FACTS = {
    "Parameters": "4700000", "EmbeddingDim": "768", "Architecture": "efficientnet_lite0",
    "Normalization": "BatchNorm", "HailoCompatible": "true",
}  # fmt: skip
STUDENT_FOUND = ArtifactFacts(
    counted=tuple(Fact(key, value, "the weights in x") for key, value in STUDENT_FACTS.items())
)
MEASURED = [{"MetricName": "best_similarity", "Value": 0.9234}, {"MetricName": "top1", "Value": 1}]


def test_student_is_registered_under_its_parent(deployment: Deployment) -> None:
    teacher = version(deployment, ModelName("teacher", "dinov3-vitl16", "phase2", 1))
    told = job(
        HyperParameters={"stage": "1", "parent-model-package-arn": f'"{teacher.arn}"'},
        FinalMetricDataList=MEASURED,
    )
    made = register(deployment, told, STUDENT_FOUND, asks(model_type="student"))
    package = described(deployment, made.arn)
    assert (made.name, package.approval) == ("student-efficientnet-lite0-stage1-v1", PENDING)
    assert package.parent_arn == teacher.arn
    assert package.metadata["TeacherModel"] == "dinov3-vitl16"
    assert package.metadata["BestSimilarity"] == "0.9234"
    told = job(HyperParameters={"stage": "stage2"}, FinalMetricDataList=MEASURED)
    second = register(deployment, told, STUDENT_FOUND, asks(model_type="student", parent=package))
    metadata = described(deployment, second.arn).metadata
    assert second.name == "student-efficientnet-lite0-stage2-v1"
    assert metadata["ParentModel"] == made.name
    assert metadata["TeacherModel"] == "dinov3-vitl16", "the teacher's, not the parent's"


@pytest.mark.parametrize(
    ("stage", "parent", "words"),
    [
        (None, None, "--stage stage1 or --stage stage2"),
        ("int8", None, "is none of stage1, stage2"),
        ("stage1", None, "--parent NAME"),
        ("stage1", ModelName("student", "x", "stage1", 1), "from a teacher of phase1 or phase2"),
        ("stage2", ModelName("teacher", "x", "phase2", 1), "from a student of stage1"),
        ("stage2", ModelName("student", "x", "stage2", 1), "from a student of stage1"),
    ],
)
def test_mistake_04_parent_of_the_wrong_kind_is_refused(
    deployment: Deployment, stage: str | None, parent: ModelName | None, words: str
) -> None:
    statement = asks(model_type="student", stage=stage,
                 parent=version(deployment, parent) if parent else None)  # fmt: skip
    with pytest.raises(RegistrationError, match=words):
        register(deployment, job(), STUDENT_FOUND, statement)


def test_mistake_12_other_name_for_the_teacher_is_refused(deployment: Deployment) -> None:
    teacher = version(deployment, ModelName("teacher", "dinov3-vitl16", "phase2", 1))
    told = job(HyperParameters={"teacher_model": "dinov2_vitb14"}, FinalMetricDataList=MEASURED)
    statement = asks(model_type="student", stage="stage1", parent=teacher)
    with pytest.raises(RegistrationError, match=r"dinov2_vitb14 by .* and dinov3-vitl16 by its pa"):
        register(deployment, told, STUDENT_FOUND, statement)


def test_job_is_registered_once_under_any_name(deployment: Deployment) -> None:
    told = job()
    made = register(deployment, told, FOUND, TEACHER)
    for statement in (TEACHER, asks(architecture="another"), asks(stage="phase1")):
        again = register(deployment, told, FOUND, statement)
        assert (again.outcome, again.arn, again.name) == ("already registered", made.arn, made.name)
    assert versions(deployment) == 1
    found = registered_as(deployment, told)
    assert found and found.arn == made.arn
    assert registered_as(deployment, job()) is None


@pytest.mark.parametrize("operation", ["CreateModelPackage", "Search"])
def test_throttled_calls_are_retried(
    deployment: Deployment, faults: Faults, operation: str
) -> None:
    faults.throttle(faults.client(deployment.sagemaker), operation, times=2)
    assert register(deployment, job(), FOUND, TEACHER).outcome == "registered"
    assert faults.calls[operation] == 3
    assert versions(deployment) == 1


def test_lost_answer_makes_no_second_version(deployment: Deployment, faults: Faults) -> None:
    faults.lose_answer(faults.client(deployment.sagemaker), "CreateModelPackage")
    assert register(deployment, job(), FOUND, TEACHER).name == "teacher-dinov3-vitl16-phase2-v1"
    assert versions(deployment) == 1


def test_interrupted_registration_is_completed_by_the_next(
    deployment: Deployment, faults: Faults
) -> None:
    told = job()
    faults.die_before(deployment.sagemaker, "CreateModelPackage")
    with pytest.raises(Killed):
        register(deployment, told, FOUND, TEACHER)
    assert versions(deployment) == 0
    made = register(deployment, told, FOUND, TEACHER)
    assert (made.outcome, made.name) == ("registered", "teacher-dinov3-vitl16-phase2-v1")


def test_error_of_aws_raises(deployment: Deployment, faults: Faults) -> None:
    faults.fail(deployment.sagemaker, "CreateModelPackage", "AccessDeniedException", "may not")
    with pytest.raises(ClientError, match="may not"):
        register(deployment, job(), FOUND, TEACHER)


def test_without_any_job_there_is_nothing_to_register(deployment: Deployment) -> None:
    found = jobs_by_registration(deployment, "teacher")
    assert list(found) == []
