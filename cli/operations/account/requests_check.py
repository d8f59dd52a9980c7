"""The check of ``cards verify-account`` that makes the product's requests and sends none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from cli.operations.checks.check import CheckContext, CheckResult, failed, ok

if TYPE_CHECKING:
    from cli.operations.account.dry_run import Request
    from cli.operations.account.product_requests import ProductRequests

_REMEDY = "report it with this line: the product, or botocore's model of the service, is wrong"


def requests(context: CheckContext) -> Iterator[CheckResult]:
    """Each step's requests, against botocore's model of the service."""
    for words, made in requests_of(context).make().items():
        yield from judge_requests(words, made)


def judge_requests(words: str, made: Iterable[Request]) -> Iterator[CheckResult]:
    """What the service would refuse of a step's requests.

    Args:
        words: For the step.
        made: What it requested.
    """
    operations = dict.fromkeys(f"{each.service}:{each.operation}" for each in made)
    faults = [f"{each.operation}: {fault}" for each in made for fault in dict.fromkeys(each.faults)]
    for fault in dict.fromkeys(faults):
        yield failed(f"{words}: {fault}", _REMEDY)
    if not faults:
        yield ok(f"{words}: {', '.join(operations)}")


def requests_of(context: CheckContext) -> ProductRequests:
    """The product's requests with the names and settings that are deployed."""
    from cli.operations.account.product_requests import ProductRequests
    from registry.compilation.compile_settings import CompileSettings
    from registry.compilation.jobs import CompileJobSettings
    from registry.names import NO_NETWORK

    variables: Mapping[str, str] = context.functions["CompileApproved"]["Environment"]["Variables"]
    subnets = variables["COMPILE_SUBNETS"]
    return ProductRequests(
        context.names,
        context.names.training_role_arn.split(":")[4],
        context.aws.region,
        CompileSettings.from_json(variables["COMPILE_SETTINGS"], variables["COMPILE_IMAGE"]),
        CompileJobSettings(
            role_arn=variables["COMPILE_ROLE_ARN"],
            instance_type=variables["COMPILE_INSTANCE_TYPE"],
            max_runtime_seconds=int(variables["COMPILE_MAX_RUNTIME_SECONDS"]),
            code_uri=variables["CODE_URI"],
            training_bucket=variables["TRAINING_BUCKET"],
            subnets=() if subnets == NO_NETWORK else tuple(subnets.split(",")),
            security_group=variables["COMPILE_SECURITY_GROUP"],
        ),
    )
