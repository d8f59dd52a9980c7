"""``cards dlq``: events in the dead-letter queues, shown and sent again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.errors import CliError
from cli.options import AsJson
from registry.untrusted.text import one_line

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Dead-letter queues: each function has one for events that EventBridge could not
    deliver, and one for events that the function failed on three times.

    \b
    cards dlq list                    how many wait, and where
    cards dlq show PublishRelease     what they contain, and why they failed
    cards dlq redrive PublishRelease  send them to the function again
    """,
)

Function = Annotated[
    str | None,
    typer.Argument(help="RegisterModel, CompileApproved, PublishRelease or Reconcile; all else."),
]
FUNCTIONS = {
    "RegisterModel": "register_function",
    "CompileApproved": "compile_function",
    "PublishRelease": "publish_function",
    "Reconcile": "reconciler_function",
}
_KINDS = {"Undelivered": "could not be delivered", "Failed": "could not be handled"}
#: So long a message is ours alone while it is sent again.
_VISIBILITY = 60
_BATCH = 10


@dataclass(frozen=True)
class Queue:
    """One dead-letter queue.

    Attributes:
        function: For example ``PublishRelease``.
        kind: ``Undelivered`` or ``Failed``.
    """

    function: str
    kind: str
    url: str


@app.command("list", epilog="Example: cards dlq list --json")
def list_(as_json: AsJson = False, environment: Environment = DEFAULT_ENVIRONMENT) -> None:
    """Lists the queues and how many events wait in each."""
    from cli.console import print_json, print_line, print_table

    aws = AwsSession(environment)
    rows = [(queue, _waiting(aws, queue)) for queue in queues(aws)]
    if as_json:
        print_json(
            [{"function": q.function, "kind": q.kind, "url": q.url, "events": n} for q, n in rows]
        )
        return
    print_table(
        ["FUNCTION", "EVENTS THAT", "WAITING"],
        [[queue.function, _KINDS[queue.kind], str(count)] for queue, count in rows],
        right=[2],
    )
    if any(count for _, count in rows):
        print_line(f"what they contain: cards dlq show -e {environment}")


@app.command(epilog="Example: cards dlq show PublishRelease")
def show(
    function: Function = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Shows the events that wait, and why each failed; they stay in the queue."""
    from cli.console import print_json, print_line

    aws = AwsSession(environment)
    found = [
        (queue, message)
        for queue in queues(aws, function)
        for message in _messages(aws, queue, visibility=0)
    ]
    if as_json:
        print_json(
            [
                {"function": q.function, "kind": q.kind, "why": why(m), "event": _body(m)}
                for q, m in found
            ]
        )
        return
    for queue, message in found:
        print_line(f"{queue.function}, {_KINDS[queue.kind]}: {why(message)}")
        print_line(f"  {json.dumps(_body(message).get('detail', _body(message)))[:500]}")
    print_line(f"{len(found)} events" if found else "nothing waits")


@app.command(epilog="Example: cards dlq redrive PublishRelease")
def redrive(
    function: Function = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Sends the events that wait to their function again, and removes them from the queue.

    An event is removed only after Lambda has accepted it; one that fails again comes back.
    """
    from cli.console import print_json, print_line

    aws = AwsSession(environment)
    sent: dict[str, int] = {}
    for queue in queues(aws, function):
        physical = getattr(aws.names, FUNCTIONS[queue.function])
        for message in _messages(aws, queue, visibility=_VISIBILITY):
            aws.client("lambda").invoke(
                FunctionName=physical,
                InvocationType="Event",
                Payload=json.dumps(_body(message)).encode(),
            )
            aws.client("sqs").delete_message(
                QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"]
            )
            sent[queue.function] = sent.get(queue.function, 0) + 1
    if as_json:
        print_json(sent)
    elif sent:
        for name, count in sent.items():
            print_line(f"{name}: {count} event{'s' if count != 1 else ''} sent again")
    else:
        print_line("nothing waits")


def queues(aws: AwsSession, function: str | None = None) -> list[Queue]:
    """The dead-letter queues of a deployment, or of one function.

    Raises:
        CliError: There is no such function.
        DeploymentError: Nothing is deployed.
    """
    if function is not None and function not in FUNCTIONS:
        raise CliError(f"{function}: is none of {', '.join(FUNCTIONS)}")
    stack = f"cards-{aws.names.environment}-automation"
    pages = aws.client("cloudformation").get_paginator("list_stack_resources")
    rows = [
        row
        for page in pages.paginate(StackName=stack)
        for row in page["StackResourceSummaries"]
        if row["ResourceType"] == "AWS::SQS::Queue"
    ]
    return [
        Queue(name, kind, row["PhysicalResourceId"])
        for name in FUNCTIONS
        for kind in _KINDS
        for row in rows
        if row["LogicalResourceId"].startswith(f"{name}{kind}") and function in (None, name)
    ]


def why(message: Mapping[str, Any]) -> str:
    """Why an event failed, as EventBridge or Lambda has written it beside the event."""
    attributes = message.get("MessageAttributes", {})
    words = [
        str(attributes[key]["StringValue"])
        for key in ("ERROR_CODE", "ErrorCode", "ERROR_MESSAGE", "ErrorMessage")
        if "StringValue" in attributes.get(key, {})
    ]
    # Lambda's code is the status of the invocation, and 200 where the function itself failed.
    if attributes.get("ErrorCode", {}).get("StringValue") == "200":
        words.remove("200")
    return one_line(" ".join(words))[:500] or "no reason is recorded"


def _waiting(aws: AwsSession, queue: Queue) -> int:
    attributes = aws.client("sqs").get_queue_attributes(
        QueueUrl=queue.url,
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ],
    )["Attributes"]
    return sum(int(value) for value in attributes.values())


def _messages(aws: AwsSession, queue: Queue, *, visibility: int) -> Iterator[Mapping[str, Any]]:
    """The messages of a queue, each once."""
    seen: set[str] = set()
    while True:
        answer = aws.client("sqs").receive_message(
            QueueUrl=queue.url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=visibility,
            MessageAttributeNames=["All"],
        )
        new = [each for each in answer.get("Messages", []) if each["MessageId"] not in seen]
        if not new:
            return
        seen |= {each["MessageId"] for each in new}
        yield from new


def _body(message: Mapping[str, Any]) -> dict[str, Any]:
    try:
        document = json.loads(message["Body"])
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {"body": str(message["Body"])}
