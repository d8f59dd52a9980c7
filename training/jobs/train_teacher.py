"""SageMaker entry point: trains a teacher.

Channel ``cards``. Hyper-parameters ``--recipe`` and any key of ``training.config.TrainingConfig``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from registry.names import TEACHER
from training.jobs.job import Job, run_job


def _load() -> Job:
    from training.jobs.teacher_training import train_teacher

    return train_teacher


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the job; returns the process's exit code."""
    return run_job(TEACHER, {"phase2": "phase2"}, _load, arguments)


if __name__ == "__main__":
    sys.exit(main())
