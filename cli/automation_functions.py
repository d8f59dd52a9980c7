"""What the automation's functions last complained about, for whoever waits for them."""

from __future__ import annotations

import json
import time
from typing import Any

from cli.aws import AwsSession
from cli.errors import one_line

_MINUTES_BACK = 30


def why(aws: AwsSession, function: str) -> str:
    """The last fault in a function's log, and the command that prints the log.

    Args:
        aws: The clients.
        function: Its name in the automation stack, such as ``RegisterModel``.
    """
    from botocore.exceptions import ClientError

    try:
        group = _log_group(aws, function)
        fault = _last_fault(aws.client("logs"), group)
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


def _last_fault(logs: Any, group: str) -> str:
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
    for at in reversed(range(len(lines))):
        fault = _fault(lines[at])
        if fault:
            # botocore names what is wrong in the lines below.
            more = " ".join(lines[at + 1 : at + 3]) if fault.rstrip().endswith(":") else ""
            return one_line(f"{fault} {more}")[:500]
    return ""


def _fault(line: str) -> str:
    """The fault that a log line speaks of: JSON as Lambda writes it, or the end of a traceback."""
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
    is_fault = colon and kind.rpartition(".")[2].endswith(("Error", "Exception", "Failed"))
    return line.strip() if is_fault else ""
