"""Groups, packages and tags: what SageMaker takes, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running_cloud import Client


@pytest.fixture(scope="module")
def group(client: Client) -> str:
    client("sagemaker").create_model_package_group(ModelPackageGroupName="models")
    return "models"


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_package_is_pending_unless_told_and_described_as_it_was_made(
    client: Client, group: str
) -> None:
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription="one",
        CustomerMetadataProperties={"A": "1"},
    )["ModelPackageArn"]
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert found["CustomerMetadataProperties"] == {"A": "1"}
    assert arn.endswith(f":model-package/{group}/{found['ModelPackageVersion']}")


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"ModelPackageGroupName": "models", "Tags": [{"Key": "a", "Value": "b"}]}, "Tags"),
        ({"ModelPackageGroupName": "unknown"}, "does not exist"),
        ({"ModelPackageGroupName": "models", "ModelApprovalStatus": "Yes"}, "enum value set"),
        (
            {"ModelPackageGroupName": "models", "CustomerMetadataProperties": {"k": "v" * 257}},
            "256",
        ),
        (
            {
                "ModelPackageGroupName": "models",
                "CustomerMetadataProperties": {f"k{i}": "v" for i in range(51)},
            },
            "50",
        ),
        ({"ModelPackageGroupName": "models", "ModelPackageDescription": "x" * 1025}, "1024"),
        ({"ModelPackageGroupName": "models", "ModelPackageName": "m"}, "Cannot determine"),
        ({"ModelPackageDescription": "of no group"}, "Missing ARN"),
    ],
)
def test_what_sagemaker_refuses_is_refused(
    client: Client, group: str, request_: dict[str, Any], word: str
) -> None:
    with pytest.raises(ClientError, match=word) as error:
        client("sagemaker").create_model_package(**request_)
    assert code(error) == "ValidationException"


def test_a_group_cannot_be_made_twice_or_deleted_while_it_holds_packages(
    client: Client, group: str
) -> None:
    sagemaker = client("sagemaker")
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    sagemaker.create_model_package(ModelPackageGroupName=group)
    with pytest.raises(ClientError) as error:
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    assert code(error) == "ConflictException"


def test_a_client_token_makes_one_version(client: Client, group: str) -> None:
    sagemaker = client("sagemaker")
    arns = {
        sagemaker.create_model_package(ModelPackageGroupName=group, ClientToken="token")[
            "ModelPackageArn"
        ]
        for _ in range(2)
    }
    assert len(arns) == 1


def test_an_update_merges_metadata_and_keeps_the_rest(client: Client, group: str) -> None:
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group, CustomerMetadataProperties={"A": "1", "B": "2"}
    )["ModelPackageArn"]
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        CustomerMetadataProperties={"B": "3"},
        CustomerMetadataPropertiesToRemove=["A"],
    )
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["CustomerMetadataProperties"] == {"B": "3"}
    assert found["ModelApprovalStatus"] == "PendingManualApproval"


def test_an_update_may_not_make_more_than_fifty_pairs_and_changes_nothing_then(
    client: Client, group: str
) -> None:
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        CustomerMetadataProperties={f"k{number}": "v" for number in range(50)},
    )["ModelPackageArn"]
    with pytest.raises(ClientError) as error:
        sagemaker.update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus="Approved",
            CustomerMetadataProperties={"one": "more"},
        )
    assert code(error) == "ValidationException"
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert len(found["CustomerMetadataProperties"]) == 50


def test_tags_belong_to_the_group_and_not_to_its_versions(client: Client, group: str) -> None:
    sagemaker = client("sagemaker")
    tags = [{"Key": "team", "Value": "cards"}]
    found = sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    sagemaker.add_tags(ResourceArn=found["ModelPackageGroupArn"], Tags=tags)
    assert sagemaker.list_tags(ResourceArn=found["ModelPackageGroupArn"])["Tags"] == tags
    version = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    for arn in (version, found["ModelPackageGroupArn"] + "-of-nobody"):
        with pytest.raises(ClientError) as error:
            sagemaker.add_tags(ResourceArn=arn, Tags=tags)
        assert code(error) == "ValidationException"
    sagemaker.delete_tags(ResourceArn=found["ModelPackageGroupArn"], TagKeys=["team"])
    assert sagemaker.list_tags(ResourceArn=found["ModelPackageGroupArn"])["Tags"] == []


def test_a_page_token_that_nobody_gave_is_refused(client: Client, group: str) -> None:
    with pytest.raises(ClientError, match="Invalid NextToken"):
        client("sagemaker").list_model_packages(ModelPackageGroupName=group, NextToken="?")


def test_listing_pages_filters_and_sorts_ascending_by_default(client: Client) -> None:
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="listed")
    for number in range(5):
        sagemaker.create_model_package(
            ModelPackageGroupName="listed",
            ModelApprovalStatus="Approved" if number % 2 else "Rejected",
        )
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName="listed", PaginationConfig={"PageSize": 2}
    )
    versions = [row["ModelPackageVersion"] for p in pages for row in p["ModelPackageSummaryList"]]
    assert versions == [1, 2, 3, 4, 5]
    approved = sagemaker.list_model_packages(
        ModelPackageGroupName="listed", ModelApprovalStatus="Approved", SortOrder="Descending"
    )["ModelPackageSummaryList"]
    assert [row["ModelPackageVersion"] for row in approved] == [4, 2]


def test_an_operation_that_is_not_there_is_named(client: Client) -> None:
    with pytest.raises(ClientError, match="CreateEndpoint is not part") as error:
        client("sagemaker").create_endpoint(EndpointName="e", EndpointConfigName="c")
    assert code(error) == "UnknownOperationException"
