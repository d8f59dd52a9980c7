"""A local cloud that runs for a test, and what tests do with it."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from localcloud import LocalCloud
from localcloud.ports import free_port
from localcloud.supervisor import ACCOUNT
from registry.names import KEEP_ALL, PARAMETERS, parameter_name

#: How many times longer than on idle cores a test waits, since other work may share them.
PATIENCE = 4
ROOT = Path(__file__).resolve().parents[1]
Client = Callable[[str], Any]


def make_cloud(folder: Path) -> LocalCloud:
    return LocalCloud(
        folder,
        port=free_port(),
        job_python=Path(sys.executable),
        lambda_python=ROOT / ".venv-lambda/bin/python",
        stop_grace=1.0,
    )


def client_of(cloud: LocalCloud, **credentials: str) -> Client:
    environment = cloud.env()
    keys = credentials or {
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
    }
    session = boto3.Session(region_name=environment["AWS_REGION"], **keys)
    return lambda service: session.client(service, endpoint_url=cloud.endpoint)


@dataclass(frozen=True)
class Account:
    """An AWS account of its own in a local cloud that others use, too.

    Attributes:
        cloud: Which runs.
        number: Twelve digits; the local cloud takes them as the account's access key.
    """

    cloud: LocalCloud
    number: str

    @classmethod
    def new(cls, cloud: LocalCloud) -> Account:
        """An account that nothing has used yet."""
        return cls(cloud, str(uuid.uuid4().int)[-12:])

    @property
    def variables(self) -> dict[str, str]:
        """What a program has in its environment to work in this account."""
        own = {"AWS_ACCESS_KEY_ID": self.number, "CDK_DEFAULT_ACCOUNT": self.number}
        return {**self.cloud.env(), **own}

    @property
    def client(self) -> Client:
        """Makes clients of this account."""
        secret = self.cloud.env()["AWS_SECRET_ACCESS_KEY"]
        return client_of(self.cloud, aws_access_key_id=self.number, aws_secret_access_key=secret)


def publish_parameters(client: Client, environment: str = "dev", **values: str) -> None:
    """Writes the SSM parameters that a deployment publishes; the others say "none".

    Args:
        client: Makes clients of the account.
        environment: The deployment's.
        values: By parameter, with ``_`` for ``-``.
    """
    given = {name.replace("_", "-"): value for name, value in values.items()}
    assert given.keys() <= set(PARAMETERS), given
    usual = {"keep-releases": KEEP_ALL}
    for key in PARAMETERS:
        client("ssm").put_parameter(
            Name=parameter_name(environment, key),
            Value=given.get(key, usual.get(key, "none")),
            Type="String",
        )


def make_role(
    client: Client,
    name: str,
    service: str,
    statements: list[dict[str, Any]],
    account: str = ACCOUNT,
) -> str:
    iam = client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ],
    }
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    if statements:
        iam.put_role_policy(
            RoleName=name,
            PolicyName="own",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
    return str(made["Role"]["Arn"])


def queue_of(client: Client, name: str) -> tuple[str, str]:
    """A new queue's address and ARN."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


def received(client: Client, url: str) -> list[dict[str, Any]]:
    """All messages that wait in a queue now, with their attributes."""
    found: list[dict[str, Any]] = []
    while True:
        answer = client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        if not answer.get("Messages"):
            return found
        for message in answer["Messages"]:
            client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(message)


def until(check: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + PATIENCE * seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE * seconds:g} s")
