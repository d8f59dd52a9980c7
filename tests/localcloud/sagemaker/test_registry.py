"""Groups, packages and tags: what SageMaker takes, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.running_cloud import Client, client_of, make_role

READER, STRANGER = "222222222222", "333333333333"


@pytest.fixture(scope="module")
def group(client: Client) -> str:
    client("sagemaker").create_model_package_group(ModelPackageGroupName="models")
    return "models"


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_package_is_pending_by_default_and_described_as_created(client: Client, group: str) -> None:
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
def test_request_that_sagemaker_refuses_is_refused(
    client: Client, group: str, request_: dict[str, Any], word: str
) -> None:
    with pytest.raises(ClientError, match=word) as error:
        client("sagemaker").create_model_package(**request_)
    assert code(error) == "ValidationException"


def test_group_cannot_be_made_twice_or_deleted_while_it_holds_packages(
    client: Client, group: str
) -> None:
    sagemaker = client("sagemaker")
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    sagemaker.create_model_package(ModelPackageGroupName=group)
    with pytest.raises(ClientError) as error:
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    assert code(error) == "ConflictException"


def test_client_token_makes_one_version(client: Client, group: str) -> None:
    sagemaker = client("sagemaker")
    arns = {
        sagemaker.create_model_package(ModelPackageGroupName=group, ClientToken="token")[
            "ModelPackageArn"
        ]
        for _ in range(2)
    }
    assert len(arns) == 1


def test_update_merges_metadata_and_keeps_the_rest(client: Client, group: str) -> None:
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


def test_update_may_not_make_more_than_fifty_pairs_and_changes_nothing_then(
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


def policy(group_arn: str, *actions: str) -> str:
    """A group's policy that gives the reader actions on the group and its versions."""
    versions = group_arn.replace(":model-package-group/", ":model-package/") + "/*"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{READER}:root"},
        "Action": list(actions),
        "Resource": [group_arn, versions],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_groups_policy_is_put_read_and_deleted(client: Client) -> None:
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package_group(ModelPackageGroupName="policed")[
        "ModelPackageGroupArn"
    ]
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName="policed")
    document = policy(arn, "sagemaker:DescribeModelPackage")
    put = sagemaker.put_model_package_group_policy(
        ModelPackageGroupName="policed", ResourcePolicy=document
    )
    assert put["ModelPackageGroupArn"] == arn
    got = sagemaker.get_model_package_group_policy(ModelPackageGroupName="policed")
    assert got["ResourcePolicy"] == document
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName="policed")
    with pytest.raises(ClientError) as error:
        sagemaker.get_model_package_group_policy(ModelPackageGroupName="policed")
    assert code(error) == "ValidationException"
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.put_model_package_group_policy(
            ModelPackageGroupName="of-nobody", ResourcePolicy=document
        )


def account(cloud: LocalCloud, number: str) -> Client:
    """Clients of another account's root."""
    return client_of(
        cloud, aws_access_key_id=number, aws_secret_access_key=cloud.env()["AWS_SECRET_ACCESS_KEY"]
    )


@pytest.fixture(scope="module")
def shared(client: Client) -> tuple[str, str]:
    """A group that the reader may look at, and a version of it; their ARNs."""
    sagemaker = client("sagemaker")
    group_arn = sagemaker.create_model_package_group(ModelPackageGroupName="shared")[
        "ModelPackageGroupArn"
    ]
    sagemaker.put_model_package_group_policy(
        ModelPackageGroupName="shared",
        ResourcePolicy=policy(
            group_arn,
            "sagemaker:DescribeModelPackageGroup",
            "sagemaker:DescribeModelPackage",
            "sagemaker:ListModelPackages",
        ),
    )
    version = sagemaker.create_model_package(ModelPackageGroupName="shared")["ModelPackageArn"]
    return group_arn, version


def test_another_account_reads_what_the_groups_policy_allows_by_arn(
    cloud: LocalCloud, shared: tuple[str, str]
) -> None:
    group_arn, version = shared
    reader = account(cloud, READER)("sagemaker")
    found = reader.describe_model_package_group(ModelPackageGroupName=group_arn)
    assert found["ModelPackageGroupArn"] == group_arn
    rows = reader.list_model_packages(ModelPackageGroupName=group_arn)["ModelPackageSummaryList"]
    assert [row["ModelPackageArn"] for row in rows] == [version]
    assert reader.describe_model_package(ModelPackageName=version)["ModelPackageArn"] == version
    with pytest.raises(ClientError, match="does not exist"):
        reader.describe_model_package_group(ModelPackageGroupName="shared")  # its own


def test_another_account_changes_nothing_and_a_third_sees_nothing(
    cloud: LocalCloud, client: Client, shared: tuple[str, str]
) -> None:
    group_arn, version = shared
    reader, stranger = (account(cloud, number)("sagemaker") for number in (READER, STRANGER))
    asked = {"ModelPackageArn": version, "ModelApprovalStatus": "Approved"}
    for ask in (
        lambda: reader.update_model_package(**asked),
        lambda: reader.create_model_package(ModelPackageGroupName=group_arn),
        lambda: stranger.describe_model_package(ModelPackageName=version),
        lambda: stranger.list_model_packages(ModelPackageGroupName=group_arn),
    ):
        with pytest.raises(ClientError, match="no resource-based policy allows") as error:
            ask()
        assert code(error) == "AccessDeniedException"
    found = client("sagemaker").describe_model_package(ModelPackageName=version)
    assert found["ModelApprovalStatus"] == "PendingManualApproval"


def test_role_of_another_account_needs_its_own_right_as_well(
    cloud: LocalCloud, shared: tuple[str, str]
) -> None:
    _, version = shared
    theirs = account(cloud, READER)
    trust = {"Effect": "Allow", "Principal": {"AWS": READER}, "Action": "sts:AssumeRole"}
    for name, actions in (("looks", ["sagemaker:DescribeModelPackage"]), ("looks-not", [])):
        make_role(
            theirs,
            name,
            "lambda.amazonaws.com",
            [{"Effect": "Allow", "Action": action, "Resource": version} for action in actions],
        )
        theirs("iam").update_assume_role_policy(
            RoleName=name,
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        keys = theirs("sts").assume_role(
            RoleArn=f"arn:aws:iam::{READER}:role/{name}", RoleSessionName="test"
        )["Credentials"]
        role = client_of(
            cloud,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )("sagemaker")
        if actions:
            assert role.describe_model_package(ModelPackageName=version)
        else:
            with pytest.raises(ClientError, match="not authorized"):
                role.describe_model_package(ModelPackageName=version)


def test_unknown_page_token_is_refused(client: Client, group: str) -> None:
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


def test_page_is_cut_before_it_is_filtered(client: Client) -> None:
    """So a page can be empty and have a token, as AWS's are (boto3#2838)."""
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="cut")
    for status in ("Rejected", "Rejected", "Approved"):
        sagemaker.create_model_package(ModelPackageGroupName="cut", ModelApprovalStatus=status)
    asked = {"ModelPackageGroupName": "cut", "ModelApprovalStatus": "Approved", "MaxResults": 2}
    first = sagemaker.list_model_packages(**asked)
    assert first["ModelPackageSummaryList"] == []
    second = sagemaker.list_model_packages(**asked, NextToken=first["NextToken"])
    assert [row["ModelPackageVersion"] for row in second["ModelPackageSummaryList"]] == [3]
    assert "NextToken" not in second


def test_version_says_who_created_and_who_changed_it(client: Client, group: str) -> None:
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    caller = client("sts").get_caller_identity()
    identity = {"Arn": caller["Arn"], "PrincipalId": caller["UserId"]}
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["CreatedBy"]["IamIdentity"] == identity
    assert "LastModifiedBy" not in found
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["LastModifiedBy"]["IamIdentity"] == identity


def test_operation_that_is_not_there_is_named(client: Client) -> None:
    with pytest.raises(ClientError, match="CreateEndpoint is not part") as error:
        client("sagemaker").create_endpoint(EndpointName="e", EndpointConfigName="c")
    assert code(error) == "UnknownOperationException"
