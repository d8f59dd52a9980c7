"""Condition keys of versions: IAM sees what a request writes, and what the version has now."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from localcloud.supervisor import ACCOUNT
from tests.running_cloud import Client, client_of

KEY = "sagemaker:CustomerMetadataProperties"
STAGE = {"Stage": "Stable", "StageStatus": "Released"}


@pytest.fixture(scope="module")
def group(client: Client) -> str:
    client("sagemaker").create_model_package_group(ModelPackageGroupName="guarded")
    return "guarded"


def person(cloud: LocalCloud, client: Client, condition: dict[str, Any]) -> tuple[str, Client]:
    """A user who may create and update versions under a condition: name and clients."""
    iam, name = client("iam"), f"person-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    statement = {
        "Effect": "Allow",
        "Action": ["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"],
        "Resource": "*",
        "Condition": condition,
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return name, client_of(
        cloud,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


@pytest.mark.parametrize(
    ("condition", "allowed", "denied"),
    [
        (
            {"StringEquals": {"sagemaker:ModelApprovalStatus": "Approved"}},
            [{"ModelApprovalStatus": "Approved"}],
            [{"ModelApprovalStatus": "Rejected"}, {"ApprovalDescription": "because"}],
        ),
        (
            {"Null": {f"{KEY}/Top1": "true"}},
            [{"CustomerMetadataProperties": {"Note": "1"}}, {"ApprovalDescription": "because"}],
            [
                {"CustomerMetadataProperties": {"Top1": "1"}},
                {"CustomerMetadataProperties": {"top1": "1", "Note": "1"}},
            ],
        ),
        (
            {"StringLike": {f"{KEY}/ModelName": "teacher-*"}},
            [{"CustomerMetadataProperties": {"ModelName": "teacher-a"}}],
            [
                {"CustomerMetadataProperties": {"ModelName": "student-a"}},
                {"CustomerMetadataProperties": {"ModelName": "student-a", "modelName": "teacher-"}},
                {"CustomerMetadataProperties": {"Note": "teacher-a"}},
            ],
        ),
        (
            {
                "ForAllValues:StringEquals": {
                    "sagemaker:CustomerMetadataPropertiesToRemove": ["Release"]
                }
            },
            [{"CustomerMetadataPropertiesToRemove": ["Release"]}, {"ApprovalDescription": "x"}],
            [{"CustomerMetadataPropertiesToRemove": ["Release", "Top1"]}],
        ),
        (
            {
                "StringEquals": {
                    "sagemaker:ModelLifeCycle:Stage": "Stable",
                    "sagemaker:ModelLifeCycle:StageStatus": "Released",
                }
            },
            [{"ModelLifeCycle": STAGE}],
            [
                {"ModelLifeCycle": STAGE | {"Stage": "Candidate"}},
                {"ModelLifeCycle": STAGE | {"StageStatus": "Retired"}},
                {"ModelApprovalStatus": "Approved"},
            ],
        ),
    ],
)
def test_update_is_allowed_by_what_it_writes(
    cloud: LocalCloud,
    client: Client,
    group: str,
    condition: dict[str, Any],
    allowed: list[dict[str, Any]],
    denied: list[dict[str, Any]],
) -> None:
    arn = client("sagemaker").create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    _, theirs = person(cloud, client, condition)
    for change in allowed:
        theirs("sagemaker").update_model_package(ModelPackageArn=arn, **change)
    for change in denied:
        with pytest.raises(ClientError, match="AccessDenied"):
            theirs("sagemaker").update_model_package(ModelPackageArn=arn, **change)


@pytest.mark.parametrize(
    ("condition", "which"),
    [
        ({"StringEquals": {"sagemaker:CurrentModelLifeCycleStage": "Stable"}}, "staged"),
        ({"StringEquals": {"sagemaker:CurrentModelLifeCycleStageStatus": "Released"}}, "staged"),
        (
            {"StringEquals": {"sagemaker:CurrentCustomerMetadataProperties/Team": "cards"}},
            "described",
        ),
    ],
)
def test_update_is_allowed_by_what_the_version_has(
    cloud: LocalCloud, client: Client, group: str, condition: dict[str, Any], which: str
) -> None:
    sagemaker = client("sagemaker")
    versions = {
        name: sagemaker.create_model_package(ModelPackageGroupName=group, **given)[
            "ModelPackageArn"
        ]
        for name, given in (
            ("staged", {"ModelLifeCycle": STAGE}),
            ("described", {"CustomerMetadataProperties": {"Team": "cards"}}),
        )
    }
    _, theirs = person(cloud, client, condition)
    for name, arn in versions.items():
        change = {"ModelPackageArn": arn, "ApprovalDescription": "x"}
        if name == which:
            theirs("sagemaker").update_model_package(**change)
        else:
            with pytest.raises(ClientError, match="AccessDenied"):
                theirs("sagemaker").update_model_package(**change)


def test_version_names_who_created_and_who_changed_it(
    cloud: LocalCloud, client: Client, group: str
) -> None:
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    name, theirs = person(cloud, client, {})
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["CreatedBy"]["IamIdentity"] == {
        "Arn": f"arn:aws:iam::{ACCOUNT}:root",
        "PrincipalId": ACCOUNT,
    }
    assert "LastModifiedBy" not in found
    theirs("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    user = client("iam").get_user(UserName=name)["User"]
    assert found["LastModifiedBy"]["IamIdentity"] == {
        "Arn": user["Arn"],
        "PrincipalId": user["UserId"],
    }


def test_life_cycle_is_described_listed_and_replaced(client: Client, group: str) -> None:
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    for stage in (STAGE, STAGE | {"Stage": "Withdrawn", "StageDescription": "misreads foils"}):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelLifeCycle=stage)
        assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelLifeCycle"] == stage
        rows = sagemaker.list_model_packages(ModelPackageGroupName=group, MaxResults=100)
        row = next(
            each for each in rows["ModelPackageSummaryList"] if each["ModelPackageArn"] == arn
        )
        assert row["ModelLifeCycle"] == stage
    spaced = STAGE | {"Stage": "not a stage"}
    with pytest.raises(ClientError, match="regular expression"):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelLifeCycle=spaced)
