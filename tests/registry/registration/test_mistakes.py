"""Mistakes that were made before and must not be possible: those that concern registration.

``docs/mistakes.md`` lists all of them, with the tests in other files.
"""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from botocore.exceptions import ClientError

from registry.deployment import Deployment
from registry.lineage.ancestry import ancestors
from registry.names import GROUP
from registry.registration.register import register_training_job
from registry.versions.packages import PENDING, NewPackage, create, describe
from tests.registry.registration.training_jobs import TrainingJobs, request
from tests.running_cloud import Client


@pytest.fixture
def jobs(client: Client, bucket: str) -> TrainingJobs:
    return TrainingJobs.in_bucket(client, bucket)


def register(client: Client, jobs: TrainingJobs, group: str, job: str) -> Any:
    return register_training_job(Deployment(client, group, jobs.bucket, "releases"), job)


def test_mistake_01_registration_passes_no_tags(
    client: Client, jobs: TrainingJobs, group: str
) -> None:
    sagemaker = client("sagemaker")
    with pytest.raises(ClientError, match="Tags are not supported"):
        sagemaker.create_model_package(
            ModelPackageGroupName=group, Tags=[{"Key": "Stage", "Value": "stage1"}]
        )
    sent: list[dict[str, Any]] = []
    deployment = Deployment(client, group, jobs.bucket, "releases")
    deployment.sagemaker.meta.events.register(
        "provide-client-params.sagemaker.CreateModelPackage",
        lambda params, **_: sent.append(params),
    )
    register_training_job(deployment, jobs.run(request()))
    assert len(sent) == 1 and "Tags" not in sent[0]


def test_mistake_01_incomplete_metadata_raises(client: Client, group: str) -> None:
    package = NewPackage(
        name=_name("student-efficientnet-lite0-stage1-v1"),
        approval=PENDING,
        summary="x",
        model_data_url="s3://bucket/model.tar.gz",
        image="x",
        metadata={},
        generated_by="x",
    )
    with pytest.raises(ValueError, match="Architecture is missing"):
        create(client("sagemaker"), group, package)


def test_mistake_02_artifact_address_is_the_jobs_and_the_file_exists(
    client: Client, jobs: TrainingJobs, group: str
) -> None:
    job = jobs.run(request())
    version = describe(client("sagemaker"), register(client, jobs, group, job).arn)
    assert version is not None
    told = client("sagemaker").describe_training_job(TrainingJobName=job)
    assert version.model_data_url == told["ModelArtifacts"]["S3ModelArtifacts"]
    bucket, _, key = version.model_data_url.removeprefix("s3://").partition("/")
    assert client("s3").head_object(Bucket=bucket, Key=key)["ContentLength"] > 0


def test_mistake_03_student_is_pending_and_its_model_is_an_archive(
    client: Client, jobs: TrainingJobs, group: str
) -> None:
    teacher = register(client, jobs, group, jobs.run(request()))
    made = register(
        client,
        jobs,
        group,
        jobs.run(
            request(model_type="student", parent_model_package_arn=teacher.arn),
            line="student-efficientnet-lite0-stage1",
        ),
    )
    answer = client("sagemaker").describe_model_package(ModelPackageName=made.arn)
    assert answer["ModelApprovalStatus"] == "PendingManualApproval"
    (container,) = answer["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"].endswith("/model.tar.gz")


def test_mistake_04_parent_is_read_from_the_arn_not_from_a_description(
    client: Client, jobs: TrainingJobs, group: str
) -> None:
    sagemaker = client("sagemaker")
    teacher = register(client, jobs, group, jobs.run(request()))
    # A second teacher is newer, and every student's description says "teacher".
    register(client, jobs, group, jobs.run(request()))
    made = register(
        client,
        jobs,
        group,
        jobs.run(
            request(model_type="student", parent_model_package_arn=teacher.arn),
            line="student-efficientnet-lite0-stage1",
        ),
    )
    student = describe(sagemaker, made.arn)
    assert student is not None and "teacher" in student.description
    assert [version.arn for version in ancestors(sagemaker, student)] == [teacher.arn]


def test_mistake_10_reserved_metadata_from_a_job_is_refused(
    client: Client, jobs: TrainingJobs, group: str
) -> None:
    asked = request()
    asked["metadata"] |= {"TrainingJob": "another", "CardSetDigest": "invented"}
    made = register(client, jobs, group, jobs.run(asked))
    assert made.outcome == "registered as failed"


def test_mistake_12_contradictory_model_types_are_refused(
    client: Client, jobs: TrainingJobs, group: str
) -> None:
    asked = request()
    asked["metadata"] |= {"ModelType": "student"}
    made = register(client, jobs, group, jobs.run(asked))
    assert made.outcome == "registered as failed" and "contradicts" in made.detail


@pytest.mark.processes
def test_mistake_17_group_name_is_written_once() -> None:
    found = subprocess.run(
        ["git", "grep", "-lE", "pokemon-card-recognition-models", "--", "*.py", "cdk.json"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    product = [file for file in found if not file.startswith(("tests/", "docs/"))]
    assert product == ["registry/names.py"]
    assert GROUP == "pokemon-card-recognition-models"


def _name(text: str) -> Any:
    from registry.names import parse_name

    return parse_name(text)
