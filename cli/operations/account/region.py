"""What the region and the account must have before a deployment can work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.operations.checks.check import CheckContext, CheckResult, failed, ok, unchecked, warning

_BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"


def bootstrap(context: CheckContext) -> Iterator[CheckResult]:
    """The CDK's own resources are there."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    try:
        answer = context.client("ssm").get_parameter(Name=_BOOTSTRAP)
    except ClientError as error:
        if not is_missing(error):
            raise
        yield failed(f"no parameter {_BOOTSTRAP}: the CDK has nothing here", "cdk bootstrap")
        return
    yield ok(f"the CDK's resources, version {answer['Parameter']['Value']}")


def services(context: CheckContext) -> Iterator[CheckResult]:
    """SageMaker answers here, has MLflow Apps, and KMS answers."""
    from infra.mlflow_regions import WITHOUT_APP

    region = context.aws.region
    sagemaker = context.client("sagemaker")
    sagemaker.list_model_package_groups(MaxResults=1)
    context.client("kms").list_aliases(Limit=1)
    yield ok(f"SageMaker and KMS answer in {region}")
    if region in WITHOUT_APP:
        yield warning(
            f"SageMaker has no MLflow App in {region}",
            "cdk deploy -c cards.mlflow=tracking-server, or none",
        )
        return
    sagemaker.list_mlflow_apps(MaxResults=1)
    yield ok(f"MLflow Apps in {region}")


def quotas(context: CheckContext) -> Iterator[CheckResult]:
    """The account may start the instances that training and compile jobs ask for."""
    if context.aws.is_local:
        yield unchecked("the local cloud has no quotas")
        return
    pages = context.client("service-quotas").get_paginator("list_service_quotas")
    listed = {
        str(quota["QuotaName"]): quota
        for page in pages.paginate(ServiceCode="sagemaker")
        for quota in page["Quotas"]
    }
    for job, instance in instances(context).items():
        yield judge_quota(job, instance, listed.get(f"{instance} for {job} job usage"))


def instances(context: CheckContext) -> dict[str, str]:
    """The instance of each kind of job: as deployed, or as ``cards train`` takes it by default."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing
    from training.submission.submit import SMALL_INSTANCE

    found = {"training": SMALL_INSTANCE}
    configuration: Mapping[str, Any] = {}
    try:
        configuration = context.functions.get("CompileApproved", {})
    except ClientError as error:
        if not is_missing(error):  # Before the first deployment there is no stack.
            raise
    variables = configuration.get("Environment", {}).get("Variables", {})
    if variables.get("COMPILE_INSTANCE_TYPE"):
        found["processing"] = str(variables["COMPILE_INSTANCE_TYPE"])
    return found


def judge_quota(job: str, instance: str, quota: Mapping[str, Any] | None) -> CheckResult:
    """Whether one instance may be started.

    Args:
        job: ``training`` or ``processing``.
        instance: For example ``ml.m5.xlarge``.
        quota: Of Service Quotas; None where the service lists none of that name.
    """
    if quota is None:
        return unchecked(
            f"Service Quotas lists none for {instance} for {job} job usage",
            "look at the SageMaker console's page of quotas",
        )
    if float(quota["Value"]) >= 1:
        return ok(f"{instance} for {job} jobs: {quota['Value']:g}")
    return failed(
        f"{instance} for {job} jobs: 0, so a job fails with ResourceLimitExceeded",
        "aws service-quotas request-service-quota-increase --service-code sagemaker "
        f"--quota-code {quota['QuotaCode']} --desired-value 1",
    )
