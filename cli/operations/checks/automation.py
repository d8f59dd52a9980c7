"""Rules, functions and queues of the automation: what starts what, and which events failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.operations.checks.check import Check, CheckContext, CheckResult, failed, ok, warning

#: The automation's functions, and what stands still without each.
FUNCTIONS = {
    "RegisterModel": "no training job is registered",
    "CompileApproved": "no approved version is compiled",
    "PublishRelease": "nothing is released",
    "Reconcile": "what no event told stays as it is",
}
_RULE, _FUNCTION, _QUEUE = "AWS::Events::Rule", "AWS::Lambda::Function", "AWS::SQS::Queue"


def automation(context: CheckContext) -> Iterator[CheckResult]:
    """The stack has a rule, a function and two queues for each of the three steps."""
    missing = []
    for name in FUNCTIONS:
        for kind, part in (
            (_FUNCTION, f"{name}Function"),
            (_RULE, f"{name}Rule"),
            (_QUEUE, f"{name}Undelivered"),
            (_QUEUE, f"{name}Failed"),
        ):
            if not any(logical.startswith(part) for logical in context.automation_parts(kind)):
                missing.append(part)
    if missing:
        yield failed(f"{context.stack('automation')} lacks {', '.join(missing)}", context.deploy)
    else:
        yield ok(context.stack("automation"))


def functions(context: CheckContext) -> Iterator[CheckResult]:
    """The functions can run, are tried again, and lose nothing."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    lambda_ = context.client("lambda")
    well = True
    for name, without in FUNCTIONS.items():
        configuration = context.functions.get(name)
        if configuration is None:
            yield failed(f"{name} was deleted: {without}", context.restore)
            well = False
            continue
        physical = configuration["FunctionName"]
        reserved = lambda_.get_function_concurrency(FunctionName=physical).get(
            "ReservedConcurrentExecutions"
        )
        try:
            retries = lambda_.get_function_event_invoke_config(FunctionName=physical)
        except ClientError as error:
            if not is_missing(error):
                raise
            retries = {}
        for result in judge_function(name, configuration, reserved, retries, context.restore):
            well = False
            yield result
    if well:
        yield ok(f"{', '.join(FUNCTIONS)}: active, with retries and dead-letter queues")


def judge_function(
    name: str,
    configuration: Mapping[str, Any],
    reserved: int | None,
    retries: Mapping[str, Any],
    restore: str,
) -> Iterator[CheckResult]:
    """What keeps a function from running, or lets an event be lost."""
    without, physical = FUNCTIONS[name], configuration["FunctionName"]
    if reserved == 0:
        yield failed(
            f"{name} is throttled to nothing (reserved concurrency 0): {without}",
            f"aws lambda delete-function-concurrency --function-name {physical}",
        )
    state = configuration.get("State", "Active")
    if state in ("Failed", "Inactive"):
        yield failed(f"{name} is {state}: {configuration.get('StateReason', without)}", restore)
    if configuration.get("LastUpdateStatus") == "Failed":
        reason = configuration.get("LastUpdateStatusReason", "no reason given")
        yield failed(f"{name}: its last update failed: {reason}", restore)
    if not configuration.get("DeadLetterConfig", {}).get("TargetArn"):
        yield warning(f"{name} has no dead-letter queue: what it fails on is lost", restore)
    if not retries.get("MaximumRetryAttempts"):
        yield warning(f"{name} is not tried again when it fails", restore)


def rules(context: CheckContext) -> Iterator[CheckResult]:
    """Each rule is enabled and fires its function."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    events = context.client("events")
    well = True
    for logical, rule in context.automation_parts(_RULE).items():
        name = logical.partition("Rule")[0]
        rule = rule.rpartition("|")[2]
        try:
            state = str(events.describe_rule(Name=rule)["State"])
            pages = events.get_paginator("list_targets_by_rule").paginate(Rule=rule)
            targets = [target for page in pages for target in page["Targets"]]
        except ClientError as error:
            if not is_missing(error):
                raise
            state, targets = "deleted", []
        configuration = context.functions.get(name)
        arn = str(configuration["FunctionArn"]) if configuration else ""
        for result in judge_rule(name, rule, state, targets, arn, context.restore):
            well = False
            yield result
    if well:
        yield ok(f"{', '.join(FUNCTIONS)}: enabled, each with its function")


def judge_rule(
    name: str,
    rule: str,
    state: str,
    targets: list[dict[str, Any]],
    function_arn: str,
    restore: str,
) -> Iterator[CheckResult]:
    """What keeps a rule's events from its function."""
    without = FUNCTIONS.get(name, "nothing follows")
    if state == "deleted":
        yield failed(f"{name}'s rule was deleted: {without}", restore)
        return
    if state != "ENABLED":
        yield failed(
            f"{name}'s rule is {state.lower()}: {without}", f"aws events enable-rule --name {rule}"
        )
    own_targets = [target for target in targets if function_arn and target["Arn"] == function_arn]
    if not own_targets:
        yield failed(f"{name}'s rule does not fire its function: {without}", restore)
    elif not own_targets[0].get("DeadLetterConfig", {}).get("Arn"):
        yield warning(f"{name}'s rule has no dead-letter queue: its events can be lost", restore)


def queues(context: CheckContext) -> Iterator[CheckResult]:
    """No event waits in a dead-letter queue."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    found = context.automation_parts(_QUEUE)
    well = True
    for logical, url in found.items():
        try:
            attributes = context.client("sqs").get_queue_attributes(
                QueueUrl=url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                    "ApproximateNumberOfMessagesDelayed",
                ],
            )["Attributes"]
        except ClientError as error:
            if not is_missing(error):
                raise
            yield failed(f"{logical}: the queue was deleted", context.restore)
            well = False
            continue
        waiting = sum(int(value) for value in attributes.values())
        if waiting:
            well = False
            yield judge_queue(logical, waiting, context.environment)
    if well:
        yield ok(f"{len(found)} dead-letter queues, all empty")


def judge_queue(logical: str, waiting: int, environment: str) -> CheckResult:
    """A queue's events: which step gave up on them, and how to look at them and repeat them."""
    undelivered = "Undelivered" in logical
    name = logical.partition("Undelivered" if undelivered else "Failed")[0]
    how = "could not be delivered to" if undelivered else "could not be handled by"
    events = "1 event" if waiting == 1 else f"{waiting} events"
    return failed(
        f"{events} {how} {name}",
        f"cards dlq show {name} -e {environment}; mend the cause, then: "
        f"cards dlq redrive {name} -e {environment}",
    )


CHECKS = (
    Check("automation", automation, ("deployment",)),
    Check("functions", functions, ("automation",)),
    Check("rules", rules, ("automation",)),
    Check("queues", queues, ("automation",)),
)
