"""The automation's Lambda functions: calling one, and the last error in its log."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from cli.aws import AwsSession
from cli.errors import CliError
from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from mypy_boto3_logs.client import CloudWatchLogsClient

_MINUTES_BACK = 30


def invoke(aws: AwsSession, function: str, detail: dict[str, Any]) -> dict[str, Any]:
    """Calls one of the automation's functions and returns its answer.

    Args:
        aws: The session.
        function: The deployed function's name; empty where the deployment is too old to have it.
        detail: The event's ``detail``.

    Raises:
        CliError: There is no such function, or it failed.
    """
    if not function:
        raise CliError(
            f"environment {aws.environment!r}: was deployed by an earlier state of the product; "
            f"deploy it again: cdk deploy --all -c cards.environment={aws.environment}"
        )
    answer = aws.client("lambda").invoke(
        FunctionName=function, Payload=json.dumps({"detail": detail}).encode()
    )
    document = json.loads(answer["Payload"].read() or b"{}")
    if answer.get("FunctionError"):
        raise CliError(f"{function}: {document.get('errorMessage', 'failed; look at its log')}")
    return dict(document)


def last_error(aws: AwsSession, function: str) -> str:
    """The last error in a function's log, and the command that prints the log.

    Args:
        aws: The session.
        function: Its name in the automation stack, such as ``RegisterModel``.
    """
    from botocore.exceptions import ClientError

    try:
        group = _log_group(aws, function)
        fault = _last_error_line(aws.client("logs"), group)
    except (ClientError, LookupError) as error:
        return f"the log of {function} cannot be read either ({one_line(str(error))})"
    said = f"{function} said: {fault}; its" if fault else f"{function} logged no fault; its"
    return (
        f"{said} log: aws logs filter-log-events --log-group-name {group} "
        "--query 'events[].message' --output text"
    )


def _log_group(aws: AwsSession, function: str) -> str:
    stack = f"cards-{aws.environment}-automation"
    outputs = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    names = [row["OutputValue"] for row in outputs if row["OutputKey"] == f"{function}Function"]
    if not names:
        raise LookupError(f"stack {stack} has no function {function}")
    configuration = aws.client("lambda").get_function_configuration(FunctionName=names[0])
    return str(configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{names[0]}")


def _last_error_line(logs: CloudWatchLogsClient, group: str) -> str:
    since = round((time.time() - _MINUTES_BACK * 60) * 1000)
    lines = [
        line
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=since
        )
        for event in page["events"]
        for line in event["message"].splitlines()
        if line.strip()
    ]
    for index in reversed(range(len(lines))):
        fault = _error_in(lines[index])
        if fault:
            # botocore names what is wrong in the lines below.
            more = " ".join(lines[index + 1 : index + 3]) if fault.rstrip().endswith(":") else ""
            return one_line(f"{fault} {more}")[:500]
    return ""


def _error_in(line: str) -> str:
    """The error that a log line reports: JSON as Lambda writes it, or the end of a traceback."""
    try:
        document = json.loads(line)
    except ValueError:
        document = None
    if isinstance(document, dict):
        if "errorMessage" in document:
            kind = document.get("errorType", "")
            return f"{kind}: {document['errorMessage']}" if kind else str(document["errorMessage"])
        return str(document.get("message", "")) if document.get("level") == "ERROR" else ""
    kind, colon, _ = line.strip().partition(": ")
    is_error_in = colon and kind.rpartition(".")[2].endswith(("Error", "Exception", "Failed"))
    return line.strip() if is_error_in else ""
