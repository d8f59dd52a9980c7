"""What a run ends with when it does not end well; the message alone says what to do."""

from __future__ import annotations


class TrainingError(RuntimeError):
    """Training that cannot go on; names the step, the cause and the remedy."""


class StopRequested(RuntimeError):
    """SIGTERM came: the job was stopped, or its machine is being taken back."""
