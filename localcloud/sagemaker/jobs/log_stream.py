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
    """Buffers lines and sends them to CloudWatch Logs about once a second.

    Attributes:
        client: A CloudWatch Logs client with the job's credentials.
        group: The log group; made where it is missing.
        stream: The stream; likewise.
    """

    client: Any
    group: str
    stream: str
    _buffer: list[dict[str, Any]] = field(default_factory=list)
    _sent: float = 0.0
    _created: bool = False

    @classmethod
    def of(cls, client: Any, kind: str, job_name: str) -> LogStream:
        """The stream of a job's only host, named as SageMaker names it."""
        return cls(client, GROUPS[kind], f"{job_name}/algo-1-{int(time.time())}")

    def write(self, line: str) -> None:
        """Adds a line to the buffer."""
        if line.strip():
            self._buffer.append({"timestamp": int(time.time() * 1000), "message": line})

    def flush_if_due(self) -> None:
        """Sends the buffered lines if the last sending is a second ago; called often."""
        if time.monotonic() - self._sent > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Sends the buffered lines; a failure is ignored: it stops no job in SageMaker either."""
        if not self._buffer:
            return
        batch, self._buffer = self._buffer, []
        self._sent = time.monotonic()
        with contextlib.suppress(ClientError, BotoCoreError):
            if not self._created:
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
        self._created = True
