"""Two environments in one account: no pattern of one's policies matches what the other has."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from infra.reading_settings import load_settings
from infra.settings import SettingsError
from registry.names import COMPILE_JOB_PREFIX, JOBS_PREFIX, LINEAGE_ACTION_PREFIX
from tests.infra.assembly import ACCOUNT, REGION, Assembly, as_list

#: What AWS or SageMaker lets nobody divide by environment, or what everybody may know
#: (docs/reliability.md, "Development and production").
SHARED = {
    "*",
    f"arn:aws:iam::{ACCOUNT}:role/*",
    f"arn:aws:iam::{ACCOUNT}:user/*",
    f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/cards",
    f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/cards/*",
    f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/*",
    f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/{COMPILE_JOB_PREFIX}*",
    f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:artifact/*",
    f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:action/{LINEAGE_ACTION_PREFIX}*",
    *(
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/{kind}{rest}"
        for kind in ("TrainingJobs", "ProcessingJobs")
        for rest in ("", ":log-stream:*")
    ),
}
#: Two names of which one begins with the other's.
PAIRS = [("prod", "prod-2"), ("dev", "dev-training"), ("dev", "prod")]
_MADE_UP = {
    "AWS::Lambda::Function": ("lambda", "function:"),
    "AWS::Events::Rule": ("events", "rule/"),
    "AWS::SQS::Queue": ("sqs", ""),
    "AWS::SNS::Topic": ("sns", ""),
    "AWS::Logs::LogGroup": ("logs", "log-group:"),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "alarm:"),
}


def arns(deployment: Assembly) -> Iterator[str]:
    """What a deployment has, by the names that CloudFormation gives where a template gives none."""
    own = f"{REGION}:{ACCOUNT}"
    for name in deployment.names.values():
        yield f"arn:aws:cloudformation:{own}:stack/{name}/3f2c"
    for each in deployment.resources:
        stack, given = deployment.names[each.stack], each.properties
        match each.type:
            case "AWS::S3::Bucket":
                yield f"arn:aws:s3:::{given['BucketName']}"
                yield f"arn:aws:s3:::{given['BucketName']}/jobs/job-1/output/model.tar.gz"
            case "AWS::SageMaker::ModelPackageGroup":
                name = given["ModelPackageGroupName"]
                yield f"arn:aws:sagemaker:{own}:model-package-group/{name}"
                yield f"arn:aws:sagemaker:{own}:model-package/{name}/1"
            case "AWS::SSM::Parameter":
                yield f"arn:aws:ssm:{own}:parameter{given['Name']}"
            case "AWS::ECR::Repository":
                yield f"arn:aws:ecr:{own}:repository/{given['RepositoryName']}"
            case kind if kind in _MADE_UP:
                service, resource = _MADE_UP[kind]
                yield f"arn:aws:{service}:{own}:{resource}{stack}-{each.logical_id}-1A2B3C4D5E6F"


def patterns(deployment: Assembly) -> Iterator[tuple[str, str]]:
    """Where each pattern of a policy stands, and the pattern."""
    for path, statement in deployment.statements():
        for resource in as_list(statement["Resource"]):
            if "*" in resource or "?" in resource:
                yield path, resource


@pytest.mark.processes
@pytest.mark.parametrize(("one", "other"), [*PAIRS, *(pair[::-1] for pair in PAIRS)])
def test_no_pattern_of_one_environment_matches_what_another_has(
    synthesise: Any, one: str, other: str
) -> None:
    first, second = synthesise(environment=one), synthesise(environment=other)
    there = list(arns(second))
    assert len(there) > 60
    matching = [
        (path, pattern, arn)
        for path, pattern in patterns(first)
        if pattern not in SHARED
        for arn in there
        if fnmatchcase(arn, pattern)
    ]
    assert matching == []


@pytest.mark.processes
def test_patterns_match_what_their_own_environment_has(synthesise: Any) -> None:
    """Otherwise the test above would find nothing, whatever the names are."""
    prod = synthesise(environment="prod-2")
    own = list(arns(prod))
    operator = [each for path, each in patterns(prod) if "/Operator/" in path]
    for service in ("lambda", "events", "sqs", "cloudformation"):
        of_service = [each for each in operator if each.startswith(f"arn:aws:{service}:")]
        assert of_service, service
        for pattern in of_service:
            assert any(fnmatchcase(arn, pattern) for arn in own), pattern


@pytest.mark.processes
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_no_rule_of_one_environment_fires_for_another(
    synthesise: Any, one: str, other: str
) -> None:
    """Compile jobs excepted: their names say no environment, and each knows its own by a record."""
    for mine, theirs in ((one, other), (other, one)):
        first, second = synthesise(environment=mine), synthesise(environment=theirs)
        (bucket,) = {
            each.properties["BucketName"]
            for each in second.of_type("AWS::S3::Bucket")
            if each.logical_id.startswith("Training")
        }
        (group,) = second.of_type("AWS::SageMaker::ModelPackageGroup")
        for rule in first.of_type("AWS::Events::Rule"):
            detail = rule.properties.get("EventPattern", {}).get("detail", {})
            for place in detail.get("OutputDataConfig", {}).get("S3OutputPath", []):
                assert not f"s3://{bucket}/{JOBS_PREFIX}job-1".startswith(place["prefix"])
            assert group.properties["ModelPackageGroupName"] not in detail.get(
                "ModelPackageGroupName", []
            )


@pytest.mark.parametrize("name", ["prod-automation", "prod-automation-2", "a-automation-b"])
def test_environment_that_another_s_pattern_would_match_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"cards\.environment.*automation"):
        load_settings({"cards.environment": name})


@pytest.mark.parametrize("name", ["automation", "automation-2", "prod-automations", "pre-registry"])
def test_environment_that_no_other_s_pattern_matches_is_taken(name: str) -> None:
    assert load_settings({"cards.environment": name}).environment == name
