"""The product's own requests fit the services' models, and every kind of request is among them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.operations.account.dry_run import Request, operations_of, request_faults
from cli.operations.account.product_requests import ProductRequests
from cli.operations.account.requests_check import judge_requests
from registry.compilation.compile_settings import CompileSettings
from registry.compilation.jobs import CompileJobSettings
from registry.deployment import DeployedNames

ROOT = Path(__file__).resolve().parents[4]
ACCOUNT, REGION = "123456789012", "us-east-2"
IMAGE = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/pytorch-training:2.8.0-cpu-py312"
SERVICES = (
    *("sagemaker", "s3", "kms", "sns", "lambda", "sqs", "events", "ssm", "iam", "sts"),
    *("cloudformation", "logs", "ecr", "pricing", "secretsmanager", "cloudwatch", "service-quotas"),
)
#: Methods of other libraries that have the name of one of AWS's.
OTHERS = {
    "create_experiment": "MLflow's client",
    "create_model": "timm",
    "list_models": "timm",
    "list_jobs": "registry.compilation.jobs",
}
#: Requests whose only parameters are ids that AWS has given in an answer, or that have none.
WITH_GIVEN_IDS = {
    "stop_training_job": "cards train, after Ctrl-C: the job's name",
    "delete_message": "cards dlq: queue and receipt",
    "get_authorization_token": "cards hailo image push: no parameter",
    "get_secret_value": "training jobs: the secret's name",
}
#: What reads the live account in ``cards verify-account`` itself.
LIVE = (ROOT / "cli/operations/checks", ROOT / "cli/operations/account")


def arn(service: str, resource: str, region: str = REGION) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{resource}"


@pytest.fixture(scope="module")
def made() -> dict[str, list[Request]]:
    names = DeployedNames(
        "dev", "models", "training-bucket", "mlflow-bucket", "none", "release-bucket",
        arn("iam", "role/training", ""), arn("iam", "role/compile", ""), arn("kms", "key/1234"),
        "onnx-int8", register_function="register", compile_function="compile",
        publish_function="publish", reconciler_function="reconcile",
        notice_topic_arn=arn("sns", "notices"),
    )  # fmt: skip
    return ProductRequests(
        names,
        ACCOUNT,
        REGION,
        CompileSettings({"compiler": "onnx-int8"}, IMAGE),
        CompileJobSettings(
            names.compile_role_arn, "ml.m5.xlarge", 600, "s3://training-bucket/source/code.zip",
            names.training_bucket, subnets=("subnet-0a1b2c3d",), security_group="sg-0a1b2c3d",
        ),
    ).make()  # fmt: skip


def test_no_request_is_refused_by_its_services_model(made: dict[str, list[Request]]) -> None:
    for words, requests in made.items():
        assert requests, words
        assert [each.state.value for each in judge_requests(words, requests)] == ["ok"]


def test_every_kind_of_request_of_the_product_is_made(made: dict[str, list[Request]]) -> None:
    dry = {each.operation for requests in made.values() for each in requests}
    methods = {
        method: operation
        for service in SERVICES
        for method, operation in operations_of(service).items()
    }
    live = {name for folder in LIVE for file in folder.rglob("*.py") for name in called(file)}
    product = {
        name
        for room in ("registry", "lambdas", "cli", "training")
        for file in (ROOT / room).rglob("*.py")
        for name in called(file)
        if name in methods
    }
    left = {name for name in product - live if methods[name] not in dry}
    assert left == set(OTHERS) | set(WITH_GIVEN_IDS)


def called(file: Path) -> set[str]:
    """Names of the methods that a file calls, and what it asks paginators of."""
    text = file.read_text(encoding="utf-8")
    return {*re.findall(r"\.(\w+)\(", text), *re.findall(r'get_paginator\("(\w+)"', text)}


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "ModelPackageArn"),
        ({"ModelPackageArn": 3}, "ModelPackageArn"),
        ({"ModelPackageArn": "no ARN"}, "regular expression"),
        ({"ModelPackageArn": arn("sagemaker", "model-package/m/1"), "Other": "x"}, "Other"),
        (
            {
                "ModelPackageArn": arn("sagemaker", "model-package/m/1"),
                "ModelApprovalStatus": "approved",
            },
            "enum value set",
        ),
        (
            {
                "ModelPackageArn": arn("sagemaker", "model-package/m/1"),
                "ApprovalDescription": "x" * 1025,
            },
            "less than or equal to 1024",
        ),
    ],
)
def test_request_that_a_service_would_refuse_is_a_fault(
    given: dict[str, object], word: str
) -> None:
    faults = tuple(request_faults("sagemaker", "UpdateModelPackage", given))
    assert any(word in fault for fault in faults), faults
    request = Request("sagemaker", "UpdateModelPackage", given, faults)
    found = list(judge_requests("decide", [request]))
    assert found and {each.state.value for each in found} == {"failed"}
