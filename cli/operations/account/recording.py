"""Keeps what AWS really answered, and the events of a queue, as files without ids and names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.operations.account.anonymising import anonymised, as_text, vocabulary

#: How many answers of one operation with one outcome are kept.
KEPT_EACH = 5
_REQUEST = "cards_recorded_parameters"
_MESSAGES = 10


@dataclass
class Recording:
    """The calls that some clients made.

    Attributes:
        calls: Each with ``service``, ``operation``, ``parameters`` and ``answer``.
    """

    calls: list[dict[str, Any]] = field(default_factory=list)
    _seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def listen(self, client: Any) -> None:
        """Records the calls of a boto3 client from now on."""
        client.meta.events.register("provide-client-params.*.*", self._asked)
        client.meta.events.register("after-call.*.*", self._answered)

    def write(self, folder: Path, events: Sequence[Mapping[str, Any]] = ()) -> int:
        """Writes what was recorded, with everything replaced that identifies the account.

        Args:
            folder: Gets ``answers/<service>.<operation>-<n>.json`` and ``events/<n>.json``.
            events: EventBridge's events, whole.

        Returns:
            How many files were written.
        """
        services = tuple(sorted({call["service"] for call in self.calls} | {"sagemaker"}))
        replaced = anonymised([*self.calls, *events], vocabulary(*services))
        numbers = Counter[str]()
        for call, written in zip(self.calls, replaced, strict=False):
            name = f"{call['service']}.{call['operation']}"
            numbers[name] += 1
            file = folder / "answers" / f"{name}-{numbers[name]}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(as_text(written), encoding="utf-8")
        for number, event in enumerate(replaced[len(self.calls) :], 1):
            file = folder / "events" / f"{number}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(as_text(event), encoding="utf-8")
        return len(replaced)

    def _asked(self, params: Any, context: dict[str, Any], **_: Any) -> None:
        context[_REQUEST] = dict(params)

    def _answered(
        self, model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any
    ) -> None:
        service, operation = str(model.service_model.service_name), str(model.name)
        outcome = str(parsed.get("Error", {}).get("Code", ""))
        self._seen[service, operation, outcome] += 1
        if self._seen[service, operation, outcome] > KEPT_EACH:
            return
        # A stream can be read once, and is the caller's.
        answer = {key: item for key, item in parsed.items() if not hasattr(item, "read")}
        self.calls.append(
            {
                "service": service,
                "operation": operation,
                "parameters": context.get(_REQUEST, {}),
                "answer": answer,
            }
        )


def waiting_events(sqs: Any, queue_url: str) -> list[dict[str, Any]]:
    """The events that wait in a queue; they stay there.

    Args:
        sqs: A boto3 SQS client.
        queue_url: A queue that a rule of EventBridge sends whole events to.
    """
    found: dict[str, dict[str, Any]] = {}
    while True:
        answer = sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=_MESSAGES, VisibilityTimeout=60
        )
        new = [each for each in answer.get("Messages", []) if each["MessageId"] not in found]
        if not new:
            return list(found.values())
        for message in new:
            try:
                body = json.loads(message["Body"])
            except ValueError:
                body = {}
            found[message["MessageId"]] = body if isinstance(body, dict) else {}
