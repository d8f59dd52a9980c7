"""Who asks, where, at what time; and whether anything is deployed there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cli.errors import CliError, describe
from cli.operations.checks.check import (
    Check,
    CheckContext,
    CheckResult,
    failed,
    ok,
    unchecked,
    warning,
)
from registry.untrusted.text import one_line

#: AWS refuses a signature that is further than this from its own clock, in seconds.
SKEW_LIMIT = 300
_SKEW_NOTED = 60
_LOCAL = 'cards local up && eval "$(cards local env)"'


def region(context: CheckContext) -> Iterator[CheckResult]:
    """The configuration can be read, and a region is chosen."""
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    try:
        chosen = context.aws.region
    except ProfileNotFound as error:
        yield failed(
            one_line(str(error)), "unset AWS_PROFILE AWS_DEFAULT_PROFILE; or aws configure"
        )
        return
    except BotoCoreError as error:
        yield failed(
            one_line(str(error)), "mend the file, or name another: export AWS_CONFIG_FILE=…"
        )
        return
    except CliError:
        yield failed("none is set", f"export AWS_REGION=us-east-2; or {_LOCAL}")
        return
    where = "the local cloud" if context.aws.is_local else "AWS"
    yield ok(f"{chosen} of {where}")


def credentials(context: CheckContext) -> Iterator[CheckResult]:
    """STS knows the caller."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
    )

    try:
        caller = context.caller
    except (NoCredentialsError, PartialCredentialsError) as error:
        yield failed(str(error), f"aws configure; or {_LOCAL}")
    except (ConnectionError, HTTPClientError) as error:
        remedy = (
            _LOCAL if context.aws.is_local else "look at the network, a proxy, AWS_ENDPOINT_URL"
        )
        yield failed(describe(error).partition(";")[0], remedy)
    except (ClientError, BotoCoreError) as error:
        yield failed(describe(error), "renew them: aws sso login, or aws configure")
    else:
        yield judge_caller(caller, context.aws.is_local)


def judge_caller(caller: str, local: bool) -> CheckResult:
    """The root user of a real account is for emergencies."""
    if caller.endswith(":root") and not local:
        return warning(
            f"{caller}: the account's root user; nothing limits it",
            "use a role: aws configure sso",
        )
    return ok(caller)


def clock(context: CheckContext) -> Iterator[CheckResult]:
    """This machine's clock against AWS's, by the Date of an answer, also of a refusal."""
    from botocore.exceptions import ClientError

    try:
        answer = context.client("sts").get_caller_identity()
    except ClientError as error:
        answer = error.response
    now = datetime.now(UTC)
    yield judge_clock(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}), now)


def judge_clock(headers: Mapping[str, Any], now: datetime) -> CheckResult:
    """A signature is taken for five minutes before and after."""
    try:
        aws_time = parsedate_to_datetime(str(headers["date"]))
    except (KeyError, ValueError):
        return unchecked("the answer says no time")
    ahead = (now - aws_time).total_seconds()
    line = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} AWS's clock"
    if abs(ahead) >= SKEW_LIMIT:
        return failed(f"{line}; signatures are refused", "sudo timedatectl set-ntp true")
    if abs(ahead) >= _SKEW_NOTED:
        return warning(line, "sudo timedatectl set-ntp true")
    return ok("agrees with AWS's")


def deployment(context: CheckContext) -> Iterator[CheckResult]:
    """The stacks wrote their names to SSM, in this region."""
    from registry.deployment import DeploymentError

    try:
        found = context.names
    except DeploymentError as error:
        others = _environments(context)
        remedy = context.deploy
        if others:
            remedy = f"--environment {others[0]} (deployed here: {', '.join(others)}); or {remedy}"
        elif "AWS_REGION" in os.environ or "AWS_DEFAULT_REGION" in os.environ:
            remedy += f"; or another region than {context.aws.region}: export AWS_REGION=…"
        yield failed(str(error).partition("; deploy it")[0], remedy)
        return
    elsewhere = judge_regions(
        context.aws.region, {"signing key": found.signing_key_arn, "MLflow": found.mlflow_uri}
    )
    yield elsewhere or ok(f"environment {context.environment}, compiler {found.compiler}")


def judge_regions(region: str, arns: Mapping[str, str]) -> CheckResult | None:
    """What was deployed lies in the caller's region; None where it does."""
    for name, arn in arns.items():
        region_of = arn.split(":")[3] if arn.count(":") >= 5 else region
        if region_of != region:
            return failed(
                f"{name} lies in {region_of} and you ask in {region}",
                f"export AWS_REGION={region_of}",
            )
    return None


def _environments(context: CheckContext) -> list[str]:
    from registry.names import PARAMETER_ROOT

    pages = context.client("ssm").get_paginator("get_parameters_by_path")
    return sorted(
        {
            parameter["Name"].split("/")[2]
            for page in pages.paginate(Path=PARAMETER_ROOT, Recursive=True)
            for parameter in page["Parameters"]
        }
        - {context.environment}
    )


def stacks(context: CheckContext) -> Iterator[CheckResult]:
    """The three stacks are whole."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    states: dict[str, str] = {}
    for name in ("registry", "access", "automation"):
        try:
            answer = context.client("cloudformation").describe_stacks(StackName=context.stack(name))
        except ClientError as error:
            if not is_missing(error):
                raise
            states[context.stack(name)] = ""
            continue
        states[context.stack(name)] = str(answer["Stacks"][0]["StackStatus"])
    yield from judge_stacks(states, context.deploy)


def judge_stacks(states: Mapping[str, str], deploy: str) -> Iterator[CheckResult]:
    """Each stack's status, an empty one where there is no such stack."""
    well = True
    for name, state in states.items():
        if state in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            continue
        well = False
        if not state:
            yield failed(f"{name} does not exist", deploy)
        elif state.endswith("_IN_PROGRESS"):
            yield warning(f"{name} is being changed ({state})", "wait until it is done")
        elif state in ("UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"):
            yield warning(f"{name}: the last update was taken back ({state})", deploy)
        elif state == "ROLLBACK_COMPLETE":
            # Nothing was made, and the protection that the stack got keeps the CDK from it.
            yield failed(
                f"{name} was never made: its first deployment failed ({state})",
                "aws cloudformation update-termination-protection "
                f"--no-enable-termination-protection --stack-name {name} && "
                f"aws cloudformation delete-stack --stack-name {name} && {deploy}",
            )
        else:
            look = f"aws cloudformation describe-stack-events --stack-name {name}"
            yield failed(f"{name} is {state}", look)
    if well:
        yield ok(", ".join(states))


CHECKS = (
    Check("region", region),
    Check("credentials", credentials, ("region",)),
    Check("clock", clock, ("region",)),
    Check("deployment", deployment, ("credentials",)),
    Check("stacks", stacks, ("credentials",)),
)
