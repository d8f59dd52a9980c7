"""Calls that the AWS CLI and SDKs make beside those of the product: models, suggestions, groups."""

from __future__ import annotations

import uuid

import pytest
from botocore.exceptions import ClientError

from localcloud.sagemaker.api_model.service_model import answer_faults
from tests.running_cloud import Client, make_role


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.fixture
def version(client: Client) -> str:
    name = f"Models-{uuid.uuid4().hex[:8]}"
    client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    made = client("sagemaker").create_model_package(ModelPackageGroupName=name)
    return str(made["ModelPackageArn"])


def test_model_of_a_version_is_kept_listed_and_deleted(client: Client, version: str) -> None:
    sagemaker, name = client("sagemaker"), f"model-{uuid.uuid4().hex[:8]}"
    role = make_role(client, name, "sagemaker.amazonaws.com", [])
    container = {"ModelPackageName": version}
    arn = sagemaker.create_model(
        ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role,
        Tags=[{"Key": "team", "Value": "cards"}],
    )["ModelArn"]  # fmt: skip
    assert sagemaker.describe_model(ModelName=name)["PrimaryContainer"] == container
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "cards"}]
    assert [each["ModelArn"] for each in sagemaker.list_models(NameContains=name)["Models"]] == [
        arn
    ]
    with pytest.raises(ClientError, match="already existing"):
        sagemaker.create_model(ModelName=name, PrimaryContainer=container)
    sagemaker.delete_model(ModelName=name)
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.describe_model(ModelName=name)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "Exactly one"),
        ({"PrimaryContainer": {"Mode": "SingleModel"}}, "either an Image or a ModelPackageName"),
        ({"PrimaryContainer": {"ModelPackageName": "unknown/1"}}, "does not exist"),
    ],
)
def test_model_of_nothing_is_refused(client: Client, given: dict[str, object], word: str) -> None:
    with pytest.raises(ClientError, match=word):
        client("sagemaker").create_model(ModelName="none", **given)


def test_suggestions_are_properties_that_begin_with_the_hint(client: Client) -> None:
    sagemaker = client("sagemaker")
    hint = {"PropertyNameQuery": {"PropertyNameHint": "modelapproval"}}
    answer = sagemaker.get_search_suggestions(Resource="ModelPackage", SuggestionQuery=hint)
    assert answer["PropertyNameSuggestions"] == [{"PropertyName": "ModelApprovalStatus"}]
    everything = sagemaker.get_search_suggestions(Resource="ModelPackage")
    assert len(everything["PropertyNameSuggestions"]) == 10


def test_account_has_one_lineage_group_that_its_entities_name(client: Client) -> None:
    sagemaker = client("sagemaker")
    (group,) = sagemaker.list_lineage_groups()["LineageGroupSummaries"]
    uri = f"s3://work/{uuid.uuid4().hex}"
    arn = sagemaker.create_artifact(ArtifactType="Model", Source={"SourceUri": uri})["ArtifactArn"]
    artifact = sagemaker.describe_artifact(ArtifactArn=arn)
    assert artifact["LineageGroupArn"] == group["LineageGroupArn"]
    described = sagemaker.describe_lineage_group(LineageGroupName=group["LineageGroupName"])
    assert described["LineageGroupArn"] == group["LineageGroupArn"]
    with pytest.raises(ClientError) as error:
        sagemaker.describe_lineage_group(LineageGroupName="other")
    assert code(error) == "ResourceNotFound"


def test_there_are_no_published_models_and_no_model_cards(client: Client) -> None:
    sagemaker = client("sagemaker")
    assert sagemaker.list_model_metadata()["ModelMetadataSummaries"] == []
    assert sagemaker.list_model_cards()["ModelCardSummaries"] == []
    for call in (sagemaker.list_model_card_export_jobs, sagemaker.describe_model_card):
        with pytest.raises(ClientError) as error:
            call(ModelCardName="card")
        assert code(error) == "ResourceNotFound"


def test_token_with_other_parameters_is_a_conflict(client: Client, version: str) -> None:
    sagemaker, token = client("sagemaker"), uuid.uuid4().hex
    group = version.split("/")[1]
    given = {"ModelPackageGroupName": group, "ClientToken": token}
    first = sagemaker.create_model_package(**given)["ModelPackageArn"]
    assert sagemaker.create_model_package(**given)["ModelPackageArn"] == first
    with pytest.raises(ClientError) as error:
        sagemaker.create_model_package(**given, ModelPackageDescription="another")
    assert code(error) == "ConflictException"
    sagemaker.delete_model_package(ModelPackageName=first)
    assert sagemaker.create_model_package(**given)["ModelPackageArn"] != first


def test_version_is_found_whatever_capitals_its_arn_has(client: Client, version: str) -> None:
    found = client("sagemaker").describe_model_package(ModelPackageName=version.lower())
    assert found["ModelPackageArn"] == version != version.lower()


@pytest.mark.parametrize(
    ("operation", "answer", "word"),
    [
        ("CreateModelPackage", {}, "must not be null"),
        ("CreateModelPackage", {"ModelPackageArn": "arn"}, "regular expression"),
        ("ListModelPackages", {"ModelPackageSummaryList": {}}, "must be a list"),
        ("DescribeModelPackageGroup", {"CreationTime": "today"}, "must be a timestamp"),
        ("DescribeModelPackageGroup", {"ModelPackageGroupStatus": "Done"}, "enum value set"),
        ("ListTags", {"Tags": [{"Key": "a"}]}, "must not be null"),
    ],
)
def test_answer_that_the_model_does_not_have_is_a_fault(
    operation: str, answer: dict[str, object], word: str
) -> None:
    assert word in "; ".join(answer_faults(operation, answer))
