"""The guide's scripts for models that were trained before, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud import LocalCloud
from registry.names import PARAMETERS
from tests.registry.training_jobs import TrainingJobs, request
from tests.running_cloud import Client, client_of, make_cloud

ROOT = Path(__file__).resolve().parents[2]
TEACHER = {
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


@dataclass
class Place:
    """A cloud with what a deployment tells the commands, and no stacks."""

    client: Client
    jobs: TrainingJobs
    group: str
    variables: dict[str, str]

    def script(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / name), *words],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", **self.variables},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        print(done.stdout + done.stderr)
        return done

    def made(self, name: str, *words: str) -> dict[str, Any]:
        done = self.script(name, *words, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def version(self, arn: str) -> dict[str, Any]:
        return dict(self.client("sagemaker").describe_model_package(ModelPackageName=arn))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    running = make_cloud(tmp_path_factory.mktemp("cloud"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def place(cloud: LocalCloud) -> Place:
    client = client_of(cloud)
    unique = uuid.uuid4().hex[:8]
    bucket, group = f"training-{unique}", f"models-{unique}"
    client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )
    client("sagemaker").create_model_package_group(ModelPackageGroupName=group)
    values = dict.fromkeys(PARAMETERS, "none") | {"training-bucket": bucket, "group-name": group}
    for key, value in values.items():
        client("ssm").put_parameter(
            Name=f"/cards/{unique}/{key}", Value=value, Type="String", Overwrite=True
        )
    jobs = TrainingJobs.in_bucket(client, bucket)
    return Place(client, jobs, group, {**cloud.env(), "CARDS_ENVIRONMENT": unique})


def foreign(place: Place, **changes: Any) -> str:
    """A teacher's job of nobody's making: no line, no request, another output."""
    given = {
        "line": "",
        "prefix": "elsewhere",
        "shapes": TEACHER,
        "prints": "loss=0.5 top1_acc=0.968",
        "hyperparameters": {"backbone": "vit_tiny_dinov3", "embedding_dim": 768},
    }
    return place.jobs.run(None, **{**given, **changes})


def statements(**known: str) -> list[str]:
    return [word for key, value in known.items() for word in ("--set", f"{key}={value}")]


def test_a_foreign_teacher_is_registered_from_its_job_and_its_artifact(place: Place) -> None:
    job = foreign(place)
    words = ["--job", job, "--architecture", "dinov3-vittiny", *statements(**KNOWN)]
    made = place.made("register_teacher_model.py", *words)
    assert made["name"] == "teacher-dinov3-vittiny-phase2-v1"
    version = place.version(made["arn"])
    told = place.client("sagemaker").describe_training_job(TrainingJobName=job)
    container = version["InferenceSpecification"]["Containers"][0]
    assert container["ModelDataUrl"] == told["ModelArtifacts"]["S3ModelArtifacts"]
    assert "/elsewhere/" in container["ModelDataUrl"], "the artifact stays where it is"
    assert container["Image"] == told["AlgorithmSpecification"]["TrainingImage"]
    assert version["ModelApprovalStatus"] == "Approved"
    metadata = version["CustomerMetadataProperties"]
    assert metadata["Parameters"] == str(PARAMETERS_COUNTED), "statistics are no parameters"
    assert metadata["Architecture"] == "vit_tiny_dinov3" and metadata["EmbeddingDim"] == "768"
    assert metadata["Top1"] == "0.968" and metadata["InstanceType"] == "ml.m5.xlarge"
    assert metadata["Stated"] == "NumClasses Queries TrainingApproach"
    assert metadata["StatedBy"].endswith(":root")
    again = place.made("register_teacher_model.py", *words)
    assert (again["outcome"], again["arn"]) == ("already registered", made["arn"])


def test_everything_that_nobody_knows_is_asked_for_at_once(place: Place) -> None:
    job = foreign(place, hyperparameters={}, prints="")
    done = place.script("register_teacher_model.py", "--job", job, "--architecture", "dinov3-x")
    assert done.returncode == 1 and done.stdout == ""
    for key in ("Architecture", "EmbeddingDim", "NumClasses", "TrainingApproach", "Top1"):
        assert f"--set {key}=…" in done.stderr
    assert done.stderr.count("\n") == 1, "one line"
    assert (
        place.client("sagemaker").list_model_packages(ModelPackageGroupName=place.group)[
            "ModelPackageSummaryList"
        ]
        == []
    )


@pytest.mark.parametrize(
    ("changes", "words", "said"),
    [
        ({}, ["--set", "EmbeddingDim=1024"], "cannot be stated as 1024"),
        ({}, ["--set", "Parameters=304000000"], "cannot be stated as 304000000"),
        ({"prints": "top1_acc=96.8"}, [], "may be in per cent"),
        ({"shapes": {}}, [], "Parameters is '0', not a whole number above 0"),
        ({"shapes": None}, [], "found none"),
        ({}, ["--set", "NumClasses"], "must be KEY=VALUE"),
        ({}, ["--set", "NumClasses=many"], "not a whole number"),
    ],
)
def test_what_contradicts_or_cannot_be_read_is_refused(
    place: Place, changes: dict[str, Any], words: list[str], said: str
) -> None:
    job = foreign(place, **changes)
    known = {key: value for key, value in KNOWN.items() if key not in " ".join(words)}
    given = ["--job", job, "--architecture", "dinov3-x", *statements(**known), *words]
    done = place.script("register_teacher_model.py", *given)
    assert done.returncode == 1 and said in done.stderr, done.stderr


def test_without_its_part_of_the_name_the_artifact_s_evidence_is_shown(place: Place) -> None:
    done = place.script("register_teacher_model.py", "--job", foreign(place))
    assert done.returncode == 1
    assert "width 64, depth 2, patch 8, register tokens" in done.stderr
    assert "--architecture" in done.stderr


def test_without_a_job_the_newest_unregistered_teacher_of_ours_is_taken(place: Place) -> None:
    empty = place.script("register_teacher_model.py")
    assert empty.returncode == 1 and "cards train teacher" in empty.stderr
    # The name tells nothing: what is looked for is a job of this deployment.
    jobs = [named(place, "teacher-") for _ in range(2)]
    first = place.made("register_teacher_model.py")
    assert first["outcome"] == "registered"
    second = place.made("register_teacher_model.py")
    assert second["name"] == "teacher-vit-tiny-phase2-v2"
    done = place.script("register_teacher_model.py")
    assert done.returncode == 0 and "every finished teacher job is registered" in done.stdout
    assert {
        place.version(made["arn"])["CustomerMetadataProperties"]["TrainingJob"]
        for made in (first, second)
    } == set(jobs)


def named(place: Place, prefix: str) -> str:
    return place.jobs.run(request(), name=f"{prefix}{uuid.uuid4().hex[:8]}")


def test_a_foreign_student_needs_its_parent(place: Place) -> None:
    teacher = place.made(
        "register_teacher_model.py",
        "--job", foreign(place), "--architecture", "dinov3-vittiny", *statements(**KNOWN),
    )  # fmt: skip
    job = foreign(
        place,
        shapes={"head.weight": [768, 1280]},
        hyperparameters={"student_model": "efficientnet_lite0", "embedding_dim": 768},
    )
    words = [
        "--job", job, "--stage", "stage1", "--architecture", "efficientnet-lite0",
        *statements(
            NumClasses="17592", TrainingApproach="embedding 1", TeacherModel="dinov3-vittiny",
            BestSimilarity="0.9234", HailoCompatible="true", Normalization="BatchNorm",
            Queries="920",
        ),
    ]  # fmt: skip
    alone = place.script("register_student_model.py", *words)
    assert alone.returncode == 1 and "--parent" in alone.stderr
    made = place.made("register_student_model.py", *words, "--parent", teacher["name"])
    version = place.version(made["arn"])
    assert version["ModelApprovalStatus"] == "PendingManualApproval"
    metadata = version["CustomerMetadataProperties"]
    assert metadata["ParentModelPackageArn"] == teacher["arn"]
    assert metadata["BestSimilarity"] == "0.9234" and metadata["Stage"] == "stage1"


def test_a_job_that_is_not_there_or_has_not_completed_is_named(place: Place) -> None:
    done = place.script("register_student_model.py", "--job", "no-such-job")
    assert done.returncode == 1 and "no-such-job: does not exist in us-east-2" in done.stderr
    job = foreign(place, fails="bad")
    done = place.script("register_teacher_model.py", "--job", job, "--architecture", "x")
    assert done.returncode == 1 and "is Failed" in done.stderr


def test_a_failed_job_of_ours_is_registered_as_failed(place: Place) -> None:
    job = place.jobs.run(request(), fails="out of memory")
    made = place.made("register_teacher_model.py", "--job", job)
    assert made["outcome"] == "registered as failed"
    assert place.version(made["arn"])["ModelApprovalStatus"] == "Rejected"


@pytest.mark.parametrize(
    "name",
    [
        "setup_sagemaker_project.py",
        "register_teacher_model.py",
        "register_student_model.py",
        "launch_student_distillation_8xA100.py",
    ],
)
def test_every_script_explains_itself_and_names_what_is_not_deployed(
    place: Place, name: str
) -> None:
    shown = place.script(name, "--help")
    assert shown.returncode == 0 and "--environment" in shown.stdout
    done = place.script(name, "--environment", "nowhere")
    assert done.returncode == 1 and "cdk deploy --all" in done.stderr
    assert done.stderr.startswith(f"{name}: ") and done.stderr.count("\n") == 1
