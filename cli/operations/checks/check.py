"""Checks, their results, and running them all: an exception in one check stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cli.aws import AwsSession
from cli.errors import describe
from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from registry.deployment import DeployedNames, Deployment

#: Seconds for one connection and one answer, and how often a request is tried: the checks must
#: not hang on what is broken.
_CONNECT, _READ, _TRIES = 3, 10, 2


class State(StrEnum):
    """The state of what was checked."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNCHECKED = "not checked"


@dataclass(frozen=True)
class CheckResult:
    """What a check found out about one thing.

    Attributes:
        state: Whether it works.
        line: The observation, in one line.
        remedy: A command that can be typed, or what else to do; empty where all is well.
    """

    state: State
    line: str
    remedy: str = ""


def ok(line: str) -> CheckResult:
    """It works."""
    return CheckResult(State.OK, line)


def warning(line: str, remedy: str) -> CheckResult:
    """It works, and needs attention."""
    return CheckResult(State.WARNING, line, remedy)


def failed(line: str, remedy: str) -> CheckResult:
    """Something does not work."""
    return CheckResult(State.FAILED, line, remedy)


def unchecked(line: str, remedy: str = "") -> CheckResult:
    """It could not be checked."""
    return CheckResult(State.UNCHECKED, line, remedy)


@dataclass
class CheckContext:
    """What the checks read: the caller's AWS, with clients that time out soon.

    Attributes:
        aws: Session and environment.
        made: Called with each client before it is used.
    """

    aws: AwsSession
    made: Callable[[Any], None] = lambda client: None
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A boto3 client with short timeouts, one a service."""
        if service not in self._clients:
            from botocore.config import Config

            settings = Config(
                connect_timeout=_CONNECT,
                read_timeout=_READ,
                retries={"total_max_attempts": _TRIES, "mode": "standard"},
            )
            session: Any = self.aws.session
            self._clients[service] = session.client(service, config=settings)
            self.made(self._clients[service])
        return self._clients[service]

    @property
    def environment(self) -> str:
        """Which deployment."""
        return self.aws.environment

    def stack(self, name: str) -> str:
        """A stack's name: ``registry``, ``access`` or ``automation`` of the environment."""
        return f"cards-{self.environment}-{name}"

    @property
    def deploy(self) -> str:
        """The command that deploys the stacks again."""
        return f"cdk deploy --all -c cards.environment={self.environment}"

    @property
    def restore(self) -> str:
        """The command that brings back what somebody deleted or changed by hand.

        Without the option CloudFormation compares templates alone, and does nothing where they are
        equal: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/drift-aware-change-sets.html
        """
        return f"cdk deploy --all --revert-drift -c cards.environment={self.environment}"

    @cached_property
    def caller(self) -> str:
        """ARN of the caller."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    @cached_property
    def deployment(self) -> Deployment:
        """The deployment, with clients that give up soon."""
        return self.names.deployment(self.client)

    @cached_property
    def names(self) -> DeployedNames:
        """What the stacks wrote to SSM."""
        from registry.deployment import DeployedNames

        return DeployedNames.read(self.client("ssm"), self.environment)

    @cached_property
    def automation(self) -> list[dict[str, Any]]:
        """The automation stack's resources, as ListStackResources gives them."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return [
            dict(row)
            for page in pages.paginate(StackName=self.stack("automation"))
            for row in page["StackResourceSummaries"]
        ]

    def automation_parts(self, kind: str) -> dict[str, str]:
        """Physical id by logical id of one kind, for example ``AWS::SQS::Queue``."""
        return {
            row["LogicalResourceId"]: row["PhysicalResourceId"]
            for row in self.automation
            if row["ResourceType"] == kind and row.get("PhysicalResourceId")
        }

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        """Configuration by short name (``RegisterModel``); one that is gone is left out."""
        from botocore.exceptions import ClientError

        from registry.aws_errors import is_missing

        found = {}
        for logical, name in self.automation_parts("AWS::Lambda::Function").items():
            try:
                answer = self.client("lambda").get_function_configuration(FunctionName=name)
            except ClientError as error:
                if not is_missing(error):
                    raise
                continue
            found[logical.partition("Function")[0]] = dict(answer)
        return found


@dataclass(frozen=True)
class Check:
    """One subject that is checked.

    Attributes:
        name: Of one or two words.
        look: Reads the state and judges it.
        needs: Names of checks without whose success this one cannot be made.
    """

    name: str
    look: Callable[[CheckContext], Iterable[CheckResult]]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A result with the name of its check."""

    check: str
    result: CheckResult


def run(
    checks: Sequence[Check], context: CheckContext, progress: Callable[[str], None]
) -> list[Row]:
    """Makes every check, in order; what one of them raises becomes its result.

    Args:
        checks: In an order in which whatever is needed comes first.
        context: Where to look.
        progress: Called with the name of each check before it is made.
    """
    rows: list[Row] = []
    blocked: dict[str, str] = {}
    for check in checks:
        progress(check.name)
        cause = next((blocked[need] for need in check.needs if need in blocked), None)
        results = [unchecked(f"needs {cause}")] if cause else _made(check, context)
        if any(each.state in (State.FAILED, State.UNCHECKED) for each in results):
            blocked[check.name] = cause or check.name
        rows += [Row(check.name, each) for each in results]
    return rows


def _made(check: Check, context: CheckContext) -> list[CheckResult]:
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_denied

    results: list[CheckResult] = []
    try:
        results += check.look(context)
    except Exception as error:
        if isinstance(error, ClientError) and is_denied(error):
            remedy = "ask for the Operator policy of the access stack (OperatorPolicyArn)"
            results.append(unchecked(f"you may not look: {describe(error)}", remedy))
        else:
            results.append(unchecked(one_line(describe(error))))
    return results
