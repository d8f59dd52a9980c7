"""``compile_approved``: the step first, the lineage after it; both again with a repeated event."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from registry.lineage.ancestry import artifact_of
from tests.faults import Faults
from tests.registry.lineage.lineage_family import family, register
from tests.running_cloud import Account, Client, make_role

GROUP, BUCKET, RELEASES = "models", "compile-training", "compile-releases"
COMPILE_SETTINGS = json.dumps({"compiler": "onnx-int8"})


@pytest.fixture(scope="module")
def client(account: Account) -> Iterator[Client]:
    ours = account.client
    for bucket in (BUCKET, RELEASES):
        ours("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
        )
    for group in (GROUP, "others"):
        ours("sagemaker").create_model_package_group(ModelPackageGroupName=group)
    variables = {
        **account.variables,
        "PUBLISH_FUNCTION": "publish",
        "ENVIRONMENT": "dev",
        "GROUP_NAME": GROUP,
        "TRAINING_BUCKET": BUCKET,
        "RELEASE_BUCKET": RELEASES,
        "STABLE_FOLLOWS": "approval",
        "FOUR_EYES": "false",
        "PUBLISHER_ROLE_ARN": "arn:aws:iam::123456789012:role/publisher",
        "COMPILE_SETTINGS": COMPILE_SETTINGS,
        "COMPILE_IMAGE": "image:1",
        "COMPILE_ROLE_ARN": make_role(
            ours, "compile", "sagemaker.amazonaws.com", [], account.number
        ),
        "COMPILE_INSTANCE_TYPE": "ml.m5.large",
        "COMPILE_MAX_RUNTIME_SECONDS": "60",
        "COMPILE_SECURITY_GROUP": "sg-1",
        "COMPILE_SUBNETS": "subnet-1,subnet-2",
        "CODE_URI": f"s3://{BUCKET}/source/code.zip",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        # boto3 keeps the credentials that the first client of a process was made with.
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        yield ours


@pytest.fixture
def function(client: Client) -> Iterator[ModuleType]:
    """The function as Lambda loads it anew, with clients of its own."""
    name = "lambdas.compile_approved"
    sys.modules.pop(name, None)
    yield importlib.import_module(name)
    sys.modules.pop(name, None)


def event(arn: str) -> dict[str, Any]:
    return {"detail-type": "x", "detail": {"ModelPackageArn": arn}}


def writes(faults: Faults) -> dict[str, int]:
    return {
        name: count
        for name, count in faults.calls.items()
        if name.startswith(("Create", "Add", "Update"))
    }


def test_every_versions_lineage_is_written_by_its_event_and_once(
    client: Client, function: ModuleType
) -> None:
    versions = family(client("sagemaker"), GROUP)
    for package in versions.values():
        function.handler(event(package.arn), None)
    sagemaker = client("sagemaker")
    assert all(artifact_of(sagemaker, package.arn) for package in versions.values())
    faults = Faults()
    faults.client(function._deployment.sagemaker)
    for package in versions.values():
        function.handler(event(package.arn), None)
    assert writes(faults) == {}


def test_lineage_failure_does_not_delay_compilation_and_is_retried(
    client: Client, function: ModuleType
) -> None:
    sagemaker = client("sagemaker")
    package = register(sagemaker, GROUP, "student-y-stage2-v1")
    client("s3").put_object(Bucket=BUCKET, Key="jobs/x/model.tar.gz", Body=b"model")
    archive = f"{hashlib.sha256(b'model').hexdigest()}"
    model = {"Image": "image:1", "ModelDataUrl": f"s3://{BUCKET}/jobs/x/model.tar.gz"}
    sagemaker.update_model_package(
        ModelPackageArn=package.arn,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"ModelArchive": archive},
        InferenceSpecification={"Containers": [model]},
    )
    Faults().fail(function._deployment.sagemaker, "CreateArtifact", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        function.handler(event(package.arn), None)
    found = sagemaker.list_processing_jobs(NameContains="student-y-stage2-v1", MaxResults=100)
    assert len(found["ProcessingJobSummaries"]) == 1
    assert artifact_of(sagemaker, package.arn) is None
    function.handler(event(package.arn), None)
    assert artifact_of(sagemaker, package.arn)


def test_foreign_and_deleted_versions_are_ignored(client: Client, function: ModuleType) -> None:
    sagemaker = client("sagemaker")
    stranger = register(sagemaker, "others", "student-x-stage2-v1")
    function.handler(event(stranger.arn), None)
    assert artifact_of(sagemaker, stranger.arn) is None
    gone = register(sagemaker, GROUP, "student-z-stage2-v1")
    sagemaker.delete_model_package(ModelPackageName=gone.arn)
    function.handler(event(gone.arn), None)
    assert artifact_of(sagemaker, gone.arn) is None
