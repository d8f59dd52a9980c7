"""Templates: SageMaker's resources, and the properties that MiniStack drops."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running_cloud import Client, make_role, until

TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Group": {
            "Type": "AWS::SageMaker::ModelPackageGroup",
            "Properties": {
                "ModelPackageGroupName": "of-a-template",
                "ModelPackageGroupDescription": "first",
                "Tags": [{"Key": "team", "Value": "cards"}],
            },
        },
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": "of-a-template",
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
                    ]
                },
                "LifecycleConfiguration": {
                    "Rules": [
                        {
                            "Id": "uploads",
                            "Status": "Enabled",
                            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                        },
                        {
                            "Id": "old",
                            "Status": "Enabled",
                            "Prefix": "tmp/",
                            "ExpirationInDays": 3,
                            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
                        },
                    ]
                },
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "of-a-template"}},
    },
    "Outputs": {"GroupArn": {"Value": {"Fn::GetAtt": ["Group", "ModelPackageGroupArn"]}}},
}


@pytest.fixture(scope="module")
def stack(client: Client) -> dict[str, Any]:
    role = make_role(client, "template-function", "lambda.amazonaws.com", [])
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": "of-a-template",
            "Runtime": "python3.12",
            "Handler": "index.handler",
            "Role": role,
            "Code": {"ZipFile": "def handler(event, context): pass"},
            "DeadLetterConfig": {"TargetArn": {"Fn::GetAtt": ["Queue", "Arn"]}},
        },
    }
    resources = {**TEMPLATE["Resources"], "Function": function}
    return deploy(client, {**TEMPLATE, "Resources": resources})


def deploy(client: Client, template: dict[str, Any], update: bool = False) -> dict[str, Any]:
    formation = client("cloudformation")
    act = formation.update_stack if update else formation.create_stack
    act(StackName="cards", TemplateBody=json.dumps(template))

    def read() -> dict[str, Any] | None:
        found: dict[str, Any] = formation.describe_stacks(StackName="cards")["Stacks"][0]
        return None if found["StackStatus"].endswith("IN_PROGRESS") else found

    found: dict[str, Any] = until(read)
    assert found["StackStatus"] == ("UPDATE_COMPLETE" if update else "CREATE_COMPLETE"), found
    return {**template, "Outputs": {o["OutputKey"]: o["OutputValue"] for o in found["Outputs"]}}


def test_group_of_a_template_is_there_with_its_tags(client: Client, stack: dict[str, Any]) -> None:
    sagemaker = client("sagemaker")
    found = sagemaker.describe_model_package_group(ModelPackageGroupName="of-a-template")
    assert found["ModelPackageGroupArn"] == stack["Outputs"]["GroupArn"]
    tags = sagemaker.list_tags(ResourceArn=found["ModelPackageGroupArn"])["Tags"]
    assert {"Key": "team", "Value": "cards"} in tags


def test_bucket_keeps_its_encryption_and_lifecycle(client: Client, stack: dict[str, Any]) -> None:
    s3 = client("s3")
    rules = s3.get_bucket_encryption(Bucket="of-a-template")
    default = rules["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert default["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    found = s3.get_bucket_lifecycle_configuration(Bucket="of-a-template")["Rules"]
    uploads, old = sorted(found, key=lambda rule: rule["ID"] != "uploads")
    assert uploads["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
    assert old["Expiration"]["Days"] == 3 and old["Filter"]["Prefix"] == "tmp/"
    assert old["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30


def test_function_keeps_its_dead_letter_queue(client: Client, stack: dict[str, Any]) -> None:
    found = client("lambda").get_function_configuration(FunctionName="of-a-template")
    assert found["DeadLetterConfig"]["TargetArn"].endswith(":of-a-template")


def test_other_description_of_a_group_is_refused_and_nothing_changes(
    client: Client, stack: dict[str, Any]
) -> None:
    """It is create-only: CloudFormation would have to replace a resource whose name is taken."""
    changed = json.loads(json.dumps({key: stack[key] for key in ("Resources",)}))
    changed["Resources"]["Group"]["Properties"]["ModelPackageGroupDescription"] = "second"
    formation = client("cloudformation")
    formation.update_stack(StackName="cards", TemplateBody=json.dumps(changed))
    until(
        lambda: (
            formation.describe_stacks(StackName="cards")["Stacks"][0]["StackStatus"]
            == "UPDATE_ROLLBACK_COMPLETE"
        )
    )
    reasons = [
        event.get("ResourceStatusReason", "")
        for event in formation.describe_stack_events(StackName="cards")["StackEvents"]
        if event["ResourceStatus"] == "UPDATE_FAILED"
    ]
    assert any("custom-named resource requires replacing" in reason for reason in reasons)
    found = client("sagemaker").describe_model_package_group(ModelPackageGroupName="of-a-template")
    assert found["ModelPackageGroupDescription"] == "first"


def test_update_changes_the_group_and_deletion_keeps_one_with_packages(
    client: Client, stack: dict[str, Any]
) -> None:
    changed = json.loads(json.dumps({key: stack[key] for key in ("Resources",)}))
    changed["Outputs"] = TEMPLATE["Outputs"]
    policy = changed["Resources"]["Group"]["Properties"]["ModelPackageGroupPolicy"] = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
                "Action": "sagemaker:DescribeModelPackageGroup",
                "Resource": stack["Outputs"]["GroupArn"],
            }
        ],
    }
    deploy(client, changed, update=True)
    sagemaker, formation = client("sagemaker"), client("cloudformation")
    asked = {"ModelPackageGroupName": "of-a-template"}
    written = sagemaker.get_model_package_group_policy(**asked)["ResourcePolicy"]
    assert json.loads(written) == policy
    del changed["Resources"]["Group"]["Properties"]["ModelPackageGroupPolicy"]
    deploy(client, changed, update=True)
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        sagemaker.get_model_package_group_policy(**asked)
    sagemaker.create_model_package(ModelPackageGroupName="of-a-template")
    formation.delete_stack(StackName="cards")
    until(
        lambda: (
            formation.describe_stacks(StackName="cards")["Stacks"][0]["StackStatus"]
            == "DELETE_FAILED"
        )
    )
    assert sagemaker.describe_model_package_group(ModelPackageGroupName="of-a-template")


def test_template_that_sagemaker_refuses_says_why(client: Client) -> None:
    formation = client("cloudformation")
    bad = {
        "Resources": {
            "Group": {
                "Type": "AWS::SageMaker::ModelPackageGroup",
                "Properties": {"ModelPackageGroupName": "not a name!"},
            }
        }
    }
    try:
        formation.create_stack(StackName="bad", TemplateBody=json.dumps(bad))
    except ClientError as error:
        assert "regular expression" in str(error)
        return
    reasons = until(
        lambda: [
            event["ResourceStatusReason"]
            for event in formation.describe_stack_events(StackName="bad")["StackEvents"]
            if event["ResourceStatus"] == "CREATE_FAILED" and event.get("ResourceStatusReason")
        ]
    )
    assert any("regular expression" in reason for reason in reasons)


def test_change_set_finds_a_property_that_names_another_resource(client: Client) -> None:
    cloudformation, ssm = client("cloudformation"), client("ssm")

    def template(queue: str) -> str:
        value = {"Fn::GetAtt": [queue, "Arn"]}
        named = {"Type": "String", "Name": "/references/queue", "Value": value}
        queues = {name: {"Type": "AWS::SQS::Queue"} for name in ("One", "Two")}
        parameter = {"Type": "AWS::SSM::Parameter", "Properties": named}
        return json.dumps({"Resources": {**queues, "Parameter": parameter}})

    cloudformation.create_stack(StackName="references", TemplateBody=template("One"))
    first = until(lambda: value_of(ssm, "/references/queue"))
    for name, queue, found in (("same", "One", False), ("other", "Two", True)):
        cloudformation.create_change_set(
            StackName="references", ChangeSetName=name, TemplateBody=template(queue)
        )
        described = cloudformation.describe_change_set(StackName="references", ChangeSetName=name)
        assert bool(described["Changes"]) is found, name
    cloudformation.execute_change_set(StackName="references", ChangeSetName="other")
    assert until(lambda: value_of(ssm, "/references/queue") != first)


def value_of(ssm: Any, name: str) -> str | None:
    try:
        return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return None
