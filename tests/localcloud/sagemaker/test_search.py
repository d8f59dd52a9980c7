"""Search: what it finds, in which order, and what SageMaker refuses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.running_cloud import Client, client_of


@pytest.fixture(scope="module")
def group(client: Client) -> Iterator[str]:
    """Four versions: two approved, one with a life cycle."""
    name = f"searched-{uuid.uuid4().hex[:8]}"
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(
        ModelPackageGroupName=name, Tags=[{"Key": "team", "Value": "cards"}]
    )
    for number, (approval, words) in enumerate(
        [("Approved", "a teacher"), ("Rejected", "a student"), ("Approved", "a student"), ("", "x")]
    ):
        sagemaker.create_model_package(
            ModelPackageGroupName=name,
            ModelPackageDescription=f"{words} number {number}",
            CustomerMetadataProperties={"Top1": f"0.{number}"},
            **({"ModelApprovalStatus": approval} if approval else {}),
        )
    yield name


def where(name: str, operator: str, value: str | None = None) -> dict[str, str]:
    return {"Name": name, "Operator": operator, **({"Value": value} if value else {})}


def search(client: Client, group: str, *filters: dict[str, str], **more: Any) -> list[int]:
    """The numbers of the versions found, in the answer's order."""
    answer = client("sagemaker").search(
        Resource="ModelPackage",
        SearchExpression={"Filters": [where("ModelPackageGroupName", "Equals", group), *filters]},
        **{"SortBy": "CreationTime", "SortOrder": "Ascending", **more},
    )
    return [each["ModelPackage"]["ModelPackageVersion"] for each in answer["Results"]]


def refused(client: Client, word: str, **request: Any) -> None:
    with pytest.raises(ClientError, match=word) as error:
        client("sagemaker").search(**{"Resource": "ModelPackage", **request})
    assert error.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("condition", "versions"),
    [
        (where("ModelApprovalStatus", "Equals", "Approved"), [1, 3]),
        ({"Name": "ModelApprovalStatus", "Value": "Approved"}, [1, 3]),
        (where("ModelApprovalStatus", "NotEquals", "Approved"), [2, 4]),
        (where("ModelApprovalStatus", "In", "Rejected, PendingManualApproval"), [2, 4]),
        (where("ModelPackageDescription", "Contains", "a student"), [2, 3]),
        (where("ModelPackageVersion", "GreaterThan", "2"), [3, 4]),
        (where("ModelPackageVersion", "GreaterThanOrEqualTo", "2"), [2, 3, 4]),
        (where("ModelPackageVersion", "LessThan", "2"), [1]),
        (where("ModelPackageVersion", "LessThanOrEqualTo", "2"), [1, 2]),
        (where("ApprovalDescription", "Exists"), []),
        (where("ApprovalDescription", "NotExists"), [1, 2, 3, 4]),
        (where("ApprovalDescription", "NotEquals", "x"), [1, 2, 3, 4]),
        (where("CreationTime", "GreaterThan", "2020-01-01T00:00:00"), [1, 2, 3, 4]),
        (where("CreationTime", "LessThan", "2020-01-01T00:00:00"), []),
    ],
)
def test_operator_finds_matching_versions(
    client: Client, group: str, condition: dict[str, str], versions: list[int]
) -> None:
    assert search(client, group, condition) == versions


def test_found_version_comes_with_all_that_is_known_of_it(client: Client, group: str) -> None:
    answer = client("sagemaker").search(
        Resource="ModelPackage",
        SearchExpression={"Filters": [where("ModelPackageGroupName", "Equals", group)]},
        MaxResults=1,
    )
    found = answer["Results"][0]["ModelPackage"]
    described = client("sagemaker").describe_model_package(
        ModelPackageName=found["ModelPackageArn"]
    )
    for key in ("CustomerMetadataProperties", "CreationTime", "ModelApprovalStatus"):
        assert found[key] == described[key]
    assert answer["TotalHits"] == {"Value": 4, "Relation": "EqualTo"}


def test_results_come_in_order_and_in_pages(client: Client, group: str) -> None:
    assert search(client, group, SortOrder="Descending") == [4, 3, 2, 1]
    assert search(client, group, SortBy="ModelPackageDescription") == [2, 3, 1, 4]
    pages = (
        client("sagemaker")
        .get_paginator("search")
        .paginate(
            Resource="ModelPackage",
            SearchExpression={"Filters": [where("ModelPackageGroupName", "Equals", group)]},
            SortBy="CreationTime",
            PaginationConfig={"PageSize": 3},
        )
    )
    numbers = [
        [each["ModelPackage"]["ModelPackageVersion"] for each in page["Results"]] for page in pages
    ]
    assert numbers == [[4, 3, 2], [1]]


def test_newest_change_comes_first_by_default(client: Client, group: str) -> None:
    sagemaker = client("sagemaker")
    arn = sagemaker.list_model_packages(
        ModelPackageGroupName=group, SortBy="CreationTime", MaxResults=1
    )["ModelPackageSummaryList"][0]["ModelPackageArn"]
    sagemaker.update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"Touched": "yes"}
    )
    expression = {"Filters": [where("ModelPackageGroupName", "Equals", group)]}
    answer = sagemaker.search(Resource="ModelPackage", SearchExpression=expression)
    assert answer["Results"][0]["ModelPackage"]["ModelPackageArn"] == arn


def test_expressions_hold_expressions(client: Client, group: str) -> None:
    answer = client("sagemaker").search(
        Resource="ModelPackage",
        SortBy="CreationTime",
        SearchExpression={
            "Filters": [where("ModelPackageGroupName", "Equals", group)],
            "SubExpressions": [
                {
                    "Operator": "Or",
                    "Filters": [
                        where("ModelPackageVersion", "Equals", "1"),
                        where("ModelApprovalStatus", "Equals", "Rejected"),
                    ],
                }
            ],
        },
    )
    found = [each["ModelPackage"]["ModelPackageVersion"] for each in answer["Results"]]
    assert found == [2, 1]


@pytest.mark.parametrize(
    ("filters", "word"),
    [
        ([where("Nonsense", "Equals", "x")], "Unknown property"),
        ([where("CustomerMetadataProperties.Top1", "Equals", "0.1")], "Unknown property"),
        ([where("ModelPackageDescription", "GreaterThan", "x")], "not supported for text"),
        ([where("ModelPackageVersion", "Contains", "1")], "only supported for text"),
        ([where("ModelPackageVersion", "Equals", "one")], "is no integer"),
        ([where("CreationTime", "GreaterThan", "yesterday")], "is no timestamp"),
        ([where("ModelPackageDescription", "Equals")], "needs a Value"),
        ([where("ModelPackageDescription", "Resembles", "x")], "enum value set"),
        (
            [
                where("ModelPackageDescription", "Contains", "a"),
                where("ModelPackageGroupName", "Contains", "b"),
            ],
            "'CONTAINS' operator usage limit of 1 exceeded",
        ),
    ],
)
def test_filter_that_sagemaker_refuses_is_refused(
    client: Client, filters: list[dict[str, str]], word: str
) -> None:
    refused(client, word, SearchExpression={"Filters": filters})


def test_limits_and_what_is_not_here_are_refused(client: Client) -> None:
    one = where("ModelPackageVersion", "Equals", "1")
    refused(client, "at least one filter", SearchExpression={"Operator": "Or"})
    many = {"SubExpressions": [{"Filters": [one] * 17}] * 3}
    refused(client, "50 filters, not 51", SearchExpression=many)
    refused(client, "less than or equal to 100", MaxResults=101)
    refused(client, "Invalid NextToken", NextToken="!")
    refused(client, "searches ModelPackage", Resource="Pipeline")
    refused(client, "one account", CrossAccountFilterOption="CrossAccount")


def test_groups_are_found_by_their_tags(client: Client, group: str) -> None:
    answer = client("sagemaker").search(
        Resource="ModelPackageGroup",
        SearchExpression={"Filters": [where("Tags.team", "Equals", "cards")]},
    )
    names = [each["ModelPackageGroup"]["ModelPackageGroupName"] for each in answer["Results"]]
    assert group in names


def test_training_jobs_are_found_by_hyper_parameters_and_channels(
    client: Client, role: str, bucket: str
) -> None:
    name = f"searched-{uuid.uuid4().hex[:8]}"
    sagemaker = client("sagemaker")
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=role,
        AlgorithmSpecification={
            "TrainingImage": "image",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["true"],
        },
        HyperParameters={"learning_rate": "0.001", "recipe": "tiny", "marker": name},
        InputDataConfig=[
            {
                "ChannelName": "cards",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{bucket}/allowed/nothing/",
                    }
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/allowed"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )

    def found(nested_uri: str, *filters: dict[str, str]) -> list[str]:
        nested = [
            where("InputDataConfig.ChannelName", "Equals", "cards"),
            where("InputDataConfig.DataSource.S3DataSource.S3Uri", "Contains", nested_uri),
        ]
        answer = sagemaker.search(
            Resource="TrainingJob",
            SearchExpression={
                "Filters": [where("HyperParameters.marker", "Equals", name), *filters],
                "NestedFilters": [
                    {"NestedPropertyName": "InputDataConfig", "Filters": nested},
                ],
            },
        )
        return [each["TrainingJob"]["TrainingJobName"] for each in answer["Results"]]

    assert found("allowed") == [name]
    assert found("elsewhere") == []
    assert found("allowed", where("HyperParameters.learning_rate", "LessThan", "0.01")) == [name]
    assert found("allowed", where("HyperParameters.learning_rate", "GreaterThan", "0.01")) == []
    assert found("allowed", where("HyperParameters.recipe", "GreaterThan", "0.01")) == []
    sagemaker.stop_training_job(TrainingJobName=name)


def test_searching_is_a_right_of_its_own_and_names_no_resource(
    cloud: LocalCloud, client: Client, group: str
) -> None:
    iam = client("iam")
    user = f"searcher-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    sagemaker = client_of(
        cloud,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )("sagemaker")
    arns = [
        row["ModelPackageArn"]
        for row in client("sagemaker").list_model_packages(ModelPackageGroupName=group)[
            "ModelPackageSummaryList"
        ]
    ]

    def allow(*statements: tuple[str, str]) -> None:
        document = [
            {"Effect": "Allow", "Action": action, "Resource": resource}
            for action, resource in statements
        ]
        iam.put_user_policy(
            UserName=user,
            PolicyName="own",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": document}),
        )

    group_arn = arns[0].rpartition("/")[0] + "/*"
    allow(("sagemaker:Search", group_arn))
    with pytest.raises(ClientError, match="sagemaker:Search"):
        sagemaker.search(Resource="ModelPackage")
    allow(("sagemaker:Search", "*"), ("sagemaker:BatchDescribeModelPackage", arns[0]))
    assert sagemaker.search(Resource="ModelPackage")["Results"]
    answer = sagemaker.batch_describe_model_package(ModelPackageArnList=arns[:2])
    assert list(answer["ModelPackageSummaries"]) == arns[:1]
    refused_ = answer["BatchDescribeModelPackageErrorMap"][arns[1]]
    assert refused_["ErrorCode"] == "AccessDeniedException"


def test_time_without_a_zone_is_utc(client: Client, group: str) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S")
    assert search(client, group, where("CreationTime", "GreaterThan", soon)) == []
    assert len(search(client, group, where("CreationTime", "LessThan", soon))) == 4
