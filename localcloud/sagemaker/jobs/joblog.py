"""A job's stream in CloudWatch Logs."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

GROUPS = {
    "Training": "/aws/sagemaker/TrainingJobs",
    "Processing": "/aws/sagemaker/ProcessingJobs",
}
_FLUSH_SECONDS = 1.0


@dataclass
class LogStream:
    """Lines on their way to CloudWatch Logs, sent about once a second.

    Attributes:
        client: A CloudWatch Logs client with the job's credentials.
        group: The log group; made where it is missing.
        stream: The stream; likewise.
    """

    client: Any
    group: str
    stream: str
    _waiting: list[dict[str, Any]] = field(default_factory=list)
    _sent: float = 0.0
    _made: bool = False

    @classmethod
    def of(cls, client: Any, kind: str, job_name: str) -> LogStream:
        """The stream of a job's only host, named as SageMaker names it."""
        return cls(client, GROUPS[kind], f"{job_name}/algo-1-{int(time.time())}")

    def write(self, line: str) -> None:
        """Takes a line."""
        if line.strip():
            self._waiting.append({"timestamp": int(time.time() * 1000), "message": line})

    def look(self) -> None:
        """Sends what is waiting if it has waited long enough; called often."""
        if time.monotonic() - self._sent > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Sends what is waiting. A job goes on without its log, as it does in SageMaker."""
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        self._sent = time.monotonic()
        with contextlib.suppress(ClientError, BotoCoreError):
            if not self._made:
                self._make()
            # A request takes 10,000 events and 1 MB.
            for start in range(0, len(batch), 1000):
                self.client.put_log_events(
                    logGroupName=self.group,
                    logStreamName=self.stream,
                    logEvents=batch[start : start + 1000],
                )

    def _make(self) -> None:
        taken = self.client.exceptions.ResourceAlreadyExistsException
        with contextlib.suppress(taken):
            self.client.create_log_group(logGroupName=self.group)
        with contextlib.suppress(taken):
            self.client.create_log_stream(logGroupName=self.group, logStreamName=self.stream)
        self._made = True
