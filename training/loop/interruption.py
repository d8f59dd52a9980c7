"""Stopping between two steps when SageMaker asks for it.

SageMaker sends SIGTERM when a job is stopped and when a spot machine is taken back, and SIGKILL
two minutes later (https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """Whether this process was asked to stop."""

    is_set: bool = False


@contextmanager
def stop_signal() -> Iterator[Stop]:
    """Notes SIGTERM instead of dying in the middle of a step; restores the handler after."""
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        stop.is_set = True

    try:
        previous = signal.signal(signal.SIGTERM, note)
    except ValueError:  # not the main thread; the process then ends as it would
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, previous)
