"""Notices to people: one message for a mailbox, and the same for a chat.

Amazon SNS sends each kind of subscriber its own text: an https subscriber is AWS's chat service
(Amazon Q Developer in chat applications), which shows its custom notification schema and drops
everything else: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sns.client import SNSClient

from registry.untrusted.text import aws_line, one_line

#: SNS's own limits: a subject's characters, and bytes of a message, of which we use far fewer.
_SUBJECT_LIMIT, _TEXT_LIMIT = 100, 4000


class NoticeKind(Enum):
    """What happened to a version."""

    WAITING = "waits for approval"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"
    GATE_FAILED = "gate failed"
    NOT_COMPILED = "not compiled"
    HOLD_UNREADABLE = "hold cannot be read"
    DAMAGED = "release damaged"
    ROLLOUT_HALTED = "roll-out halted"


@dataclass(frozen=True)
class Notice:
    """A message to people about a version, with the commands to use next.

    Attributes:
        kind: What happened.
        version: Whose name it concerns.
        arn: That version.
        why: The cause, or the figures.
        next_steps: Commands that a person would use next.
        waited: Seconds from the approval to the release, where that is what happened.
    """

    kind: NoticeKind
    version: str
    arn: str
    why: str
    next_steps: tuple[str, ...]
    waited: float | None = None

    @property
    def subject(self) -> str:
        """One line of at most 100 characters."""
        return one_line(f"Cards: {self.version} {self.kind.value}")[:_SUBJECT_LIMIT]

    @property
    def text(self) -> str:
        """For a mailbox."""
        steps = "\n".join(f"    {one_line(step)}" for step in self.next_steps)
        body = (
            f"{one_line(self.version)}: {self.kind.value}.\n\n{one_line(self.why)}\n\n"
            f"Next:\n{steps}\n\n"
            f"Version: {one_line(self.arn)}\n"
        )
        return body[:_TEXT_LIMIT]

    @property
    def chat(self) -> str:
        """For AWS's chat service."""
        document = {
            "version": "1.0",
            "source": "custom",
            "content": {
                "textType": "client-markdown",
                "title": self.subject,
                "description": one_line(self.why)[:_TEXT_LIMIT],
                "nextSteps": [f"`{one_line(step)}`" for step in self.next_steps],
            },
            "metadata": {
                "threadId": one_line(self.version),
                "summary": self.kind.value,
                "eventType": self.kind.value,
                "relatedResources": [one_line(self.arn)],
            },
        }
        return json.dumps(document)


@dataclass(frozen=True)
class Notifier:
    """Publishes notices to an SNS topic.

    Attributes:
        sns: A boto3 SNS client.
        topic: ARN of the topic.
        environment: Which deployment's commands a notice names.
        count: Called with each notice, to count it.
    """

    sns: SNSClient
    topic: str
    environment: str
    count: Callable[[Notice], None] = lambda notice: None

    def command(self, words: str) -> str:
        """A command of ours for this deployment."""
        return f"cards {words} -e {self.environment}"

    def publish(self, notice: Notice) -> None:
        """Sends a notice to the topic's subscribers."""
        self.count(notice)
        texts = {"default": notice.text, "email": notice.text, "https": notice.chat}
        self.sns.publish(
            TopicArn=self.topic,
            Subject=notice.subject,
            MessageStructure="json",
            Message=json.dumps(texts),
            MessageAttributes={
                "kind": {"DataType": "String", "StringValue": notice.kind.value},
                "version": {
                    "DataType": "String",
                    # SNS refuses an empty attribute.
                    "StringValue": aws_line(notice.version, 256) or "-",
                },
            },
        )
